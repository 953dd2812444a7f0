#include "core/kernels/norm.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

struct Reference {
  std::vector<double> mean, var, out, grad_x, grad_w, grad_b;
};

constexpr double kEps = 1e-5;

Reference reference(const Tensor& x, const Tensor& grad, const std::vector<double>& w, const std::vector<double>& b,
                    bool training, const std::vector<double>& fixed_mean, const std::vector<double>& fixed_var) {
  const size_t channels = static_cast<size_t>(x.sizes()[1]);
  const size_t batch = static_cast<size_t>(x.sizes()[0]);
  const std::vector<double> xs = x.to_vector<double>();
  const std::vector<double> gs = grad.to_vector<double>();
  const size_t plane = xs.size() / (batch * channels);
  const double count = static_cast<double>(batch * plane);
  Reference r;
  r.out.resize(xs.size());
  r.grad_x.resize(xs.size());
  for (size_t c = 0; c < channels; ++c) {
    const auto each = [&](const std::function<void(size_t)>& f) {
      for (size_t n = 0; n < batch; ++n) {
        for (size_t p = 0; p < plane; ++p) f((n * channels + c) * plane + p);
      }
    };
    double mean = 0;
    double var = 0;
    each([&](size_t i) { mean += xs[i] / count; });
    each([&](size_t i) { var += (xs[i] - mean) * (xs[i] - mean) / count; });
    r.mean.push_back(mean);
    r.var.push_back(var);
    if (!training) {
      mean = fixed_mean[c];
      var = fixed_var[c];
    }
    const double rstd = 1 / std::sqrt(var + kEps);
    double sum = 0;
    double dot = 0;
    each([&](size_t i) {
      const double normal = (xs[i] - mean) * rstd;
      r.out[i] = normal * w[c] + b[c];
      sum += gs[i];
      dot += gs[i] * normal;
    });
    each([&](size_t i) {
      const double normal = (xs[i] - mean) * rstd;
      r.grad_x[i] = w[c] * rstd * (training ? gs[i] - sum / count - normal * dot / count : gs[i]);
    });
    r.grad_w.push_back(dot);
    r.grad_b.push_back(sum);
  }
  return r;
}

TEST(BatchNorm, ForwardAndBackwardFollowTheFormulas) {
  for (const DType dtype : kFloats) {
    for (const Shape& shape :
         {Shape{4, 3, 5, 6}, Shape{7, 70}, Shape{5, 4, 3}, Shape{3, 2, 400}, Shape{2, 3, 2, 3, 4}}) {
      const int64_t channels = shape[1];
      const Tensor x = random_tensor(shape, dtype, -2, 3, 1);
      const Tensor grad = random_tensor(shape, dtype, -1, 1, 2);
      const Tensor w = random_tensor(Shape{channels}, dtype, 0.5, 2, 3);
      const Tensor b = random_tensor(Shape{channels}, dtype, -1, 1, 4);
      const Tensor running_mean = random_tensor(Shape{channels}, dtype, -1, 1, 5);
      const Tensor running_var = random_tensor(Shape{channels}, dtype, 0.5, 2, 6);
      const double tol = dtype == DType::kFloat32 ? 2e-5 : 1e-12;
      for (const bool training : {true, false}) {
        const Reference r = reference(x, grad, w.to_vector<double>(), b.to_vector<double>(), training,
                                      running_mean.to_vector<double>(), running_var.to_vector<double>());
        for (const Tensor& from : layouts(x)) {
          Tensor mean = Tensor::empty(Shape{channels}, dtype);
          Tensor var = Tensor::empty(Shape{channels}, dtype);
          channel_moments(from, mean, var);
          expect_close(mean, r.mean, tol, tol);
          expect_close(var, r.var, tol, tol);
          if (!training) {
            mean = running_mean;
            var = running_var;
          }
          const Tensor rstd = Tensor::empty(Shape{channels}, dtype);
          reciprocal_std(var, kEps, rstd);
          for (const Tensor& out : empty_layouts(shape, dtype)) {
            batch_norm_forward(from, mean, rstd, w, b, out);
            expect_close(out, r.out, tol, tol, to_string(shape));
          }
          for (const Tensor& gx : empty_layouts(shape, dtype)) {
            const Tensor gw = Tensor::empty(Shape{channels}, dtype);
            const Tensor gb = Tensor::empty(Shape{channels}, dtype);
            batch_norm_backward(layouts(grad)[1], from, mean, rstd, w, training, gx, gw, gb);
            expect_close(gx, r.grad_x, tol, tol, to_string(shape));
            expect_close(gw, r.grad_w, tol, 20 * tol, to_string(shape));
            expect_close(gb, r.grad_b, tol, 20 * tol, to_string(shape));
          }
        }
      }
    }
  }
}

TEST(BatchNorm, WorksWithoutWeightAndWithoutSomeGradients) {
  const Tensor x = random_tensor(ints({6, 2, 9}), DType::kFloat64);
  const Tensor mean = Tensor::empty({2}, DType::kFloat64);
  const Tensor var = Tensor::empty({2}, DType::kFloat64);
  const Tensor rstd = Tensor::empty({2}, DType::kFloat64);
  channel_moments(x, mean, var);
  reciprocal_std(var, kEps, rstd);
  const Reference r = reference(x, x, {1, 1}, {0, 0}, true, {}, {});
  const Tensor out = Tensor::empty(x.sizes(), DType::kFloat64);
  batch_norm_forward(x, mean, rstd, Tensor(), Tensor(), out);
  expect_close(out, r.out, 1e-12, 1e-12);
  batch_norm_backward(x, x, mean, rstd, Tensor(), true, out, Tensor(), Tensor());
  expect_close(out, r.grad_x, 1e-12, 1e-12);
  const Tensor gb = Tensor::empty({2}, DType::kFloat64);
  batch_norm_backward(x, x, mean, rstd, Tensor(), true, Tensor(), Tensor(), gb);
  expect_close(gb, r.grad_b, 1e-12, 1e-12);
}

TEST(BatchNorm, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(ints({16, 32, 30, 30}), DType::kFloat32);
  const Tensor grad = random_tensor(x.sizes(), DType::kFloat32, -1, 1, 2);
  const Tensor mean = Tensor::empty({32});
  const Tensor rstd = Tensor::empty({32});
  channel_moments(x, mean, rstd);
  expect_threads_do_not_matter({DType::kFloat32, {32}},
                               [&](const Tensor& out) { channel_moments(x, Tensor::empty({32}), out); });
  expect_threads_do_not_matter(x.spec(),
                               [&](const Tensor& out) { batch_norm_forward(x, mean, rstd, Tensor(), Tensor(), out); });
  expect_threads_do_not_matter(x.spec(), [&](const Tensor& out) {
    batch_norm_backward(grad, x, mean, rstd, Tensor(), true, out, Tensor(), Tensor());
  });
}

}  // namespace
}  // namespace tapewire::kernels
