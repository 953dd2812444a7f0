#include "core/kernels/adaptive_pool.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

int64_t first(int64_t i, int64_t size, int64_t count) { return i * size / count; }
int64_t last(int64_t i, int64_t size, int64_t count) { return ((i + 1) * size + count - 1) / count; }

TEST(AdaptivePoolKernelTest, AgreesWithItsDefinition) {
  for (const DType dtype : kFloats) {
    const double close = tolerance(dtype) * 8;
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{3, 2}, {5, 7}, {1, 1}, {7, 9}}) {
      const Shape from{2, 5, 7};
      const Shape to{2, height, width};
      const Tensor x = random_tensor(from, dtype);
      const Tensor grad = random_tensor(to, dtype, -3, 3, 2);
      const std::vector<double> xs = x.to_vector<double>();
      const std::vector<double> gs = grad.to_vector<double>();
      std::vector<double> mean(gs.size());
      std::vector<double> most(gs.size(), -HUGE_VAL);
      std::vector<double> where(gs.size());
      std::vector<double> spread(xs.size());
      for (size_t o = 0; o < gs.size(); ++o) {
        const auto at = static_cast<int64_t>(o);
        const int64_t plane = at / (height * width);
        const int64_t oh = at / width % height;
        const int64_t ow = at % width;
        const auto count = static_cast<double>((last(oh, 5, height) - first(oh, 5, height)) *
                                               (last(ow, 7, width) - first(ow, 7, width)));
        for (int64_t h = first(oh, 5, height); h < last(oh, 5, height); ++h) {
          for (int64_t w = first(ow, 7, width); w < last(ow, 7, width); ++w) {
            const auto i = static_cast<size_t>((plane * 5 + h) * 7 + w);
            mean[o] += xs[i] / count;
            spread[i] += gs[o] / count;
            if (xs[i] > most[o]) {
              most[o] = xs[i];
              where[o] = static_cast<double>(h * 7 + w);
            }
          }
        }
      }
      for (const Tensor& in : layouts(x)) {
        for (const Tensor& out : empty_layouts(to, dtype)) {
          adaptive_avg_pool(in, 2, out);
          expect_close(out, mean, close, close);
          const Tensor indices = Tensor::empty(to, DType::kInt64);
          adaptive_max_pool(in, 2, out, indices);
          expect_close(out, most, 0);
          expect_close(indices, where, 0);
        }
      }
      const Tensor grad_x = Tensor::empty(from, dtype);
      adaptive_avg_pool_backward(grad, 2, grad_x);
      expect_close(grad_x, spread, close, close);
    }
  }
}

}  // namespace
}  // namespace tapewire::kernels
