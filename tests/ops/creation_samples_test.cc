#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"zeros", "ones"}) {
    out.emplace_back(op, Args{Tuple{2, 3}});
    out.emplace_back(op, Args{2, 3});
    out.push_back(Sample(op, Args{Tuple{}}).named("dtype", DType::kInt64));
  }
  for (const char* op : {"zeros_like", "ones_like", "empty_like"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.push_back(Sample(op, Args{variable({})}).named("dtype", DType::kBool));
  }
  out.emplace_back("full", Args{Tuple{2, 2}, 1.5});
  out.emplace_back("full", Args{Tuple{2}, 3});
  out.push_back(Sample("full", Args{Tuple{}, true}).named("dtype", DType::kUInt8));
  out.emplace_back("full_like", Args{variable({2, 2}), -1.5});
  out.push_back(Sample("full_like", Args{variable({2}), 3}).named("dtype", DType::kInt32));
  out.emplace_back("eye", Args{3});
  out.emplace_back("eye", Args{2, 3});
  out.push_back(Sample("eye", Args{3, 2}).named("dtype", DType::kBool));
  out.emplace_back("arange", Args{5});
  out.emplace_back("arange", Args{1, 10, 3});
  out.emplace_back("arange", Args{5.5, 1, -0.5});
  out.push_back(Sample("arange", Args{1}).named("end", 3).named("dtype", DType::kFloat64));
  out.push_back(Sample("arange", Args{0, 40, 0.7}).named("dtype", DType::kFloat64));
  out.emplace_back("linspace", Args{0, 1, 5});
  out.push_back(Sample("linspace", Args{-2.5, 7, 4}).named("dtype", DType::kFloat64));
  out.push_back(Sample("linspace", Args{0, 10, 4}).named("dtype", DType::kInt64));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
