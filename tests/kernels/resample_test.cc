#include "core/kernels/resample.h"

#include <array>

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

ResampleDim dim(ResampleMode mode, int64_t in, int64_t out) {
  return resample_dim(mode, in, out, /*align_corners=*/false, std::nullopt, /*antialias=*/false, /*single=*/false);
}

// The dimension's weights as a dense matrix [out, in].
std::vector<std::vector<double>> matrix(const ResampleDim& d) {
  std::vector<std::vector<double>> rows(static_cast<size_t>(d.out), std::vector<double>(static_cast<size_t>(d.in)));
  for (size_t tap = 0; tap < d.index.size(); ++tap) {
    rows[tap / static_cast<size_t>(d.taps)][static_cast<size_t>(d.index[tap])] += d.weight[tap];
  }
  return rows;
}

constexpr std::array kModes{ResampleMode::kNearest, ResampleMode::kNearestExact, ResampleMode::kLinear,
                            ResampleMode::kCubic};

TEST(ResampleKernelTest, WeightsAddUpToOne) {
  for (const ResampleMode mode : kModes) {
    for (const auto& [in, out] : {std::pair{1, 4}, std::pair{5, 2}, std::pair{3, 7}, std::pair{6, 6}}) {
      for (const bool corners : {false, true}) {
        for (const bool antialias : {false, true}) {
          const ResampleDim d = resample_dim(mode, in, out, corners, std::nullopt, antialias, false);
          for (const std::vector<double>& row : matrix(d)) {
            double total = 0;
            for (const double w : row) total += w;
            EXPECT_NEAR(total, 1, 1e-12);
          }
        }
      }
    }
  }
}

TEST(ResampleKernelTest, ForwardAndBackwardAgreeWithTheirMatrices) {
  for (const DType dtype : kFloats) {
    const double close = dtype == DType::kFloat32 ? 2e-5 : 1e-12;
    for (const ResampleMode mode : kModes) {
      const std::array dims{dim(mode, 3, 5), dim(mode, 4, 2)};
      const auto rows = matrix(dims[0]);
      const auto columns = matrix(dims[1]);
      const Tensor x = random_tensor(Shape{2, 3, 4}, dtype);
      const Tensor g = random_tensor(Shape{2, 5, 2}, dtype, -3, 3, 2);
      const std::vector<double> xs = x.to_vector<double>();
      const std::vector<double> gs = g.to_vector<double>();
      std::vector<double> out(20);
      std::vector<double> grad(24);
      for (size_t p = 0; p < 2; ++p) {
        for (size_t o = 0; o < 10; ++o) {
          for (size_t i = 0; i < 12; ++i) {
            const double w = rows[o / 2][i / 4] * columns[o % 2][i % 4];
            out[p * 10 + o] += w * xs[p * 12 + i];
            grad[p * 12 + i] += w * gs[p * 10 + o];
          }
        }
      }
      for (const Tensor& from : layouts(x)) {
        for (const Tensor& to : empty_layouts(Shape{2, 5, 2}, dtype)) {
          resample(from, dims, to);
          expect_close(to, out, close, close);
        }
      }
      for (const Tensor& from : layouts(g)) {
        for (const Tensor& to : empty_layouts(Shape{2, 3, 4}, dtype)) {
          resample_backward(from, dims, to);
          expect_close(to, grad, close, close);
        }
      }
    }
  }
}

TEST(ResampleKernelTest, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(Shape{40, 30, 30}, DType::kFloat32);
  const std::array dims{dim(ResampleMode::kLinear, 30, 47), dim(ResampleMode::kLinear, 30, 20)};
  expect_threads_do_not_matter({DType::kFloat32, {40, 47, 20}}, [&](const Tensor& out) { resample(x, dims, out); });
}

}  // namespace
}  // namespace tapewire::kernels
