#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"rand", "randn"}) {
    out.emplace_back(op, Args{Tuple{2, 3}});
    out.emplace_back(op, Args{4, 5});
    out.push_back(Sample(op, Args{Tuple{3}}).named("dtype", DType::kFloat64));
  }
  for (const char* op : {"rand_like", "randn_like"}) {
    out.push_back(Sample(op, Args{constant({2, 3})}).named("dtype", DType::kFloat64));
    out.push_back(Sample(op, Args{indices({1, 2}, {2})}).named("dtype", DType::kFloat32));
  }
  out.emplace_back("randint", Args{10, Tuple{2, 3}});
  out.emplace_back("randint", Args{-3, 10, Tuple{4}});
  out.push_back(Sample("randint", Args{5}).named("size", Tuple{3}).named("dtype", DType::kInt32));
  out.push_back(Sample("randint", Args{}).named("low", 2).named("high", 9).named("size", Tuple{3}));
  out.emplace_back("random_integers", Args{0, 10, Tuple{3}});
  out.emplace_back("randint_like", Args{constant({2, 3}), 10});
  out.push_back(Sample("randint_like", Args{constant({3}), -2, 10}).named("dtype", DType::kInt64));
  out.emplace_back("randperm", Args{6});
  out.push_back(Sample("randperm", Args{4}).named("dtype", DType::kFloat32));
  out.emplace_back("bernoulli", Args{variable({2, 3}, 0.2, 0.8)});
  out.emplace_back("bernoulli", Args{variable({4}), 0.5});
  out.push_back(Sample("bernoulli", Args{indices({1, 2, 3}, {3})}).named("p", 0.25));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
