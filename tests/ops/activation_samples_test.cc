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
  for (const char* op : {"softmax", "log_softmax", "softmin"}) {
    out.emplace_back(op, Args{variable({2, 3}), 1});
    out.emplace_back(op, Args{variable({2, 3}), 0});
    out.emplace_back(op, Args{variable({2, 3, 2}), -2});
    out.emplace_back(op, Args{variable({}), 0});
    out.push_back(Sample(op, Args{variable({2, 3}), 1}).named("dtype", DType::kFloat64));
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
