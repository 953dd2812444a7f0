#include "core/ops/loss.h"

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/kernels/binary.h"
#include "core/kernels/copy.h"
#include "core/kernels/index.h"
#include "core/kernels/reduce.h"
#include "core/kernels/unary.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/exponential.h"
#include "core/ops/loss_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

struct MseLoss {
  using Attrs = LossAttrs;
  static constexpr auto name = "mse_loss";
  static constexpr auto doc = "(input - target) ** 2, reduced";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr std::array<std::string_view, 2> order{"input", "target"};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (!is_floating(in[0].dtype)) fail("mse_loss: expects float32 or float64, got ", name_of(in[0].dtype));
    const Shape both = broadcast_shapes(name, in[0].sizes, in[1].sizes);
    return {{in[0].dtype, a.reduction == Reduction::kNone ? both : Shape{}}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (a.reduction == Reduction::kNone) {
      kernels::binary(kernels::BinaryOp::kSub, in[0], in[1], out[0]);
      kernels::unary(kernels::UnaryOp::kSquare, out[0], out[0]);
      return;
    }
    const Tensor difference = Tensor::empty(broadcast_shapes(name, in[0].sizes(), in[1].sizes()), in[0].dtype());
    kernels::binary(kernels::BinaryOp::kSub, in[0], in[1], difference);
    double loss = kernels::sum_of_squares(difference);
    if (a.reduction == Reduction::kMean) loss /= static_cast<double>(difference.numel());
    kernels::fill(out[0], loss);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor x = v.input(0);
    const Tensor target = v.input(1);
    const Tensor difference = sub(x, target);
    double factor = 2;
    if (a.reduction == Reduction::kMean) factor /= static_cast<double>(difference.numel());
    const Tensor g = mul(mul(v.grad(), factor), difference);
    return {v.needs(0) ? g : Tensor(), v.needs(1) ? neg(g) : Tensor()};
  }
};

void check_target(std::string_view op, const Spec& x, const Spec& target, const Spec& weight) {
  if (!is_floating(x.dtype)) fail(op, ": expects float32 or float64, got ", name_of(x.dtype));
  if (x.dim() < 2) fail(op, ": expects input [N, C, *], got ", to_string(x));
  if (target.dtype != DType::kInt64) {
    fail(op, ": expected target of dtype int64 but got ", name_of(target.dtype));
  }
  Shape expected{x.size(0)};
  expected.insert(expected.end(), x.sizes.begin() + 2, x.sizes.end());
  if (target.shape() != expected) {
    fail(op, ": Expected target size ", to_string(expected), ", got ", to_string(target.sizes));
  }
  if (weight.defined && (weight.dim() != 1 || weight.size(0) != x.size(1) || weight.dtype != x.dtype)) {
    fail(op, ": weight tensor should be defined either for all ", x.size(1), " classes or no classes but got weight ",
         to_string(weight));
  }
}

struct NllBackwardAttrs {
  Shape size;
  int64_t ignore_index = -100;
  static constexpr auto fields() {
    return std::tuple{field("size", &NllBackwardAttrs::size, "sizes of the input"),
                      field("ignore_index", &NllBackwardAttrs::ignore_index, "a target that does not count")};
  }
};

struct NllBackward {
  using Attrs = NllBackwardAttrs;
  static constexpr auto name = "nll_loss_backward";
  static constexpr auto doc = "-weight[t] * grad at each target's class, else 0";
  static constexpr std::array inputs{input("grad"), input("target").fixed(), optional_input("weight")};
  static constexpr std::array saves{save_input(1), save_input(2)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    numel_of(a.size);
    check_target(name, {in[0].dtype, a.size, true}, in[1], in[2]);
    if (in[0].dim() > 0 && in[0].shape() != in[1].shape()) {
      fail(name, ": expects grad [] or of the target's sizes ", to_string(in[1].sizes), ", got ",
           to_string(in[0].sizes));
    }
    return {{in[0].dtype, a.size}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::nll_backward(in[0], in[1], in[2], a.ignore_index, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    // Linear in grad; one that was 0-d gets the sum, by the engine.
    const NllLossAttrs none{.ignore_index = a.ignore_index, .reduction = Reduction::kNone};
    return {nll_loss(v.grad(), v.input(1), v.input(2), none), Tensor(), Tensor()};
  }
};

struct NllElements {
  using Attrs = NllLossAttrs;
  static constexpr auto name = "nll_loss_nd";
  static constexpr auto doc = "nll_loss of [N, C, *]; with the sum of the weights that count on the tape";
  static constexpr std::array inputs{input("input"), input("target").fixed(), optional_input("weight")};
  static constexpr std::array outputs{output("output"), output("total_weight").hidden().no_grad()};
  static constexpr std::array saves{save_input(1), save_input(2), save_output(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_target("nll_loss", in[0], in[1], in[2]);
    return {{in[0].dtype, a.reduction == Reduction::kNone ? in[1].shape() : Shape{}}, {in[0].dtype, {}}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (a.reduction == Reduction::kNone) {
      kernels::nll_forward(in[0], in[1], in[2], a.ignore_index, out[0], out[1]);
    } else {
      kernels::nll_forward_reduced(in[0], in[1], in[2], a.ignore_index, a.reduction == Reduction::kMean, out[0],
                                   out[1]);
    }
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    Tensor g = v.grad();
    if (a.reduction == Reduction::kMean) g = div(g, v.output(1));
    return {apply<NllBackward>({v.sizes(0), a.ignore_index}, {g, v.input(1), v.input(2)}), Tensor(), Tensor()};
  }
};

struct NllLoss {
  using Attrs = NllLossAttrs;
  static constexpr auto name = "nll_loss";
  static constexpr auto doc = "-weight[t] * input[n, t, *], reduced";
  static constexpr std::array inputs{input("input"), input("target"), optional_input("weight")};
  static constexpr std::array<std::string_view, 3> order{"input", "target", "weight"};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (x.dim() == 1) {
      if (in[1].dim() > 1) fail("nll_loss: expects a target [] or [1] for input ", to_string(x.sizes()));
      const Tensor loss = apply<NllElements>(a, {unsqueeze(x, 0), reshape(in[1], {1}), in[2]});
      return a.reduction == Reduction::kNone ? reshape(loss, in[1].sizes()) : loss;
    }
    return apply<NllElements>(a, {x, in[1], in[2]});
  }
};

struct CrossEntropy {
  using Attrs = CrossEntropyAttrs;
  static constexpr auto name = "cross_entropy";
  static constexpr auto doc = "nll_loss of log_softmax over the classes; target: classes or their probabilities";
  static constexpr std::array inputs{input("input"), input("target"), optional_input("weight")};
  static constexpr std::array<std::string_view, 3> order{"input", "target", "weight"};

  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (!(a.label_smoothing >= 0 && a.label_smoothing <= 1)) {
      fail("cross_entropy: label_smoothing must be between 0.0 and 1.0. Got: ", a.label_smoothing);
    }
    if (x.dim() < 1) fail("cross_entropy: expects input [C] or [N, C, *], got []");
    const int64_t classes = x.dim() == 1 ? 0 : 1;
    if (in[2].defined() && (in[2].dim() != 1 || in[2].numel() != x.size(classes))) {
      fail("cross_entropy: weight tensor should be defined either for all ", x.size(classes),
           " classes or no classes but got weight ", to_string(in[2].spec()));
    }
    const Tensor log_probs = log_softmax(x, {classes});
    if (is_floating(in[1].dtype()) && in[1].sizes() == x.sizes())
      return with_probabilities(a, log_probs, in[1], in[2], classes);
    const NllLossAttrs nll{a.ignore_index, a.reduction};
    if (a.label_smoothing == 0) return nll_loss(log_probs, in[1], in[2], nll);
    return smoothed(a, log_probs, in[1], in[2], classes);
  }

  static Tensor by_class(const Tensor& weight, const Tensor& x, int64_t classes) {
    Shape sizes(x.sizes().size(), 1);
    sizes[static_cast<size_t>(classes)] = weight.numel();
    return view(weight, sizes);
  }

  static Tensor with_probabilities(const Attrs& a, const Tensor& log_probs, const Tensor& target, const Tensor& weight,
                                   int64_t classes) {
    Tensor t = to(target, log_probs.dtype());
    if (a.label_smoothing > 0) {
      t = add(mul(t, 1 - a.label_smoothing), a.label_smoothing / static_cast<double>(log_probs.size(classes)));
    }
    Tensor terms = mul(log_probs, t);
    if (weight.defined()) terms = mul(terms, by_class(weight, log_probs, classes));
    const Tensor losses = neg(sum(terms, {.dim = Shape{classes}}));
    if (a.reduction != Reduction::kMean) return reduce_losses(losses, a.reduction);
    // The mean is over N and space, whatever the weights.
    const double count =
        static_cast<double>(log_probs.numel()) / static_cast<double>(std::max<int64_t>(log_probs.size(classes), 1));
    return div(sum(losses), count);
  }

  // (1 - eps) * nll + eps / C * (-sum over classes of weight * log_probs), each reduced alike.
  static Tensor smoothed(const Attrs& a, const Tensor& log_probs, const Tensor& target, const Tensor& weight,
                         int64_t classes) {
    const Tensor nll = nll_loss(log_probs, target, weight, {a.ignore_index, a.reduction});
    const Tensor weighted = weight.defined() ? mul(log_probs, by_class(weight, log_probs, classes)) : log_probs;
    const Tensor counts = ne(target, a.ignore_index);
    const Tensor uniform = mul(neg(sum(weighted, {.dim = Shape{classes}})), counts);
    Tensor smooth = reduce_losses(uniform, a.reduction == Reduction::kMean ? Reduction::kSum : a.reduction);
    if (a.reduction == Reduction::kMean) {
      Tensor total = to(sum(counts), log_probs.dtype());
      if (weight.defined()) {
        // nll_loss of minus ones adds up the weights of the targets that count.
        NoGradGuard no_grad;
        const Tensor ones = Tensor::full(log_probs.sizes(), -1.0, log_probs.dtype());
        total = nll_loss(ones, target, weight, {a.ignore_index, Reduction::kSum});
      }
      smooth = div(smooth, total);
    }
    const double eps = a.label_smoothing;
    return add(mul(nll, 1 - eps), mul(smooth, eps / static_cast<double>(log_probs.size(classes))));
  }
};

const OpFamily kFamily{op_def<MseLoss>(), op_def<NllBackward>(), op_def<NllElements>(), op_def<NllLoss>(),
                       op_def<CrossEntropy>()};

}  // namespace

Tensor mse_loss(const Tensor& x, const Tensor& target, const LossAttrs& attrs) {
  return apply<MseLoss>(attrs, {x, target});
}
Tensor nll_loss(const Tensor& log_probs, const Tensor& target, const Tensor& weight, const NllLossAttrs& attrs) {
  return apply<NllLoss>(attrs, {log_probs, target, weight});
}
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const Tensor& weight, const CrossEntropyAttrs& attrs) {
  return apply<CrossEntropy>(attrs, {logits, target, weight});
}

}  // namespace tapewire
