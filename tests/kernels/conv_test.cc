#include "core/kernels/conv.h"

#include "core/kernels/conv_impl.h"
#include "core/kernels/onednn.h"
#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

struct Case {
  Shape x, w;
  ConvParams params;
};

int64_t at(const Shape& list, size_t i, size_t rank) { return i + rank < 3 ? 0 : list[i + rank - 3]; }

Shape out_shape(const Case& c) {
  Shape out{c.x[0], c.w[0]};
  for (size_t d = 0; d < c.params.stride.size(); ++d) {
    const int64_t reach = c.params.dilation[d] * (c.w[2 + d] - 1) + 1;
    out.push_back((c.x[2 + d] + 2 * c.params.padding[d] - reach) / c.params.stride[d] + 1);
  }
  return out;
}

// Calls f(x index, w index, out index) for every product of the convolution.
void for_each_product(const Case& c, const std::function<void(size_t, size_t, size_t)>& f) {
  const size_t rank = c.params.stride.size();
  const Shape out = out_shape(c);
  const auto size = [&](const Shape& s, size_t d) { return d + rank < 3 ? int64_t{1} : s[2 + d + rank - 3]; };
  const int64_t group_in = c.w[1];
  const int64_t group_out = c.w[0] / c.params.groups;
  for (int64_t n = 0; n < c.x[0]; ++n)
    for (int64_t o = 0; o < c.w[0]; ++o)
      for (int64_t i = 0; i < group_in; ++i)
        for (int64_t d = 0; d < size(out, 0); ++d)
          for (int64_t h = 0; h < size(out, 1); ++h)
            for (int64_t w = 0; w < size(out, 2); ++w)
              for (int64_t kd = 0; kd < size(c.w, 0); ++kd)
                for (int64_t kh = 0; kh < size(c.w, 1); ++kh)
                  for (int64_t kw = 0; kw < size(c.w, 2); ++kw) {
                    const int64_t place[3] = {d, h, w};
                    const int64_t tap[3] = {kd, kh, kw};
                    int64_t in[3];
                    bool inside = true;
                    for (size_t k = 0; k < 3; ++k) {
                      const int64_t stride = k + rank < 3 ? 1 : at(c.params.stride, k, rank);
                      const int64_t dilation = k + rank < 3 ? 1 : at(c.params.dilation, k, rank);
                      in[k] = place[k] * stride - at(c.params.padding, k, rank) + tap[k] * dilation;
                      inside = inside && in[k] >= 0 && in[k] < size(c.x, k);
                    }
                    if (!inside) continue;
                    const int64_t channel = o / group_out * group_in + i;
                    const auto flat = [&](const Shape& s, int64_t a, int64_t b, const int64_t* p) {
                      return static_cast<size_t>(
                          (((a * s[1] + b) * size(s, 0) + p[0]) * size(s, 1) + p[1]) * size(s, 2) + p[2]);
                    };
                    f(flat(c.x, n, channel, in), flat(c.w, o, i, tap), flat(out, n, o, place));
                  }
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {{2, 1, 12, 12}, {5, 1, 5, 5}, {{1, 1}, {0, 0}, {1, 1}, 1}},     // direct
      {{3, 10, 12, 12}, {20, 10, 5, 5}, {{1, 1}, {0, 0}, {1, 1}, 1}},  // direct
      {{1, 3, 9, 11}, {7, 3, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1}},      // direct, padded, partial vectors
      {{2, 2, 8, 17}, {3, 2, 2, 7}, {{1, 1}, {1, 3}, {1, 1}, 1}},      // direct, unequal sides
      {{2, 3, 20}, {4, 3, 2}, {{1}, {1}, {1}, 1}},                     // one dimension, direct
      {{2, 3, 30}, {4, 3, 5}, {{2}, {2}, {2}, 1}},                     // one dimension
      {{2, 16, 10, 10}, {24, 16, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1}},  // blocks of eight
      {{3, 8, 9, 9}, {16, 8, 3, 3}, {{2, 2}, {1, 1}, {1, 1}, 1}},      // stride
      {{2, 9, 9, 10}, {11, 9, 3, 2}, {{2, 1}, {1, 0}, {1, 2}, 1}},     // odd channels, dilation
      {{2, 8, 7, 7}, {12, 2, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 4}},      // groups
      {{2, 6, 8, 8}, {6, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 6}},       // depthwise
      {{4, 12, 6, 6}, {20, 12, 1, 1}, {{1, 1}, {0, 0}, {1, 1}, 1}},    // a matrix product
      {{4, 12, 7, 7}, {20, 12, 1, 1}, {{2, 2}, {0, 0}, {1, 1}, 1}},    // the same, strided
      {{2, 3, 5, 6, 7}, {4, 3, 3, 3, 3}, {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, 1}},
      {{1, 2, 6, 7, 8}, {4, 1, 2, 3, 2}, {{2, 1, 2}, {0, 1, 1}, {1, 2, 1}, 2}},
      {{2, 2, 3, 3}, {2, 2, 3, 3}, {{1, 1}, {4, 4}, {1, 1}, 1}},  // padding beyond the kernel
      {{9, 4, 24, 24}, {6, 4, 5, 5}, {{1, 1}, {2, 2}, {1, 1}, 1}},
      {{1, 2, 3}, {3, 2, 3}, {{1}, {4096}, {1}, 1}},                   // nearly all of it padding
      {{2, 2, 1000}, {3, 2, 3}, {{100}, {1}, {1}, 1}},                 // a stride over most of it
      {{2, 2, 1000}, {3, 2, 3}, {{1}, {0}, {400}, 1}},                 // elements far apart
      {{1, 8, 759}, {1, 8, 300}, {{1}, {7}, {1}, 1}},                  // rows of columns that are cut
      {{1, 8, 1600}, {1, 8, 300}, {{2}, {100}, {2}, 1}},               // the same, strided
      {{1, 1, 42, 420}, {1, 1, 41, 70}, {{1, 1}, {0, 9}, {1, 1}, 1}},  // and in two dimensions
  };
  return all;
}

double tol(DType dtype) { return dtype == DType::kFloat32 ? 1e-4 : 1e-12; }

ConvShape square(int64_t batch, int64_t in, int64_t out, int64_t size, int64_t groups = 1) {
  ConvShape s;
  s.batch = batch;
  s.in_channels = in;
  s.out_channels = out;
  s.groups = groups;
  s.in = s.out = {1, size, size};
  s.kernel = {1, 3, 3};
  s.padding = {0, 1, 1};
  return s;
}

// Shapes whose work is cut along the batch, the channels and the groups, against our own way.
TEST(OneDnn, PiecesGiveTheWhole) {
  for (const ConvShape& s : {square(3, 160, 72, 80), square(1, 192, 72, 80), square(2, 192, 320, 48, 2)}) {
    ASSERT_TRUE(onednn::suits(s));
    const Tensor x = random_tensor(Shape{s.batch * s.in_channels * s.in_plane()}, DType::kFloat32, -1, 1, 1);
    const Tensor w = random_tensor(Shape{s.weight_count()}, DType::kFloat32, -1, 1, 2);
    const Tensor bias = random_tensor(Shape{s.out_channels}, DType::kFloat32, -1, 1, 3);
    const Tensor grad = random_tensor(Shape{s.batch * s.out_channels * s.out_plane()}, DType::kFloat32, -1, 1, 4);
    const auto* xs = x.data<float>();
    const auto* ws = w.data<float>();
    const auto* gs = grad.data<float>();
    const auto check = [&](const char* what, int64_t size, double tolerance, const auto& ours, const auto& library) {
      const Tensor want = Tensor::empty({size});
      const Tensor got = Tensor::empty({size});
      ours(want.mutable_data<float>());
      ASSERT_TRUE(library(got.mutable_data<float>())) << what;
      expect_close(got, want.to_vector<double>(), tolerance, tolerance, what);
    };
    check(
        "out", grad.numel(), 1e-3, [&](float* to) { conv_columns::forward(s, xs, ws, bias.data<float>(), to); },
        [&](float* to) { return onednn::conv_forward(s, xs, ws, bias.data<float>(), to); });
    check(
        "grad_x", x.numel(), 1e-3, [&](float* to) { conv_columns::backward_input(s, gs, ws, to); },
        [&](float* to) { return onednn::conv_backward_input(s, gs, ws, to); });
    check(
        "grad_w", w.numel(), 1e-2, [&](float* to) { conv_columns::backward_weight(s, gs, xs, to); },
        [&](float* to) { return onednn::conv_backward_weight(s, gs, xs, to); });
  }
}

TEST(OneDnn, IsGivenTheShapesThatNetworksHave) {
  const ConvShape usual = square(8, 16, 16, 32);
  EXPECT_TRUE(onednn::suits(usual));
  const auto with = [&](const auto& change) {
    ConvShape s = usual;
    change(s);
    for (size_t d = 0; d < 3; ++d) {
      s.out[d] = (s.in[d] + 2 * s.padding[d] - s.dilation[d] * (s.kernel[d] - 1) - 1) / s.stride[d] + 1;
    }
    return s;
  };
  EXPECT_TRUE(onednn::suits(with([](ConvShape& s) { s.stride[1] = 2; })));
  EXPECT_TRUE(onednn::suits(with([](ConvShape& s) { s.padding[2] = s.dilation[2] = 2; })));
  EXPECT_TRUE(onednn::suits(with([](ConvShape& s) { s.padding[2] = 2; })));
  // Windows that see nothing but padding.
  EXPECT_FALSE(onednn::suits(with([](ConvShape& s) { s.padding[2] = 3; })));
  EXPECT_FALSE(onednn::suits(with([](ConvShape& s) { s.padding[1] = 65'536; })));
  EXPECT_FALSE(onednn::suits(with([](ConvShape& s) { s.in[2] = 200, s.dilation[2] = 60, s.padding[2] = 100; })));
  EXPECT_FALSE(onednn::suits(with([](ConvShape& s) { s.stride[1] = 100; })));
  EXPECT_FALSE(onednn::suits(with([](ConvShape& s) { s.in[2] = 1000, s.dilation[2] = 100; })));
  EXPECT_FALSE(onednn::suits(with([](ConvShape& s) { s.in[2] = 1000, s.kernel[2] = 100; })));
  EXPECT_FALSE(onednn::suits(with([](ConvShape& s) { s.in[1] = s.in[2] = 8192; })));
  ConvShape shorter = usual;
  --shorter.out[2];
  EXPECT_FALSE(onednn::suits(shorter));
}

std::string describe(const Case& c, DType dtype) {
  return to_string(c.x) + " * " + to_string(c.w) + " " + std::string(name_of(dtype));
}

TEST(Conv, ForwardAgreesWithThePlainSum) {
  for (const DType dtype : kFloats) {
    for (const Case& c : cases()) {
      const Tensor x = random_tensor(c.x, dtype, -1, 1, 1);
      const Tensor w = random_tensor(c.w, dtype, -1, 1, 2);
      const Tensor bias = random_tensor(Shape{c.w[0]}, dtype, -1, 1, 3);
      const std::vector<double> xs = x.to_vector<double>();
      const std::vector<double> ws = w.to_vector<double>();
      const std::vector<double> bs = bias.to_vector<double>();
      const Shape shape = out_shape(c);
      std::vector<double> plain(static_cast<size_t>(numel_of(shape)));
      for_each_product(c, [&](size_t i, size_t k, size_t o) { plain[o] += xs[i] * ws[k]; });
      std::vector<double> biased = plain;
      const size_t plane = plain.size() / static_cast<size_t>(shape[0] * shape[1]);
      for (size_t i = 0; i < biased.size(); ++i) biased[i] += bs[i / plane % bs.size()];
      for (const Tensor& from : layouts(x)) {
        for (const Tensor& out : empty_layouts(shape, dtype)) {
          conv_forward(from, w, Tensor(), c.params, out);
          expect_close(out, plain, tol(dtype), tol(dtype), describe(c, dtype));
          conv_forward(from, layouts(w).back(), bias, c.params, out);
          expect_close(out, biased, tol(dtype), tol(dtype), describe(c, dtype));
        }
      }
    }
  }
}

TEST(Conv, BackwardIsTheTranspose) {
  for (const DType dtype : kFloats) {
    for (const Case& c : cases()) {
      const Shape shape = out_shape(c);
      const Tensor x = random_tensor(c.x, dtype, -1, 1, 1);
      const Tensor w = random_tensor(c.w, dtype, -1, 1, 2);
      const Tensor grad = random_tensor(shape, dtype, -1, 1, 3);
      const std::vector<double> xs = x.to_vector<double>();
      const std::vector<double> ws = w.to_vector<double>();
      const std::vector<double> gs = grad.to_vector<double>();
      std::vector<double> want_x(xs.size());
      std::vector<double> want_w(ws.size());
      std::vector<double> want_b(static_cast<size_t>(shape[1]));
      for_each_product(c, [&](size_t i, size_t k, size_t o) {
        want_x[i] += ws[k] * gs[o];
        want_w[k] += xs[i] * gs[o];
      });
      const size_t plane = gs.size() / static_cast<size_t>(shape[0] * shape[1]);
      for (size_t i = 0; i < gs.size(); ++i) want_b[i / plane % want_b.size()] += gs[i];
      for (const Tensor& g : layouts(grad)) {
        for (const Tensor& out : empty_layouts(c.x, dtype)) {
          conv_backward_input(g, w, c.params, out);
          expect_close(out, want_x, tol(dtype), tol(dtype), "input " + describe(c, dtype));
        }
        for (const Tensor& out : empty_layouts(c.w, dtype)) {
          conv_backward_weight(g, x, c.params, out);
          expect_close(out, want_w, tol(dtype), 4 * tol(dtype), "weight " + describe(c, dtype));
        }
        const Tensor out = Tensor::empty(Shape{shape[1]}, dtype);
        conv_backward_bias(g, out);
        expect_close(out, want_b, tol(dtype), 4 * tol(dtype), "bias " + describe(c, dtype));
      }
    }
  }
}

TEST(Conv, EmptyBatchGivesZeroGradients) {
  const ConvParams params{{1, 1}, {0, 0}, {1, 1}, 1};
  for (const DType dtype : kFloats) {
    const Tensor x = Tensor::zeros({0, 3, 8, 8}, dtype);
    const Tensor w = random_tensor(ints({4, 3, 3, 3}), dtype);
    const Tensor out = Tensor::zeros({0, 4, 6, 6}, dtype);
    conv_forward(x, w, Tensor(), params, out);
    conv_backward_input(out, w, params, x);
    const Tensor grad_w = Tensor::full({4, 3, 3, 3}, 5.0, dtype);
    conv_backward_weight(out, x, params, grad_w);
    for (const double v : grad_w.to_vector<double>()) EXPECT_EQ(v, 0);
  }
}

TEST(Conv, ThreadsDoNotMatter) {
  for (const Case& c : std::vector<Case>{{{32, 1, 28, 28}, {10, 1, 5, 5}, {{1, 1}, {0, 0}, {1, 1}, 1}},
                                         {{33, 10, 12, 12}, {20, 10, 5, 5}, {{1, 1}, {0, 0}, {1, 1}, 1}},
                                         {{9, 64, 14, 14}, {64, 64, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1}},
                                         {{1, 64, 28, 28}, {128, 64, 3, 3}, {{2, 2}, {1, 1}, {1, 1}, 1}},
                                         {{2, 64, 28, 28}, {128, 64, 1, 1}, {{1, 1}, {0, 0}, {1, 1}, 1}}}) {
    for (const DType dtype : kFloats) {
      const Shape shape = out_shape(c);
      const Tensor x = random_tensor(c.x, dtype, -1, 1, 1);
      const Tensor w = random_tensor(c.w, dtype, -1, 1, 2);
      const Tensor grad = random_tensor(shape, dtype, -1, 1, 3);
      expect_threads_do_not_matter({dtype, shape},
                                   [&](const Tensor& out) { conv_forward(x, w, Tensor(), c.params, out); });
      expect_threads_do_not_matter({dtype, c.x},
                                   [&](const Tensor& out) { conv_backward_input(grad, w, c.params, out); });
      expect_threads_do_not_matter({dtype, c.w},
                                   [&](const Tensor& out) { conv_backward_weight(grad, x, c.params, out); });
    }
  }
}

TEST(Conv, RefusesShapesThatDoNotFit) {
  const ConvParams params{{1, 1}, {0, 0}, {1, 1}, 1};
  const std::string message = error_of([&] {
    conv_forward(Tensor::zeros({1, 3, 8, 8}), Tensor::zeros({4, 2, 3, 3}), Tensor(), params,
                 Tensor::zeros({1, 4, 6, 6}));
  });
  EXPECT_NE(message.find("[4, 2, 3, 3]"), std::string::npos);
}

}  // namespace
}  // namespace tapewire::kernels
