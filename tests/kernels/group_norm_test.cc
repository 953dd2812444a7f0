#include "core/kernels/group_norm.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

struct Case {
  int64_t batch, groups, channels, plane;
};
const std::vector<Case> kCases{{3, 1, 5, 1}, {2, 3, 2, 7}, {1, 2, 1, 1}, {2, 2, 70, 1}, {4, 1, 3, 33}, {0, 2, 3, 1}};

// Everything by its definition, in double.
struct Reference {
  std::vector<double> mean, rstd, out, grad_x, grad_w, grad_b;

  Reference(const Case& c, const Tensor& tx, const Tensor& tg, const Tensor& tw, const Tensor& tb, bool centred,
            double eps) {
    const std::vector<double> x = tx.to_vector<double>();
    const std::vector<double> g = tg.to_vector<double>();
    const std::vector<double> w = tw.to_vector<double>();
    const std::vector<double> b = tb.to_vector<double>();
    const int64_t length = c.channels * c.plane;
    const auto count = static_cast<double>(length);
    out.resize(x.size());
    grad_x.resize(x.size());
    grad_w.resize(w.size());
    grad_b.resize(w.size());
    for (int64_t row = 0; row < c.batch * c.groups; ++row) {
      const auto at = [&](int64_t i) { return static_cast<size_t>(row * length + i); };
      const auto channel = [&](int64_t i) { return static_cast<size_t>(row % c.groups * c.channels + i / c.plane); };
      double m = 0;
      double squares = 0;
      for (int64_t i = 0; centred && i < length; ++i) m += x[at(i)] / count;
      for (int64_t i = 0; i < length; ++i) squares += (x[at(i)] - m) * (x[at(i)] - m) / count;
      const double r = 1 / std::sqrt(squares + eps);
      mean.push_back(m);
      rstd.push_back(r);
      double sum = 0;
      double dot = 0;
      for (int64_t i = 0; i < length; ++i) {
        const double hat = (x[at(i)] - m) * r;
        out[at(i)] = hat * w[channel(i)] + b[channel(i)];
        grad_w[channel(i)] += g[at(i)] * hat;
        grad_b[channel(i)] += g[at(i)];
        sum += g[at(i)] * w[channel(i)] / count;
        dot += g[at(i)] * w[channel(i)] * hat / count;
      }
      for (int64_t i = 0; i < length; ++i) {
        const double hat = (x[at(i)] - m) * r;
        grad_x[at(i)] = (g[at(i)] * w[channel(i)] - (centred ? sum : 0) - hat * dot) * r;
      }
    }
  }
};

TEST(GroupNormKernelTest, AgreesWithItsDefinition) {
  for (const DType dtype : kFloats) {
    const double close = dtype == DType::kFloat32 ? 3e-5 : 1e-12;
    for (const Case& c : kCases) {
      for (const bool centred : {true, false}) {
        const Shape sizes{c.batch, c.groups, c.channels, c.plane};
        const Shape per_channel{c.groups, c.channels};
        const Tensor weight = random_tensor(per_channel, dtype, -2, 2, 3);
        const Tensor bias = random_tensor(per_channel, dtype, -2, 2, 4);
        const Tensor grad = random_tensor(sizes, dtype, -1, 1, 5);
        for (const Tensor& x : layouts(random_tensor(sizes, dtype))) {
          const Reference want(c, x, grad, weight, bias, centred, 1e-3);
          const Tensor mean = Tensor::empty({c.batch, c.groups}, dtype);
          const Tensor rstd = Tensor::empty({c.batch, c.groups}, dtype);
          group_moments(x, centred, 1e-3, mean, rstd);
          expect_close(mean, want.mean, close, close, "mean");
          expect_close(rstd, want.rstd, close, close, "rstd");
          for (const Tensor& out : empty_layouts(sizes, dtype)) {
            group_norm_forward(x, mean, rstd, weight, bias, out);
            expect_close(out, want.out, close, close, "out");
          }
          const Tensor grad_x = Tensor::empty(sizes, dtype);
          const Tensor grad_w = Tensor::empty(per_channel, dtype);
          const Tensor grad_b = Tensor::empty(per_channel, dtype);
          group_norm_backward(grad, x, centred, mean, rstd, weight, grad_x, grad_w, grad_b);
          expect_close(grad_x, want.grad_x, close, close, "grad_x");
          expect_close(grad_w, want.grad_w, close, close, "grad_w");
          expect_close(grad_b, want.grad_b, close, close, "grad_b");
        }
      }
    }
  }
}

TEST(GroupNormKernelTest, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(Shape{64, 2, 100, 17}, DType::kFloat32);
  const Tensor mean = Tensor::empty({64, 2}, DType::kFloat32);
  const Tensor rstd = Tensor::empty({64, 2}, DType::kFloat32);
  group_moments(x, true, 1e-5, mean, rstd);
  expect_threads_do_not_matter({DType::kFloat32, {64, 2}},
                               [&](const Tensor& out) { group_moments(x, true, 1e-5, mean, out); });
  expect_threads_do_not_matter({DType::kFloat32, {2, 100}}, [&](const Tensor& out) {
    group_norm_backward(x, x, true, mean, rstd, {}, {}, out, {});
  });
  expect_threads_do_not_matter({DType::kFloat32, x.sizes()}, [&](const Tensor& out) {
    group_norm_backward(x, x, true, mean, rstd, {}, out, {}, {});
  });
}

}  // namespace
}  // namespace tapewire::kernels
