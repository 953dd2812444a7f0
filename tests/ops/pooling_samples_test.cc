#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const bool indices_too : {false, true}) {
    const auto with = [&](Sample sample) { out.push_back(sample.named("return_indices", indices_too)); };
    with({"max_pool1d", {distinct({2, 1, 5}), 2}});
    with({"max_pool1d", {distinct({2, 5}), 3, 1, 1}});
    with({"max_pool2d", {distinct({2, 1, 4, 4}), 2}});
    with({"max_pool2d", {distinct({2, 4, 3}), Tuple{2, 1}}});
    with({"max_pool3d", {distinct({1, 1, 3, 3, 2}), 2, 1}});
  }
  out.push_back(Sample("max_pool2d", Args{distinct({1, 2, 5, 4}), 3}).named("stride", 2).named("padding", 1));
  out.push_back(Sample("max_pool2d", Args{distinct({1, 1, 5, 5}), 2}).named("dilation", 2).named("stride", 1));
  out.push_back(Sample("max_pool2d", Args{distinct({1, 1, 5, 4}), 2}).named("ceil_mode", true));
  out.emplace_back("max_pool_with_indices", Args{distinct({2, 1, 4}), 2});
  out.emplace_back("max_pool_with_indices", Args{distinct({1, 1, 2, 3, 2}), Tuple{2, 2, 1}});
  out.push_back(Sample("scatter_planes", Args{variable({1, 2, 2}), indices({3, 0, 1, 1}, {1, 2, 2})})
                    .named("size", Tuple{1, 2, 4}));
  out.emplace_back("gather_planes", Args{variable({1, 2, 2, 2}), indices({3, 0, 1, 1}, {1, 2, 2, 1})});

  out.emplace_back("avg_pool1d", Args{variable({2, 2, 5}), 3});
  out.emplace_back("avg_pool1d", Args{variable({2, 5}), 3, 2, 1, true, false});
  out.emplace_back("avg_pool2d", Args{variable({1, 2, 4, 5}), Tuple{2, 3}, Tuple{1, 2}, Tuple{1, 1}});
  out.emplace_back("avg_pool2d", Args{variable({2, 4, 5}), 3, 2, 1, true, false, 4});
  out.emplace_back("avg_pool3d", Args{variable({1, 1, 3, 3, 4}), 2, Value(), 1, false, false});
  out.emplace_back("avg_pool", Args{variable({1, 2, 4, 5}), 2});
  out.emplace_back("avg_pool", Args{Tensor::of<int64_t>({7, -7, 4, 1, 0, 3}, {1, 1, 6}), 2});
  out.push_back(Sample("avg_pool_backward", Args{variable({1, 2, 2, 2})})
                    .named("kernel_size", 2)
                    .named("size", Tuple{1, 2, 4, 5}));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
