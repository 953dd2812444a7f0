#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.push_back(Sample("as_strided", Args{variable({6}), Tuple{2, 2}, Tuple{3, 1}, 1}).row_major_only());
  out.push_back(Sample("as_strided", Args{variable({6}), Tuple{3, 3}, Tuple{1, 1}}).row_major_only());  // overlapping
  out.push_back(Sample("as_strided", Args{variable({2, 3}), Tuple{4}, Tuple{0}, 2}).row_major_only());
  const auto backward_of = [](const Tensor& grad, Tuple stride, int offset) {
    const Tuple size(grad.sizes().begin(), grad.sizes().end());
    return Sample("as_strided_backward", Args{grad})
        .named("input_size", Tuple{2, 3})
        .named("size", size)
        .named("stride", std::move(stride))
        .named("storage_offset", offset);
  };
  out.push_back(backward_of(variable({2, 2}), {3, 1}, 1));
  out.push_back(backward_of(variable({3, 3}), {1, 1}, 0));
  out.push_back(backward_of(variable({4}), {0}, 2));
  out.emplace_back("as_strided_scatter", Args{variable({2, 3}), variable({2, 2}), Tuple{2, 2}, Tuple{3, 1}, 1});
  out.emplace_back("as_strided_scatter", Args{constant({4}), variable({2}), Tuple{2}, Tuple{2}});
  out.emplace_back("clone", Args{variable({2, 3})});
  out.emplace_back("contiguous", Args{variable({2, 3})});
  for (const char* op : {"cast", "to"}) {
    out.emplace_back(op, Args{variable({2, 3}), DType::kFloat64});
    out.emplace_back(op, Args{indices({1, 0, 2}, {3}), DType::kBool});
  }
  out.emplace_back("size", Args{constant({2, 3})});
  out.emplace_back("size", Args{constant({2, 3}), -1});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
