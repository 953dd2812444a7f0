#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"cumsum", "reverse_cumsum", "cumprod"}) {
    out.emplace_back(op, Args{variable({4}), 0});
    out.emplace_back(op, Args{variable({}), 0});
    out.emplace_back(op, Args{variable({2, 3, 2}), -2});
    out.push_back(Sample(op, Args{variable({2, 3}), 1}).named("dtype", DType::kFloat64));
    out.emplace_back(op, Args{indices({1, 2, 3, 4}, {2, 2}), 0});
    out.push_back(Sample(op, Args{indices({1, 2, 3, 4}, {2, 2}), 0}).named("dtype", DType::kFloat64));
  }
  out.emplace_back("cumprod", Args{set_requires_grad(Tensor::of<double>({2, 0, 3, 0, -1, 0, 5, 4}, {2, 4})), 1});
  for (const bool reverse : {false, true}) {
    const auto recurrence = [&](const Tensor& a, const Tensor& b, int dim) {
      out.push_back(Sample("linear_recurrence", Args{a, b, dim}).named("reverse", reverse));
    };
    recurrence(variable({4}), variable({4}), 0);
    recurrence(variable({2, 3, 2}), variable({2, 3, 2}), 1);
    recurrence(variable({}), variable({}), 0);
    recurrence(constant({2, 2}), variable({2, 2}), -1);
    recurrence(variable({2, 2}), constant({2, 2}), 0);
  }
  for (const int by : {1, -1, 2, 5, 0}) {
    out.push_back(Sample("shift", Args{variable({2, 3}), 1}).named("by", by).named("fill", 1.5));
  }
  out.emplace_back("shift", Args{variable({3, 2}), 0});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
