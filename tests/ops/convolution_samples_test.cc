#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto with = [](Sample sample, Value stride, Value padding, Value dilation, int groups = 1) {
    return sample.named("stride", std::move(stride))
        .named("padding", std::move(padding))
        .named("dilation", std::move(dilation))
        .named("groups", groups);
  };
  out.emplace_back("conv1d", Args{variable({2, 2, 5}), variable({3, 2, 3}), variable({3})});
  out.emplace_back("conv1d", Args{variable({2, 5}), variable({1, 2, 2})});
  out.push_back(with(Sample("conv1d", {variable({1, 4, 6}), variable({2, 2, 2}), variable({2})}), 2, 1, 2, 2));
  out.emplace_back("conv2d", Args{variable({2, 2, 4, 4}), variable({2, 2, 3, 3}), variable({2})});
  out.emplace_back("conv2d", Args{variable({1, 4, 3}), variable({2, 1, 2, 2}), variable({2})});
  out.push_back(with(Sample("conv2d", {variable({1, 2, 5, 4}), variable({2, 1, 2, 3}), variable({2})}), Tuple{2, 1},
                     Tuple{1, 2}, Tuple{2, 1}, 2));
  out.push_back(with(Sample("conv2d", {variable({1, 1, 3, 3}), variable({1, 1, 1, 1})}), 1, 0, 1));
  out.push_back(with(Sample("conv2d", {constant({1, 2, 3, 3}), variable({4, 1, 2, 2}), variable({4})}), 1, 1, 1, 2));
  out.emplace_back("conv3d", Args{variable({1, 1, 3, 2, 3}), variable({1, 1, 2, 2, 2}), variable({1})});
  out.push_back(with(Sample("conv3d", {variable({1, 2, 2, 2, 2}), variable({2, 1, 1, 2, 1})}), Tuple{1, 2, 1},
                     Tuple{0, 1, 0}, 1, 2));
  out.emplace_back("convolution", Args{variable({1, 1, 4}), variable({2, 1, 2}), variable({2})});
  out.push_back(with(Sample("convolution", {variable({1, 2, 3, 3}), variable({2, 2, 2, 2})}), 2, 1, 1));
  out.push_back(with(Sample("convolution_backward_input", {variable({1, 2, 2, 2}), variable({2, 2, 2, 2})})
                         .named("size", Tuple{1, 2, 3, 3}),
                     2, 1, 1));
  out.push_back(with(Sample("convolution_backward_weight", {variable({1, 2, 2, 2}), variable({1, 2, 3, 3})})
                         .named("size", Tuple{2, 2, 2, 2}),
                     2, 1, 1));
  for (const char* rule : {"same", "valid"}) {
    out.push_back(Sample("conv1d", {variable({1, 2, 5}), variable({2, 2, 4}), variable({2})}).named("padding", rule));
    out.push_back(Sample("conv2d", {variable({2, 4, 5}), variable({2, 2, 3, 2})}).named("padding", rule));
  }
  out.emplace_back("conv1d",
                   Args{indices({1, -2, 3, 4}, {1, 2, 2}), indices({1, 2, 3, 4}, {1, 2, 2}), indices({5}, {1})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
