#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"add", "sub", "rsub"}) {
    out.emplace_back(op, Args{variable({2, 3}), variable({2, 3})});
    out.emplace_back(op, Args{variable({2, 3}), variable({3})});
    out.emplace_back(op, Args{variable({3}), variable({2, 1})});
    out.emplace_back(op, Args{variable({2}), 3});
    out.push_back(Sample(op, Args{variable({2, 3}), variable({2, 3})}).named("alpha", 2.5));
    out.push_back(Sample(op, Args{variable({}), variable({})}).named("alpha", -2));
  }
  out.emplace_back("mul", Args{variable({2, 3}), variable({2, 3})});
  out.emplace_back("mul", Args{variable({2, 3}), variable({1, 3})});
  out.emplace_back("mul", Args{variable({1, 3}), variable({2, 1})});
  out.emplace_back("mul", Args{variable({2}), -1.5});
  out.emplace_back("mul", Args{constant({2}), variable({2})});
  for (const char* op : {"div", "true_divide"}) {
    out.emplace_back(op, Args{variable({2, 3}), variable({2, 3})});
    out.emplace_back(op, Args{variable({2, 3}), positive({3})});
    out.emplace_back(op, Args{variable({3}), 4});
    out.emplace_back(op, Args{2.0, variable({3})});
  }
  // Piecewise constant, and far from its steps here.
  const auto quotient = [] { return set_requires_grad(Tensor::of<double>({7.3, -7.4, 5.6, 0.4})); };
  const auto divisor = [] { return set_requires_grad(Tensor::of<double>({2, 2, -2, 1})); };
  for (const char* op : {"floor_divide", "remainder", "fmod"}) {
    out.emplace_back(op, Args{quotient(), divisor()});
    out.emplace_back(op, Args{quotient(), 1.7});
    out.emplace_back(op, Args{indices({7, -7, 5}, {3}), indices({2, 2, -3}, {3})});
  }
  out.emplace_back("remainder", Args{7.3, divisor()});
  for (const char* mode : {"trunc", "floor"}) {
    out.push_back(Sample("div", Args{quotient(), divisor()}).named("rounding_mode", mode));
  }
  out.emplace_back("pow", Args{positive({2, 3}), variable({2, 3})});
  out.emplace_back("pow", Args{positive({2, 3}), variable({3})});
  out.emplace_back("pow", Args{positive({2, 3}), variable({})});
  out.emplace_back("pow", Args{variable({3}), 2});
  out.emplace_back("pow", Args{variable({3}), 3.0});
  out.emplace_back("pow", Args{variable({3}), 1});
  out.emplace_back("pow", Args{variable({3}), 0});
  out.emplace_back("pow", Args{positive({3}), -1.5});
  out.emplace_back("pow", Args{2.0, variable({3})});
  out.emplace_back("pow", Args{indices({2, -3}, {2}), 3});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
