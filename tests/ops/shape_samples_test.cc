#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.push_back(Sample("view", Args{variable({2, 6}), Tuple{3, -1}}).row_major_only());
  out.push_back(Sample("view", Args{variable({2, 6}), 4, 3}).row_major_only());
  out.emplace_back("view", Args{variable({}), Tuple{1, 1}});
  out.push_back(Sample("view_as", Args{variable({2, 6}), constant({3, 4})}).row_major_only());
  out.emplace_back("reshape", Args{variable({2, 6}), Tuple{3, -1}});
  out.emplace_back("reshape", Args{variable({2, 3}), 6});
  out.emplace_back("flatten", Args{variable({2, 3, 2})});
  out.emplace_back("flatten", Args{variable({2, 3, 2}), 1});
  out.emplace_back("flatten", Args{variable({2, 3, 2}), 0, 1});
  out.emplace_back("flatten", Args{variable({})});
  out.emplace_back("flatten", Args{variable({3, 2}), 1, 1});
  out.emplace_back("expand", Args{variable({3, 1}), Tuple{2, 3, 4}});
  out.emplace_back("expand", Args{variable({3, 1}), -1, 2});
  out.emplace_back("expand", Args{variable({}), Tuple{2, 2}});
  out.emplace_back("expand_as", Args{variable({3, 1}), constant({2, 3, 2})});
  out.emplace_back("permute", Args{variable({2, 3, 2}), Tuple{2, 0, 1}});
  out.emplace_back("permute", Args{variable({2, 3}), -1, 0});
  out.emplace_back("transpose", Args{variable({2, 3, 2}), 0, -1});
  out.emplace_back("transpose", Args{variable({}), 0, 0});
  out.emplace_back("t", Args{variable({2, 3})});
  out.emplace_back("t", Args{variable({3})});
  out.emplace_back("t", Args{variable({})});
  out.emplace_back("unsqueeze", Args{variable({2, 3}), 1});
  out.emplace_back("unsqueeze", Args{variable({2, 3}), -1});
  out.emplace_back("squeeze", Args{variable({1, 3, 1})});
  out.emplace_back("squeeze", Args{variable({1, 3, 1}), 0});
  out.emplace_back("squeeze", Args{variable({1, 3, 1}), 1});
  out.emplace_back("alias", Args{variable({2, 3})});
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
