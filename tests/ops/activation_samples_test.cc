#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"relu", "sigmoid", "tanh"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
  }
  out.emplace_back("relu_backward", Args{variable({2, 3}), variable({2, 3})});
  for (const char* op : {"softmax", "log_softmax"}) {
    out.emplace_back(op, Args{variable({2, 3}), 1});
    out.emplace_back(op, Args{variable({2, 3}), 0});
    out.emplace_back(op, Args{variable({2, 3, 2}), -2});
    out.emplace_back(op, Args{variable({}), 0});
  }
  for (const char* op : {"dropout", "native_dropout"}) {
    out.emplace_back(op, Args{variable({3, 4})});
    out.push_back(Sample(op, Args{variable({3, 4})}).named("p", 0.2));
    out.push_back(Sample(op, Args{variable({3, 4})}).named("p", 1.0));
  }
  for (const char* op : {"dropout2d", "native_dropout2d"}) {
    out.emplace_back(op, Args{variable({2, 3, 2, 2})});
    out.push_back(Sample(op, Args{variable({2, 3})}).named("p", 0.7));
  }
  out.push_back(Sample("dropout", Args{variable({3, 4})}).named("training", false));
  out.push_back(Sample("dropout2d", Args{variable({3, 4})}).named("training", false));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
