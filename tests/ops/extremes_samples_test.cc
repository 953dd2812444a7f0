#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"amax", "amin"}) {
    out.emplace_back(op, Args{distinct({2, 3})});
    out.emplace_back(op, Args{distinct({})});
    out.emplace_back(op, Args{distinct({2, 3}), 1});
    out.emplace_back(op, Args{distinct({2, 3, 2}), Tuple{0, -1}, true});
    out.emplace_back(op, Args{indices({1, 5, 3, 5}, {2, 2}), 0});
  }
  for (const char* op : {"max", "min"}) {
    out.emplace_back(op, Args{distinct({2, 3})});
    out.emplace_back(op, Args{distinct({2, 3}), 1});
    out.emplace_back(op, Args{distinct({2, 3, 2}), -2, true});
    out.emplace_back(op, Args{distinct({}), 0});
    out.emplace_back(op, Args{indices({1, 5, 3}, {3}), 0});
    out.emplace_back(op, Args{variable({2, 3}), variable({3})});
    out.emplace_back(op, Args{indices({1, 5, 3}, {3}), indices({2, 4, 3}, {3})});
  }
  for (const char* op : {"max_all", "min_all"}) {
    out.emplace_back(op, Args{distinct({2, 3})});
    out.emplace_back(op, Args{distinct({})});
  }
  for (const char* op : {"max_dim", "min_dim"}) {
    out.emplace_back(op, Args{distinct({2, 3}), 1});
    out.emplace_back(op, Args{distinct({2, 3}), 0, true});
    out.emplace_back(op, Args{distinct({}), -1});
  }
  out.emplace_back("aminmax", Args{distinct({2, 3})});
  out.push_back(Sample("aminmax", Args{distinct({2, 3})}).named("dim", 1).named("keepdim", true));
  out.push_back(Sample("aminmax", Args{distinct({})}).named("dim", 0));
  for (const char* op : {"argmax", "argmin"}) {
    out.emplace_back(op, Args{distinct({2, 3})});
    out.emplace_back(op, Args{distinct({2, 3}), 1});
    out.push_back(Sample(op, Args{distinct({2, 3, 2}), -2}).named("keepdim", true));
    out.emplace_back(op, Args{indices({1, 5, 3}, {3}), 0});
    out.emplace_back(op, Args{distinct({}), 0, true});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
