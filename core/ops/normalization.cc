#include "core/ops/normalization.h"

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/kernels/binary.h"
#include "core/kernels/norm.h"
#include "core/ops/arithmetic.h"
#include "core/ops/average_pooling.h"
#include "core/ops/pad.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

Shape channel_sizes(int64_t channels, int64_t dims) {
  Shape sizes(static_cast<size_t>(dims), 1);
  sizes[1] = channels;
  return sizes;
}

Shape all_but_channel(int64_t dims) {
  Shape out{0};
  for (int64_t d = 2; d < dims; ++d) out.push_back(d);
  return out;
}

// Batch norm with the statistics it used as hidden outputs: they are on the tape, so that differentiating the gradient
// again is right in x too.
struct NativeBatchNorm {
  using Attrs = BatchNormAttrs;
  static constexpr auto name = "native_batch_norm";
  static constexpr auto doc = "batch_norm with its statistics on the tape";
  static constexpr std::array inputs{input("input"), optional_input("running_mean"), optional_input("running_var"),
                                     optional_input("weight"), optional_input("bias")};
  static constexpr std::array outputs{output("output"), output("mean").hidden(), output("rstd").hidden()};
  static constexpr std::array saves{save_input(0), save_input(3), save_output(1), save_output(2)};

  static TensorSpecs infer(const Attrs& a, Specs in) {
    const Spec& x = in[0];
    if (x.dim() < 2) fail("batch_norm: expects input [N, C, *], got ", to_string(x));
    if (!is_floating(x.dtype)) fail("batch_norm: expects float32 or float64, got ", name_of(x.dtype));
    const int64_t channels = x.size(1);
    for (size_t i = 1; i < 5; ++i) {
      if (!in[i].defined) continue;
      if (in[i].dim() != 1 || in[i].size(0) != channels) {
        fail("batch_norm: ", inputs[i].name, " should contain ", channels, " elements not ", in[i].numel());
      }
      if (in[i].dtype != x.dtype) {
        fail("batch_norm: expected ", inputs[i].name, " of dtype ", name_of(x.dtype), ", got ", name_of(in[i].dtype));
      }
    }
    if (!a.training && (!in[1].defined || !in[2].defined)) {
      fail("batch_norm: Expected running_mean and running_var to be defined when training=False");
    }
    const int64_t per_channel = channels == 0 ? 0 : x.numel() / channels;
    if (a.training && per_channel == 1) {
      fail("batch_norm: Expected more than 1 value per channel when training, got input size ", to_string(x.sizes));
    }
    return {{x.dtype, x.shape()}, {x.dtype, {channels}}, {x.dtype, {channels}}};
  }

  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Tensor& x = in[0];
    if (a.training) {
      const Tensor var = Tensor::empty(out[1].sizes(), x.dtype());
      kernels::channel_moments(x, out[1], var);
      kernels::reciprocal_std(var, a.eps, out[2]);
      const double count = static_cast<double>(x.numel()) / static_cast<double>(std::max<int64_t>(x.size(1), 1));
      if (count > 0) move_running(in[1], out[1], a.momentum);
      if (in[2].defined() && count > 1) {
        kernels::binary(kernels::BinaryOp::kMul, var, Tensor::scalar(count / (count - 1), x.dtype()), var);
        move_running(in[2], var, a.momentum);
      }
    } else {
      kernels::add_scaled(in[1], Tensor::scalar(0.0, x.dtype()), 1, out[1]);
      kernels::reciprocal_std(in[2], a.eps, out[2]);
    }
    kernels::batch_norm_forward(x, out[1], out[2], in[3], in[4], out[0]);
  }

  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const bool plain = !v.has_grad(1) && !v.has_grad(2);
    return plain && !grad_enabled() ? fused_vjp(a, v) : composed_vjp(a, v);
  }

  static Tensors fused_vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    const Tensor weight = v.input(3);
    Tensors out(5);
    const auto like = [&](size_t i, Ints sizes) { return v.needs(i) ? Tensor::empty(sizes, x.dtype()) : Tensor(); };
    out[0] = like(0, x.sizes());
    out[3] = like(3, v.output_spec(1).shape);
    out[4] = like(4, v.output_spec(1).shape);
    kernels::batch_norm_backward(g, x, v.output(1), v.output(2), weight, a.training, out[0], out[3], out[4]);
    return out;
  }

  // output = (x - mean) * rstd * weight + bias, with mean and rstd taken as variables of their own whose cotangents
  // then go on to x (in training): d mean / dx = 1 / n and d rstd / dx = -rstd^3 (x - mean) / n.
  static Tensors composed_vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    const int64_t channels = x.size(1);
    const Shape across = all_but_channel(x.dim());
    const auto by_channel = [&](const Tensor& c) { return view(c, channel_sizes(channels, x.dim())); };
    const auto per_channel = [&](const Tensor& t) { return sum(t, {.dim = across}); };
    const Tensor mean = v.output(1);
    const Tensor rstd = v.output(2);
    const Tensor weight = v.input(3);
    const Tensor centred = sub(x, by_channel(mean));
    Tensors out(5);
    if (v.needs(0)) {
      const Tensor scaled = weight.defined() ? mul(g, by_channel(weight)) : g;
      out[0] = mul(scaled, by_channel(rstd));
      if (a.training) {
        const double count = static_cast<double>(x.numel()) / static_cast<double>(std::max<int64_t>(channels, 1));
        Tensor to_mean = neg(mul(rstd, per_channel(scaled)));
        if (v.has_grad(1)) to_mean = add(to_mean, v.grad(1));
        Tensor to_rstd = per_channel(mul(scaled, centred));
        if (v.has_grad(2)) to_rstd = add(to_rstd, v.grad(2));
        const Tensor slope = mul(neg(div(to_rstd, count)), pow(rstd, 3));
        out[0] = add(out[0], add(by_channel(div(to_mean, count)), mul(centred, by_channel(slope))));
      }
    }
    if (v.needs(3)) out[3] = per_channel(mul(mul(g, centred), by_channel(rstd)));
    if (v.needs(4)) out[4] = per_channel(g);
    return out;
  }
};

struct BatchNorm {
  using Attrs = BatchNormAttrs;
  static constexpr auto name = "batch_norm";
  static constexpr auto doc = "normalises each channel of [N, C, *] by the batch's or the running statistics";
  static constexpr std::array inputs{input("input"), optional_input("running_mean"), optional_input("running_var"),
                                     optional_input("weight"), optional_input("bias")};
  static Tensor compose(const Attrs& a, Inputs in) {
    if (in[0].dim() == 1 && in[0].numel() == 0) return clone(in[0]);
    return apply<NativeBatchNorm>(a, {in[0], in[1], in[2], in[3], in[4]});
  }
};

struct LocalResponseNorm {
  using Attrs = LocalResponseNormAttrs;
  static constexpr auto name = "local_response_norm";
  static constexpr auto doc = "input / (k + alpha * mean of squares over neighbouring channels) ** beta";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (x.dim() < 3) {
      fail(name, ": Expected 3D or higher dimensionality input (got ", x.dim(), " dimensions)");
    }
    if (a.size < 1) fail(name, ": size must be at least 1, got ", a.size);
    if (x.numel() == 0) return x;
    // The channels as a dimension to pool over, all that is behind them as another.
    const Tensor squares = reshape(mul(x, x), {x.size(0), 1, x.size(1), x.numel() / x.size(0) / x.size(1)});
    const Tensor padded = pad(squares, {.pad = {0, 0, a.size / 2, (a.size - 1) / 2}});
    AvgPoolAttrs window;
    window.kernel_size = {a.size, 1};
    window.stride = Shape{1};
    const Tensor means = reshape(avg_pool2d(padded, window), x.sizes());
    return div(x, pow(add(mul(means, a.alpha), a.k), a.beta));
  }
};

const OpFamily kFamily{op_def<NativeBatchNorm>(), op_def<BatchNorm>(), op_def<LocalResponseNorm>()};

}  // namespace

void move_running(const Tensor& running, const Tensor& seen, double momentum) {
  if (!running.defined()) return;
  const DType dtype = running.dtype();
  kernels::binary(kernels::BinaryOp::kMul, running, Tensor::scalar(1 - momentum, dtype), running);
  kernels::add_scaled(running, seen, momentum, running);
  running.storage().bump_version();
}

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                  const Tensor& bias, const BatchNormAttrs& attrs) {
  return apply<BatchNorm>(attrs, {x, running_mean, running_var, weight, bias});
}

Tensor local_response_norm(const Tensor& x, const LocalResponseNormAttrs& attrs) {
  return apply<LocalResponseNorm>(attrs, {x});
}

}  // namespace tapewire
