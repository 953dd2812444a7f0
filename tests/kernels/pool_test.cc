#include "core/kernels/pool.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

struct Case {
  Shape x;
  PoolParams params;
  Shape out;  // spatial part; with ceil_mode longer than the windows that fit
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {{2, 3, 8, 6}, {{2, 2}, {2, 2}, {0, 0}, {1, 1}}, {4, 3}},
      {{2, 3, 9, 7}, {{2, 2}, {2, 2}, {0, 0}, {1, 1}}, {4, 3}},
      {{2, 3, 9, 7}, {{2, 2}, {2, 2}, {0, 0}, {1, 1}}, {5, 4}},  // ceil
      {{1, 2, 9, 10}, {{3, 2}, {2, 1}, {1, 1}, {1, 1}}, {5, 11}},
      {{1, 2, 9, 10}, {{3, 2}, {1, 2}, {0, 0}, {2, 3}}, {5, 4}},  // dilated
      {{2, 2, 11}, {{3}, {2}, {1}, {1}}, {6}},
      {{1, 2, 4, 5, 6}, {{2, 3, 2}, {2, 1, 2}, {1, 1, 0}, {1, 1, 1}}, {3, 5, 3}},
      {{1, 1, 30, 60}, {{2, 2}, {2, 2}, {0, 0}, {1, 1}}, {15, 30}},
      {{0, 3, 8, 6}, {{2, 2}, {2, 2}, {0, 0}, {1, 1}}, {4, 3}},
  };
  return all;
}

Shape out_shape(const Case& c) {
  Shape shape{c.x[0], c.x[1]};
  shape.insert(shape.end(), c.out.begin(), c.out.end());
  return shape;
}

// Calls f(plane, output index, x index in the plane) for each element of each window, in row-major order.
void for_each_tap(const Case& c, const std::function<void(size_t, size_t, size_t)>& f) {
  const size_t rank = c.out.size();
  const auto padded = [&](const Shape& list, int64_t filler) {
    Shape three(3 - rank, filler);
    three.insert(three.end(), list.end() - static_cast<int64_t>(rank), list.end());
    return three;
  };
  const Shape in = padded(c.x, 1);
  const Shape out = padded(c.out, 1);
  const Shape kernel = padded(c.params.kernel, 1);
  const Shape stride = padded(c.params.stride, 1);
  const Shape padding = padded(c.params.padding, 0);
  const Shape dilation = padded(c.params.dilation, 1);
  const int64_t taps = kernel[0] * kernel[1] * kernel[2];
  for (int64_t p = 0; p < c.x[0] * c.x[1]; ++p) {
    for (int64_t o = 0; o < out[0] * out[1] * out[2]; ++o) {
      const int64_t place[3] = {o / out[2] / out[1], o / out[2] % out[1], o % out[2]};
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t tap[3] = {t / kernel[2] / kernel[1], t / kernel[2] % kernel[1], t % kernel[2]};
        int64_t at = 0;
        bool inside = true;
        for (size_t d = 0; d < 3; ++d) {
          const int64_t i = place[d] * stride[d] - padding[d] + tap[d] * dilation[d];
          inside = inside && i >= 0 && i < in[d];
          at = at * in[d] + i;
        }
        if (inside) f(static_cast<size_t>(p), static_cast<size_t>(o), static_cast<size_t>(at));
      }
    }
  }
}

TEST(MaxPool, FindsTheFirstLargestOfEachWindow) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kUInt8}) {
    for (const Case& c : cases()) {
      const Tensor x = random_tensor(c.x, dtype, -4, 4);  // few values in integers: ties
      const std::vector<double> xs = x.to_vector<double>();
      const Shape shape = out_shape(c);
      const size_t full = xs.size() / static_cast<size_t>(std::max<int64_t>(1, c.x[0] * c.x[1]));
      const size_t pooled = static_cast<size_t>(numel_of(c.out));
      std::vector<double> want(static_cast<size_t>(numel_of(shape)), -INFINITY);
      std::vector<double> where(want.size());
      for_each_tap(c, [&](size_t p, size_t o, size_t i) {
        if (xs[p * full + i] > want[p * pooled + o]) {
          want[p * pooled + o] = xs[p * full + i];
          where[p * pooled + o] = static_cast<double>(i);
        }
      });
      for (const Tensor& from : layouts(x)) {
        const std::vector<Tensor> outs = empty_layouts(shape, dtype);
        const std::vector<Tensor> indices = empty_layouts(shape, DType::kInt64);
        for (size_t i = 0; i < outs.size(); ++i) {
          max_pool(from, c.params, outs[i], indices[i]);
          expect_close(outs[i], want, 0, 0, to_string(c.x));
          expect_close(indices[i], where, 0, 0, to_string(c.x));
        }
      }
    }
  }
}

TEST(MaxPool, NanWinsItsWindow) {
  for (const Shape& stride : {Shape{2, 2}, Shape{1, 1}}) {
    const Tensor x = Tensor::of<float>({1, 2, NAN, 5, 3, 4, 6, 7}, {1, 1, 2, 4});
    const Shape shape{1, 1, 1, stride[1] == 2 ? 2 : 3};
    const Tensor out = Tensor::empty(shape);
    const Tensor indices = Tensor::empty(shape, DType::kInt64);
    max_pool(x, {{2, 2}, stride, {0, 0}, {1, 1}}, out, indices);
    EXPECT_EQ(out.to_vector<double>()[0], 4);
    EXPECT_TRUE(std::isnan(out.to_vector<double>().back()));
    EXPECT_EQ(indices.to_vector<int64_t>().back(), 2);
  }
}

TEST(MaxPool, AgreesWithPyTorch) {
  const Tensor x = Tensor::of<double>({1, 5, 3, 2, 8, 6, 4, 7, 9, 0, 2, 2}, {1, 1, 3, 4});
  const auto check = [&](const PoolParams& params, const Shape& shape, const std::vector<double>& want,
                         const std::vector<int64_t>& where) {
    const Tensor out = Tensor::empty(shape, DType::kFloat64);
    const Tensor indices = Tensor::empty(shape, DType::kInt64);
    max_pool(x, params, out, indices);
    EXPECT_EQ(out.to_vector<double>(), want);
    EXPECT_EQ(indices.to_vector<int64_t>(), where);
  };
  check({{2, 2}, {2, 2}, {1, 1}, {1, 1}}, {1, 1, 2, 3}, {1, 5, 2, 9, 6, 7}, {0, 1, 3, 8, 5, 7});
  check({{2, 2}, {1, 1}, {0, 0}, {2, 2}}, {1, 1, 1, 2}, {9, 5}, {8, 1});
  check({{3, 3}, {3, 3}, {0, 0}, {1, 1}}, {1, 1, 1, 2}, {9, 7}, {8, 7});
}

TEST(MaxPool, BackwardAddsAndGatherReadsAtTheIndices) {
  for (const DType dtype : kFloats) {
    for (const Case& c : cases()) {
      const Shape shape = out_shape(c);
      const Tensor x = random_tensor(c.x, dtype);
      const Tensor indices = Tensor::empty(shape, DType::kInt64);
      max_pool(x, c.params, Tensor::empty(shape, dtype), indices);
      const Tensor grad = random_tensor(shape, dtype, -1, 1, 7);
      const std::vector<double> gs = grad.to_vector<double>();
      const std::vector<double> xs = x.to_vector<double>();
      const std::vector<int64_t> at = indices.to_vector<int64_t>();
      const size_t full = xs.size() / static_cast<size_t>(std::max<int64_t>(1, c.x[0] * c.x[1]));
      const size_t pooled = static_cast<size_t>(numel_of(c.out));
      std::vector<double> want(xs.size());
      std::vector<double> gathered(gs.size());
      for (size_t i = 0; i < gs.size(); ++i) {
        const size_t place = i / pooled * full + static_cast<size_t>(at[i]);
        want[place] += gs[i];
        gathered[i] = xs[place];
      }
      for (const Tensor& g : layouts(grad)) {
        for (const Tensor& out : empty_layouts(c.x, dtype)) {
          max_pool_backward(g, indices, out);
          expect_close(out, want, tolerance(dtype), tolerance(dtype));
        }
      }
      for (const Tensor& from : layouts(x)) {
        for (const Tensor& out : empty_layouts(shape, dtype)) {
          gather_planes(from, indices, out);
          expect_close(out, gathered, 0);
        }
      }
    }
  }
}

TEST(MaxPool, RefusesAnIndexOutsideThePlane) {
  const Tensor indices = Tensor::of<int64_t>({9}, {1, 1, 1, 1});
  const std::string message =
      error_of([&] { max_pool_backward(Tensor::zeros({1, 1, 1, 1}), indices, Tensor::zeros({1, 1, 3, 3})); });
  EXPECT_NE(message.find("index 9 is out of bounds for a plane of 9"), std::string::npos);
}

TEST(AvgPool, AgreesWithPyTorch) {
  const Tensor x = Tensor::of<double>({1, 5, 3, 2, 8, 6, 4, 7, 9, 0, 2, 2}, {1, 1, 3, 4});
  const auto check = [&](const PoolParams& params, bool include, std::optional<int64_t> divisor, const Shape& shape,
                         const std::vector<double>& want) {
    const Tensor out = Tensor::empty(shape, DType::kFloat64);
    avg_pool(x, params, include, divisor, out);
    expect_close(out, want, 1e-15);
  };
  check({{2, 2}, {2, 2}, {1, 1}, {}}, true, std::nullopt, {1, 1, 2, 3}, {0.25, 2.0, 0.5, 4.25, 3.0, 2.25});
  check({{3, 3}, {2, 2}, {1, 1}, {}}, false, std::nullopt, {1, 1, 2, 2}, {5.0, 4.5, 5.75, 3.5});
  check({{2, 2}, {3, 3}, {0, 0}, {}}, true, std::nullopt, {1, 1, 1, 2}, {5.0, 4.5});
  check({{2, 2}, {2, 2}, {0, 0}, {}}, true, 8, {1, 1, 1, 2}, {2.5, 2.0});
}

TEST(AvgPool, BackwardIsTheTranspose) {
  for (const DType dtype : kFloats) {
    for (const Case& c : cases()) {
      if (c.params.dilation != Shape(c.params.dilation.size(), 1)) continue;
      for (const bool include : {true, false}) {
        for (const std::optional<int64_t> divisor : {std::optional<int64_t>{}, std::optional<int64_t>{3}}) {
          const Shape shape = out_shape(c);
          const Tensor x = random_tensor(c.x, dtype);
          const Tensor grad = random_tensor(shape, dtype, -1, 1, 4);
          double forward = 0;
          for (const Tensor& from : layouts(x)) {
            const Tensor out = Tensor::empty(shape, dtype);
            avg_pool(from, c.params, include, divisor, out);
            forward = 0;
            const std::vector<double> ys = out.to_vector<double>();
            const std::vector<double> gs = grad.to_vector<double>();
            for (size_t i = 0; i < ys.size(); ++i) forward += ys[i] * gs[i];
          }
          for (const Tensor& g : layouts(grad)) {
            for (const Tensor& out : empty_layouts(c.x, dtype)) {
              avg_pool_backward(g, c.params, include, divisor, out);
              double backward = 0;
              const std::vector<double> bs = out.to_vector<double>();
              const std::vector<double> xs = x.to_vector<double>();
              for (size_t i = 0; i < xs.size(); ++i) backward += xs[i] * bs[i];
              EXPECT_NEAR(forward, backward, dtype == DType::kFloat32 ? 1e-3 : 1e-11);
            }
          }
        }
      }
    }
  }
}

TEST(Pool, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(ints({64, 10, 24, 24}), DType::kFloat32);
  const PoolParams params{{2, 2}, {2, 2}, {0, 0}, {1, 1}};
  const TensorSpec pooled{DType::kFloat32, {64, 10, 12, 12}};
  const Tensor indices = Tensor::empty(pooled.shape, DType::kInt64);
  expect_threads_do_not_matter(pooled, [&](const Tensor& out) { max_pool(x, params, out, indices); });
  expect_threads_do_not_matter(pooled, [&](const Tensor& out) { avg_pool(x, params, true, {}, out); });
  const Tensor grad = random_tensor(pooled.shape, DType::kFloat32);
  expect_threads_do_not_matter(x.spec(), [&](const Tensor& out) { max_pool_backward(grad, indices, out); });
}

}  // namespace
}  // namespace tapewire::kernels
