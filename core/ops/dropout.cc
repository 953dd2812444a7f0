#include "core/ops/dropout.h"

#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/kernels/binary.h"
#include "core/kernels/random.h"
#include "core/ops/arithmetic.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

// Ones with probability 1 - p, else zeros: one number an element, or one a channel of [N, C, *].
Tensor draw(std::string_view op, const Tensor& x, double p, bool channels) {
  if (!is_floating(x.dtype())) fail(op, ": expects float32 or float64, got ", name_of(x.dtype()));
  Shape sizes = x.sizes();
  if (channels) {
    if (x.dim() < 2) fail(op, ": Feature dropout requires at least 2 dimensions in the input, got ", x.dim());
    for (size_t i = 2; i < sizes.size(); ++i) sizes[i] = 1;
  }
  const Tensor out = Tensor::empty(sizes, x.dtype());
  kernels::bernoulli(out, 1 - p, current_generator());
  return out;
}

// Whether there is anything to do.
bool drops(std::string_view op, const Tensor& x, double p, bool training) {
  if (!(p >= 0 && p <= 1)) fail(op, ": dropout probability has to be between 0 and 1, but got ", p);
  return training && p > 0 && x.numel() > 0;
}

// out = f(out, number), elementwise.
void change(kernels::BinaryOp f, const Tensor& out, double number) {
  kernels::binary(f, out, Tensor::scalar(number, out.dtype()), out);
}

Tensor dropped(std::string_view op, const Tensor& x, double p, bool training, bool channels) {
  if (!drops(op, x, p, training)) return x;
  if (p == 1) return mul(x, Tensor::zeros({}, x.dtype()));
  const Tensor noise = draw(op, x, p, channels);
  change(kernels::BinaryOp::kDiv, noise, 1 - p);
  return mul(x, noise);
}

// x * a where kept, and selu's lower limit -alpha * scale, moved, where not.
Tensor alpha_dropped(std::string_view op, const Tensor& x, double p, bool training, bool channels) {
  if (!drops(op, x, p, training)) return x;
  if (p == 1) return mul(x, Tensor::zeros({}, x.dtype()));
  constexpr double kLimit = 1.7580993408473766;
  const double a = 1 / std::sqrt((kLimit * kLimit * p + 1) * (1 - p));
  const Tensor noise = draw(op, x, p, channels);
  const Tensor shift = Tensor::empty(noise.sizes(), noise.dtype());
  kernels::add_scaled(noise, Tensor::scalar(1.0, noise.dtype()), -1, shift);
  change(kernels::BinaryOp::kMul, shift, kLimit * a);
  change(kernels::BinaryOp::kAdd, shift, kLimit * a * p);
  change(kernels::BinaryOp::kMul, noise, a);
  return add(mul(x, noise), shift);
}

struct Dropout {
  using Attrs = DropoutAttrs;
  static constexpr auto name = "dropout";
  static constexpr auto doc = "in training, zeroes elements with probability p and scales the rest by 1 / (1 - p)";
  static constexpr std::array inputs{input("input")};
  static constexpr bool random = true;
  static Tensor compose(const Attrs& a, Inputs in) { return dropped(name, in[0], a.p, a.training, false); }
};

// dropout1d and dropout3d take [C, *] too; dropout2d sees the first two dimensions as N and C, as PyTorch's does.
template <int64_t kSpatial>
struct ChannelDropout {
  using Attrs = DropoutAttrs;
  static constexpr auto name = kSpatial == 1 ? "dropout1d" : kSpatial == 2 ? "dropout2d" : "dropout3d";
  static constexpr auto doc = "in training, zeroes channels of [N, C, *] with probability p and scales the rest";
  static constexpr std::array inputs{input("input")};
  static constexpr bool random = true;
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (kSpatial == 1 && x.dim() != 2 && x.dim() != 3) {
      fail(name, ": Expected 2D or 3D input, but received a ", x.dim(),
           "D input. Note that dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, a "
           "channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs).");
    }
    if (kSpatial == 2 || x.dim() == kSpatial + 2 || !drops(name, x, a.p, a.training)) {
      return dropped(name, x, a.p, a.training, true);
    }
    return squeeze(dropped(name, unsqueeze(x, 0), a.p, a.training, true), 0);
  }
};

template <bool kChannels>
struct AlphaDropout {
  using Attrs = AlphaDropoutAttrs;
  static constexpr auto name = kChannels ? "feature_alpha_dropout" : "alpha_dropout";
  static constexpr auto doc = kChannels ? "in training, alpha_dropout of whole channels of [N, C, *]"
                                        : "in training, dropout that keeps selu's mean 0 and variance 1";
  static constexpr std::array inputs{input("input")};
  static constexpr bool random = true;
  static Tensor compose(const Attrs& a, Inputs in) { return alpha_dropped(name, in[0], a.p, a.training, kChannels); }
};

const OpFamily kFamily{op_def<Dropout>(),           op_def<ChannelDropout<1>>(),   op_def<ChannelDropout<2>>(),
                       op_def<ChannelDropout<3>>(), op_def<AlphaDropout<false>>(), op_def<AlphaDropout<true>>()};

}  // namespace

Tensor dropout(const Tensor& x, const DropoutAttrs& attrs) { return apply<Dropout>(attrs, {x}); }
Tensor dropout1d(const Tensor& x, const DropoutAttrs& attrs) { return apply<ChannelDropout<1>>(attrs, {x}); }
Tensor dropout2d(const Tensor& x, const DropoutAttrs& attrs) { return apply<ChannelDropout<2>>(attrs, {x}); }
Tensor dropout3d(const Tensor& x, const DropoutAttrs& attrs) { return apply<ChannelDropout<3>>(attrs, {x}); }
Tensor alpha_dropout(const Tensor& x, const AlphaDropoutAttrs& attrs) { return apply<AlphaDropout<false>>(attrs, {x}); }
Tensor feature_alpha_dropout(const Tensor& x, const AlphaDropoutAttrs& attrs) {
  return apply<AlphaDropout<true>>(attrs, {x});
}

}  // namespace tapewire
