#include "core/kernels/softmax.h"

#include <array>

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

// Calls f(indices of one line) for every line along `dim`.
void for_each_line(const Tensor& x, int64_t dim, const std::function<void(const std::vector<size_t>&)>& f) {
  int64_t inner = 1;
  for (int64_t d = dim + 1; d < x.dim(); ++d) inner *= x.sizes()[static_cast<size_t>(d)];
  const int64_t length = x.dim() == 0 ? 1 : x.sizes()[static_cast<size_t>(dim)];
  for (int64_t start = 0; start < x.numel(); ++start) {
    if (start / inner % length != 0) continue;
    std::vector<size_t> line;
    for (int64_t k = 0; k < length; ++k) line.push_back(static_cast<size_t>(start + k * inner));
    f(line);
  }
}

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{{},        {6},          {3, 10},    {64, 10}, {2, 1000},
                                      {2, 5, 7}, {3, 4, 5, 6}, {2, 3, 90}, {0, 4},   {70, 513}};
  return all;
}

template <class F>
void check_all(const F& check) {
  for (const DType dtype : kFloats) {
    for (const Shape& shape : shapes()) {
      for (int64_t dim = 0; dim < std::max<int64_t>(1, static_cast<int64_t>(shape.size())); ++dim)
        check(dtype, shape, dim);
    }
  }
}

TEST(Softmax, ForwardAlongEveryDimension) {
  check_all([](DType dtype, const Shape& shape, int64_t dim) {
    const Tensor x = random_tensor(shape, dtype, -9, 9);
    const std::vector<double> in = x.to_vector<double>();
    std::vector<double> soft(in.size());
    std::vector<double> logs(in.size());
    for_each_line(x, dim, [&](const std::vector<size_t>& line) {
      double most = in[line[0]];
      for (const size_t i : line) most = std::max(most, in[i]);
      double sum = 0;
      for (const size_t i : line) sum += std::exp(in[i] - most);
      for (const size_t i : line) {
        soft[i] = std::exp(in[i] - most) / sum;
        logs[i] = in[i] - most - std::log(sum);
      }
    });
    const double tol = dtype == DType::kFloat32 ? 3e-6 : 1e-14;
    for (const Tensor& from : layouts(x)) {
      for (const Tensor& out : empty_layouts(shape, dtype)) {
        softmax(from, dim, out);
        expect_close(out, soft, tol, 0, to_string(shape));
        log_softmax(from, dim, out);
        expect_close(out, logs, tol, tol, to_string(shape));
      }
      const Tensor mine = Tensor::empty(shape, dtype);
      copy(from, mine);
      softmax(mine, dim, mine);
      expect_close(mine, soft, tol);
      copy(from, mine);
      log_softmax(mine, dim, mine);
      expect_close(mine, logs, tol, tol);
    }
  });
}

TEST(Softmax, BackwardAlongEveryDimension) {
  check_all([](DType dtype, const Shape& shape, int64_t dim) {
    const Tensor x = random_tensor(shape, dtype, -3, 3);
    const Tensor grad = random_tensor(shape, dtype, -1, 1, 5);
    const Tensor soft = Tensor::empty(shape, dtype);
    const Tensor logs = Tensor::empty(shape, dtype);
    softmax(x, dim, soft);
    log_softmax(x, dim, logs);
    const std::vector<double> y = soft.to_vector<double>();
    const std::vector<double> z = logs.to_vector<double>();
    const std::vector<double> g = grad.to_vector<double>();
    std::vector<double> want_soft(y.size());
    std::vector<double> want_logs(y.size());
    for_each_line(x, dim, [&](const std::vector<size_t>& line) {
      double dot = 0;
      double sum = 0;
      for (const size_t i : line) {
        dot += g[i] * y[i];
        sum += g[i];
      }
      for (const size_t i : line) {
        want_soft[i] = y[i] * (g[i] - dot);
        want_logs[i] = g[i] - std::exp(z[i]) * sum;
      }
    });
    const double tol = dtype == DType::kFloat32 ? 3e-5 : 1e-13;
    for (const Tensor& from : layouts(grad)) {
      for (const Tensor& out : empty_layouts(shape, dtype)) {
        softmax_backward(from, soft, dim, out);
        expect_close(out, want_soft, tol, tol, to_string(shape));
        log_softmax_backward(from, logs, dim, out);
        expect_close(out, want_logs, tol, tol, to_string(shape));
      }
    }
  });
}

// The largest is taken off along every dimension: neither exp(2000) nor 0 / 0 is an answer.
TEST(Softmax, TakesLargeValuesAlongEveryDimension) {
  struct Case {
    std::array<double, 3> line, soft, logs;
    double tolerance;  // of an argument near 2000, in float32
  };
  const double ln2 = std::log(2.0);
  const std::vector<Case> cases{
      {{2000, 2000 + ln2, 2000}, {0.25, 0.5, 0.25}, {-2 * ln2, -ln2, -2 * ln2}, 2e-4},
      {{-2000, -2000 + ln2, -2000}, {0.25, 0.5, 0.25}, {-2 * ln2, -ln2, -2 * ln2}, 2e-4},
      {{-2000, 2000, -2000}, {0, 1, 0}, {-4000, 0, -4000}, 0},
  };
  const std::vector<std::pair<Shape, int64_t>> lines_of_three{{{3}, 0}, {{2, 3}, 1}, {{2, 3, 2}, 1}, {{3, 70}, 0}};
  for (const Case& c : cases) {
    for (const auto& [shape, dim] : lines_of_three) {
      for (const DType dtype : kFloats) {
        const Tensor x = Tensor::empty(shape, dtype);
        std::vector<double> in(static_cast<size_t>(x.numel()));
        std::vector<double> soft(in.size());
        std::vector<double> logs(in.size());
        size_t turn = 0;  // no two neighbouring lines are alike
        for_each_line(x, dim, [&](const std::vector<size_t>& line) {
          ++turn;
          for (size_t k = 0; k < 3; ++k) {
            in[line[(k + turn) % 3]] = c.line[k];
            soft[line[(k + turn) % 3]] = c.soft[k];
            logs[line[(k + turn) % 3]] = c.logs[k];
          }
        });
        copy(Tensor::of<double>(in, shape), x);
        const Tensor out = Tensor::empty(shape, dtype);
        softmax(x, dim, out);
        expect_close(out, soft, c.tolerance, 0, to_string(shape));
        log_softmax(x, dim, out);
        expect_close(out, logs, c.tolerance, 0, to_string(shape));
      }
    }
  }
}

TEST(Softmax, KeepsInfinitiesAndNan) {
  const Tensor x = Tensor::of<float>({1, -INFINITY, 1, NAN, 0, 0, -INFINITY, -INFINITY, -INFINITY}, {3, 3});
  const Tensor out = Tensor::empty({3, 3});
  softmax(x, 1, out);
  expect_close(out, {0.5, 0, 0.5, NAN, NAN, NAN, NAN, NAN, NAN}, 1e-7);
}

TEST(Softmax, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(ints({900, 130}), DType::kFloat32);
  expect_threads_do_not_matter({DType::kFloat32, {900, 130}}, [&](const Tensor& out) { softmax(x, 1, out); });
  expect_threads_do_not_matter({DType::kFloat32, {900, 130}}, [&](const Tensor& out) { log_softmax(x, 0, out); });
}

}  // namespace
}  // namespace tapewire::kernels
