#include "core/ops/probability_loss.h"

#include "core/base/error.h"
#include "core/kernels/loss.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/exponential.h"
#include "core/ops/loss_support.h"
#include "core/ops/maximum.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"
#include "core/ops/selection.h"
#include "core/ops/smooth_activation.h"

namespace tapewire {
namespace {

// Where size_average would stand, PyTorch's positional arguments of a loss end.
constexpr std::array<std::string_view, 2> kInputTarget{"input", "target"};
constexpr std::array<std::string_view, 3> kInputTargetWeight{"input", "target", "weight"};

Tensor weighted(const Tensor& losses, const Tensor& weight) { return weight.defined() ? mul(losses, weight) : losses; }

constexpr double kSmall = 1e-12;  // the least that is divided by

// The gradient of binary_cross_entropy_elements by its input. Its own gradient is the slope of
// (x - t) / ((1 - x) x), kept finite at 0 and 1 as PyTorch does: otherwise than here.
struct BinaryCrossEntropyBackward {
  using Attrs = NoAttrs;
  static constexpr auto name = "binary_cross_entropy_backward";
  static constexpr auto doc = "grad * (input - target) / max((1 - input) * input, 1e-12)";
  static constexpr std::array inputs{input("grad"), input("input"), input("target")};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr std::array saves{save_input(0), save_input(1), save_input(2)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
    const Shape sizes = broadcast_shapes(name, in[1].sizes, in[2].sizes);
    return {{in[0].dtype, broadcast_shapes(name, in[0].sizes, sizes)}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) {
    kernels::binary_cross_entropy_backward(in[0], in[1], in[2], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(1);
    const Tensor t = v.input(2);
    Tensors out(3);
    if (v.needs(0)) out[0] = apply<BinaryCrossEntropyBackward>({}, {g, x, t});
    const Tensor both = mul(g, v.input(0));
    if (v.needs(1)) {
      const Tensor top = add(sub(square(x), mul(mul(x, t), 2.0)), t);
      out[1] = div(mul(both, top), square(mul(add(x, kSmall), add(1.0 - x, kSmall))));
    }
    if (v.needs(2)) out[2] = neg(div(both, clamp_min(mul(1.0 - x, x), kSmall)));
    return out;
  }
};

// Its logarithms are cut off, its gradient's denominator is elsewhere: a vjp of its own.
struct BinaryCrossEntropyElements {
  using Attrs = NoAttrs;
  static constexpr auto name = "binary_cross_entropy_elements";
  static constexpr auto doc = "-(target * log(input) + (1 - target) * log(1 - input)), logarithms no less than -100";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr std::array saves{save_input(0), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
    return {{in[0].dtype, broadcast_shapes(name, in[0].sizes, in[1].sizes)}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::binary_cross_entropy(in[0], in[1], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    Tensors out(2);
    if (v.needs(0)) out[0] = apply<BinaryCrossEntropyBackward>({}, {g, x, v.input(1)});
    if (v.needs(1)) out[1] = mul(g, sub(log1p(neg(x)), log(x)));
    return out;
  }
};

struct BinaryCrossEntropy {
  using Attrs = LossAttrs;
  static constexpr auto name = "binary_cross_entropy";
  static constexpr auto doc = "-(target * log(input) + (1 - target) * log(1 - input)), weighted and reduced";
  static constexpr std::array inputs{input("input"), input("target"), optional_input("weight")};
  static constexpr auto order = kInputTargetWeight;
  static Tensor compose(const Attrs& a, Inputs in) {
    if (in[0].sizes() != in[1].sizes()) {
      fail(name, ": Using a target size (", to_string(in[1].sizes()), ") that is different to the input size (",
           to_string(in[0].sizes()), ") is deprecated. Please ensure they have the same size.");
    }
    return reduce_losses(weighted(apply<BinaryCrossEntropyElements>({}, {in[0], in[1]}), in[2]), a.reduction);
  }
};

struct BinaryCrossEntropyWithLogits {
  using Attrs = LossAttrs;
  static constexpr auto name = "binary_cross_entropy_with_logits";
  static constexpr auto doc = "binary_cross_entropy of sigmoid(input), weighted and reduced";
  static constexpr std::array inputs{input("input"), input("target"), optional_input("weight"),
                                     optional_input("pos_weight")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    const Tensor& target = in[1];
    if (x.sizes() != target.sizes()) {
      fail(name, ": Target size (", to_string(target.sizes()), ") must be the same as input size (",
           to_string(x.sizes()), ")");
    }
    const Tensor log_likelihood = logsigmoid(x);
    const Tensor positive = in[3].defined() ? mul(add(mul(sub(in[3], 1), target), 1), log_likelihood) : log_likelihood;
    return reduce_losses(weighted(sub(mul(1.0 - target, x), positive), in[2]), a.reduction);
  }
};

// t log(t), 0 (with gradient 0) where t is 0.
Tensor times_own_log(const Tensor& t) {
  const Tensor zero = eq(t, 0);
  return masked_fill(mul(t, log(masked_fill(t, zero, 1))), zero, 0);
}

struct KlDiv {
  using Attrs = KlDivAttrs;
  static constexpr auto name = "kl_div";
  static constexpr auto doc = "target * (log(target) - input), reduced; input holds logarithms";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr auto order = kInputTarget;
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    const Tensor& target = in[1];
    const Tensor losses = a.log_target ? mul(exp(target), sub(target, x)) : sub(times_own_log(target), mul(target, x));
    if (a.reduction == KlReduction::kMean) return mean(losses);
    if (a.reduction == KlReduction::kNone) return losses;
    const Tensor total = sum(losses);
    if (a.reduction == KlReduction::kSum || x.dim() == 0) return total;
    return div(total, static_cast<double>(x.size(0)));
  }
};

struct SoftMarginLoss {
  using Attrs = LossAttrs;
  static constexpr auto name = "soft_margin_loss";
  static constexpr auto doc = "log(1 + exp(-target * input)), reduced";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr auto order = kInputTarget;
  static Tensor compose(const Attrs& a, Inputs in) {
    return reduce_losses(neg(logsigmoid(mul(in[1], in[0]))), a.reduction);
  }
};

struct MultilabelSoftMarginLoss {
  using Attrs = LossAttrs;
  static constexpr auto name = "multilabel_soft_margin_loss";
  static constexpr auto doc = "the mean over classes, the last dimension, of binary_cross_entropy_with_logits";
  static constexpr std::array inputs{input("input"), input("target"), optional_input("weight")};
  static constexpr auto order = kInputTargetWeight;
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    const Tensor& target = in[1];
    if (x.dim() == 0) fail(name, ": expects input [*, C], got []");
    const Tensor log_likelihood = add(mul(target, logsigmoid(x)), mul(1.0 - target, logsigmoid(neg(x))));
    return reduce_losses(mean(weighted(neg(log_likelihood), in[2]), {.dim = Shape{-1}}), a.reduction);
  }
};

const OpFamily kFamily{op_def<BinaryCrossEntropyBackward>(),
                       op_def<BinaryCrossEntropyElements>(),
                       op_def<BinaryCrossEntropy>(),
                       op_def<BinaryCrossEntropyWithLogits>(),
                       op_def<KlDiv>(),
                       op_def<SoftMarginLoss>(),
                       op_def<MultilabelSoftMarginLoss>()};

}  // namespace

Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight, const LossAttrs& attrs) {
  return apply<BinaryCrossEntropy>(attrs, {x, target, weight});
}
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight,
                                        const Tensor& pos_weight, const LossAttrs& attrs) {
  return apply<BinaryCrossEntropyWithLogits>(attrs, {x, target, weight, pos_weight});
}
Tensor kl_div(const Tensor& x, const Tensor& target, const KlDivAttrs& attrs) {
  return apply<KlDiv>(attrs, {x, target});
}
Tensor soft_margin_loss(const Tensor& x, const Tensor& target, const LossAttrs& attrs) {
  return apply<SoftMarginLoss>(attrs, {x, target});
}
Tensor multilabel_soft_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight,
                                   const LossAttrs& attrs) {
  return apply<MultilabelSoftMarginLoss>(attrs, {x, target, weight});
}

}  // namespace tapewire
