#include "core/kernels/columns.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

// Calls f(element of [2, 3, 5, 4], element of the columns) for all that see the image.
template <class F>
void for_each_pair(const ColumnParams& p, const F& f) {
  size_t column = 0;
  for (int64_t plane = 0; plane < 6; ++plane) {
    for (int64_t kh = 0; kh < p.kernel[0]; ++kh) {
      for (int64_t kw = 0; kw < p.kernel[1]; ++kw) {
        for (int64_t bh = 0; bh < p.blocks[0]; ++bh) {
          for (int64_t bw = 0; bw < p.blocks[1]; ++bw, ++column) {
            const int64_t h = bh * p.stride[0] - p.padding[0] + kh * p.dilation[0];
            const int64_t w = bw * p.stride[1] - p.padding[1] + kw * p.dilation[1];
            if (h >= 0 && h < 5 && w >= 0 && w < 4) f(static_cast<size_t>((plane * 5 + h) * 4 + w), column);
          }
        }
      }
    }
  }
}

const std::vector<ColumnParams> kWindows{
    {{2, 3}, {1, 1}, {0, 0}, {1, 1}, {4, 2}},
    {{2, 3}, {3, 1}, {2, 1}, {2, 3}, {3, 2}},
};

TEST(Columns, OfAnImageAndBack) {
  for (const DType dtype : kNumbers) {
    for (const ColumnParams& p : kWindows) {
      const Shape sizes{2, 3 * 6, p.blocks[0] * p.blocks[1]};
      const Tensor image = random_tensor(ints({2, 3, 5, 4}), dtype, 0, 9);
      const std::vector<double> pixels = image.to_vector<double>();
      std::vector<double> columns(static_cast<size_t>(numel_of(sizes)));
      for_each_pair(p, [&](size_t pixel, size_t column) { columns[column] = pixels[pixel]; });
      for (const Tensor& from : layouts(image)) {
        for (const Tensor& out : empty_layouts(sizes, dtype)) {
          im2col(from, p, out);
          expect_close(out, columns, 0);
        }
      }
      std::vector<double> sums(pixels.size());
      for_each_pair(p, [&](size_t pixel, size_t column) { sums[pixel] += columns[column]; });
      for (const Tensor& from : layouts(tensor_of(columns, sizes, dtype))) {
        for (const Tensor& out : empty_layouts(ints({2, 3, 5, 4}), dtype)) {
          col2im(from, p, out);
          expect_close(out, sums, 10 * tolerance(dtype));
        }
      }
    }
  }
}

TEST(Columns, ThreadsDoNotMatter) {
  const ColumnParams p{{3, 3}, {1, 1}, {1, 1}, {1, 1}, {32, 32}};
  const Tensor columns = random_tensor(ints({4, 72, 1024}), DType::kFloat32);
  expect_threads_do_not_matter({DType::kFloat32, {4, 8, 32, 32}}, [&](const Tensor& out) { col2im(columns, p, out); });
}

}  // namespace
}  // namespace tapewire::kernels
