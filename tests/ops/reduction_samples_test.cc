#include "tests/ops/samples.h"

namespace tapewire {
namespace {

// x with zeros at some places of every kind: none, one or several in a line.
Tensor with_zeros(const Shape& sizes) {
  Tensor x = constant(sizes);
  for (const int64_t i : {1, 4, 5, 9}) {
    if (i < x.numel()) x.mutable_data<double>()[i] = 0;
  }
  return set_requires_grad(x);
}

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"sum", "mean"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
    out.emplace_back(op, Args{variable({2, 3}), 1});
    out.emplace_back(op, Args{variable({2, 3, 2}), Tuple{0, -1}});
    out.emplace_back(op, Args{variable({2, 3}), 0, true});
    out.push_back(Sample(op, Args{variable({2, 3, 2}), Tuple{1}}).named("keepdim", true));
    out.push_back(Sample(op, Args{variable({2, 3}), Tuple{}}).named("keepdim", true));
    out.push_back(Sample(op, Args{variable({2, 3})}).named("dtype", DType::kFloat64));
  }
  out.emplace_back("sum", Args{indices({1, 2, 3, 4}, {2, 2}), 0});
  out.push_back(Sample("sum", Args{constant({2, 3})}).named("dtype", DType::kInt64));
  out.push_back(Sample("mean", Args{indices({1, 2, 3, 4}, {2, 2}), 0}).named("dtype", DType::kFloat64));

  out.emplace_back("prod", Args{variable({2, 3})});
  out.emplace_back("prod", Args{variable({})});
  out.emplace_back("prod", Args{variable({}), 0});
  out.emplace_back("prod", Args{variable({3, 2}), 0});
  out.emplace_back("prod", Args{with_zeros({3, 2, 2}), 1});
  out.emplace_back("prod", Args{with_zeros({4, 3}), -2, true});
  out.emplace_back("prod", Args{with_zeros({4})});
  out.push_back(Sample("prod", Args{variable({2, 2}), 1}).named("dtype", DType::kFloat64));
  out.emplace_back("prod", Args{indices({1, 2, 3, 4}, {2, 2}), 0});

  out.emplace_back("logsumexp", Args{variable({2, 3}), 1});
  out.emplace_back("logsumexp", Args{variable({}), 0});
  out.emplace_back("logsumexp", Args{variable({2, 3, 2}), Tuple{0, -1}, true});
  out.emplace_back("logsumexp", Args{variable({2, 2}), Tuple{}});

  for (const char* op : {"all", "any"}) {
    out.emplace_back(op, Args{Tensor::of<bool>({true, false, true, true}, {2, 2})});
    out.emplace_back(op, Args{Tensor::of<bool>({true, false, true, true}, {2, 2}), 1});
    out.emplace_back(op, Args{variable({2, 3}), Tuple{0, 1}, true});
    out.emplace_back(op, Args{Tensor::of<uint8_t>({0, 2}), 0});
  }
  out.emplace_back("count_nonzero", Args{with_zeros({2, 3})});
  out.emplace_back("count_nonzero", Args{with_zeros({2, 3, 2}), Tuple{0, -1}});
  out.emplace_back("count_nonzero", Args{Tensor::of<bool>({true, false, true, true}, {2, 2}), 1});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
