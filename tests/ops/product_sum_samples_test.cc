#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto add = [&](const char* op, const Shape& sum, const Shape& first, const Shape& second) {
    for (const Shape& sizes : {sum, Shape{1}, Shape{}}) {
      out.emplace_back(op, Args{variable(sizes), variable(first), variable(second)});
      out.push_back(
          Sample(op, Args{variable(sizes), variable(first), variable(second)}).named("beta", 0.5).named("alpha", -2));
    }
    out.push_back(Sample(op, Args{variable(sum), variable(first), variable(second)}).named("beta", 0));
    out.emplace_back(op, Args{constant(sum), constant(first), variable(second)});
    const auto ones = [](const Shape& sizes) { return Tensor::full(sizes, 2, DType::kInt32); };
    out.push_back(Sample(op, Args{ones(sum), ones(first), ones(second)}).named("beta", 3).named("alpha", 2));
  };
  add("addmm", {2, 2}, {2, 3}, {3, 2});
  add("addmv", {2}, {2, 3}, {3});
  add("addr", {2, 3}, {2}, {3});
  add("baddbmm", {2, 2, 1}, {2, 2, 3}, {2, 3, 1});
  add("addbmm", {2, 1}, {2, 2, 3}, {2, 3, 1});
  const Tensor yes = Tensor::of<bool>({true, false});
  out.emplace_back("addr", Args{Tensor::zeros({2, 2}, DType::kBool), yes, yes});
  out.push_back(Sample("addr", Args{Tensor::full({2, 2}, true, DType::kBool), yes, yes}).named("beta", false));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
