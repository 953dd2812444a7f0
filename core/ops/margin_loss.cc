#include "core/ops/margin_loss.h"

#include "core/base/error.h"
#include "core/kernels/loss.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/distance.h"
#include "core/ops/gather.h"
#include "core/ops/loss_support.h"
#include "core/ops/maximum.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"
#include "core/ops/selection.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

const Tensor& zero() {
  static const Tensor kZero = Tensor::wrapped(0);
  return kZero;
}

struct MarginRankingLoss {
  using Attrs = MarginLossAttrs;
  static constexpr auto name = "margin_ranking_loss";
  static constexpr auto doc = "max(0, margin - target * (input1 - input2)), reduced";
  static constexpr std::array inputs{input("input1"), input("input2"), input("target")};
  static constexpr std::array<std::string_view, 4> order{"input1", "input2", "target", "margin"};
  static Tensor compose(const Attrs& a, Inputs in) {
    if (in[0].dim() != in[1].dim() || in[0].dim() != in[2].dim()) {
      fail(name, ": All input tensors should have same dimension but got sizes: input1: ", to_string(in[0].sizes()),
           ", input2: ", to_string(in[1].sizes()), ", target: ", to_string(in[2].sizes()));
    }
    const Tensor lacking = add(mul(neg(in[2]), sub(in[0], in[1])), a.margin);
    return reduce_losses(clamp_min(lacking, 0), a.reduction);
  }
};

struct HingeEmbeddingLoss {
  using Attrs = HingeEmbeddingLossAttrs;
  static constexpr auto name = "hinge_embedding_loss";
  static constexpr auto doc = "input where target is 1, max(0, margin - input) where it is -1, reduced";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr std::array<std::string_view, 3> order{"input", "target", "margin"};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor apart = where(ne(in[1], 1), clamp_min(rsub(in[0], Tensor::wrapped(a.margin)), 0), zero());
    const Tensor together = where(ne(in[1], -1), in[0], zero());
    return reduce_losses(add(apart, together), a.reduction);
  }
};

struct CosineEmbeddingLoss {
  using Attrs = MarginLossAttrs;
  static constexpr auto name = "cosine_embedding_loss";
  static constexpr auto doc = "1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1, reduced";
  static constexpr std::array inputs{input("input1"), input("input2"), input("target")};
  static constexpr std::array<std::string_view, 4> order{"input1", "input2", "target", "margin"};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& target = in[2];
    if (target.dim() > 1) fail(name, ": 0D or 1D target tensor expected, multi-target not supported");
    const int64_t dim = target.dim();
    if (in[0].dim() != dim + 1 || in[1].dim() != dim + 1) {
      fail(name, ": ", dim, "D target tensor expects ", dim + 1, "D input tensors, but found inputs with sizes ",
           to_string(in[0].sizes()), " and ", to_string(in[1].sizes()));
    }
    constexpr double kSmall = 1e-12;
    const auto along = [&](const Tensor& x) { return sum(x, {.dim = Shape{dim}}); };
    const Tensor squares = mul(add(along(mul(in[0], in[0])), kSmall), add(along(mul(in[1], in[1])), kSmall));
    const Tensor cosine = div(along(mul(in[0], in[1])), sqrt(squares));
    const Tensor together = where(eq(target, 1), 1.0 - cosine, zero());
    const Tensor apart = where(eq(target, -1), clamp_min(sub(cosine, a.margin), 0), zero());
    return reduce_losses(add(together, apart), a.reduction);
  }
};

struct TripletMarginLoss {
  using Attrs = TripletMarginLossAttrs;
  static constexpr auto name = "triplet_margin_loss";
  static constexpr auto doc = "max(0, margin + |anchor - positive| - |anchor - negative|), reduced";
  static constexpr std::array inputs{input("anchor"), input("positive"), input("negative")};
  static constexpr std::array<std::string_view, 7> order{"anchor", "positive", "negative", "margin",
                                                         "p",      "eps",      "swap"};
  static Tensor compose(const Attrs& a, Inputs in) {
    if (in[0].dim() != in[1].dim() || in[0].dim() != in[2].dim()) {
      fail(name,
           ": The anchor, positive, and negative tensors are expected to have the same number of dimensions, but "
           "got: anchor ",
           in[0].dim(), "D, positive ", in[1].dim(), "D, and negative ", in[2].dim(), "D inputs");
    }
    const PairwiseDistanceAttrs distance{.p = a.p, .eps = a.eps};
    const Tensor near = pairwise_distance(in[0], in[1], distance);
    Tensor far = pairwise_distance(in[0], in[2], distance);
    if (a.swap) far = minimum(far, pairwise_distance(in[1], in[2], distance));
    return reduce_losses(clamp_min(sub(add(near, a.margin), far), 0), a.reduction);
  }
};

// x as [N, C]: a vector is one row, a number one of one class.
Tensor as_rows(std::string_view op, const Tensor& x) {
  if (!is_floating(x.dtype())) fail(op, ": expects float32 or float64, got ", name_of(x.dtype()));
  if (x.dim() > 2 || (x.dim() > 0 && x.sizes().back() == 0)) {
    fail(op, ": Expected non-empty vector or matrix with optional 0-dim batch size, but got: ", to_string(x.sizes()));
  }
  return x.dim() == 2 ? x : reshape(x, {1, x.numel()});
}

struct MultiMarginLoss {
  using Attrs = MultiMarginLossAttrs;
  static constexpr auto name = "multi_margin_loss";
  static constexpr auto doc = "the mean over classes of max(0, margin - input[target] + input)^p, reduced";
  static constexpr std::array inputs{input("input"), input("target"), optional_input("weight")};
  static constexpr std::array<std::string_view, 5> order{"input", "target", "p", "margin", "weight"};
  static Tensor compose(const Attrs& a, Inputs in) {
    if (a.p != 1 && a.p != 2) fail(name, ": only p == 1 and p == 2 supported");
    const Tensor x = as_rows(name, in[0]);
    const int64_t classes = x.size(1);
    if (in[1].dtype() != DType::kInt64 || in[1].dim() > 1 || in[1].numel() != x.size(0)) {
      fail(name, ": inconsistent target size, expected ", x.size(0), " of int64 but got ", to_string(in[1].spec()));
    }
    if (in[2].defined() && (in[2].numel() != classes || in[2].dim() > 1)) {
      fail(name, ": inconsistent weight size, expected ", classes, " but got ", to_string(in[2].sizes()));
    }
    const Tensor target = reshape(in[1], {x.size(0), 1});
    // The slope where a margin is just kept is 0: relu's, not clamp's.
    Tensor terms = relu(add(sub(x, gather(x, 1, target)), a.margin));
    if (a.p == 2) terms = square(terms);
    if (in[2].defined()) terms = mul(terms, gather(expand(reshape(in[2], {1, classes}), x.sizes()), 1, target));
    const Tensor others = scatter(Tensor::full(x.sizes(), 1.0, x.dtype()), 1, target, Tensor::scalar(0.0, x.dtype()));
    const Tensor losses = mean(mul(terms, others), {.dim = Shape{1}});
    const bool single = in[0].dim() < 2 && in[1].dim() == 0;
    return reduce_losses(single ? squeeze(losses, 0) : losses, a.reduction);
  }
};

// Piecewise linear in x: its gradient's gradient goes to grad alone.
struct MultilabelMarginBackward {
  using Attrs = NoAttrs;
  static constexpr auto name = "multilabel_margin_backward";
  static constexpr auto doc = "the gradient of multilabel_margin_rows by its input";
  static constexpr std::array inputs{input("grad"), input("input"), input("target").fixed()};
  static constexpr std::array saves{save_input(1), save_input(2)};
  static TensorSpecs infer(const Attrs&, Specs in);
  static void eval(const Attrs&, Inputs in, Outputs out) {
    kernels::multilabel_margin_backward(in[0], in[1], in[2], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    Tensors out(3);
    const Tensor x = v.input(1);
    if (v.needs(0)) {
      const Tensor ones = Tensor::full({x.size(0)}, 1.0, x.dtype());
      const Tensor slopes = Tensor::empty(x.sizes(), x.dtype());
      kernels::multilabel_margin_backward(ones, x, v.input(2), slopes);
      out[0] = sum(mul(v.grad(), slopes), {.dim = Shape{1}});
    }
    return out;
  }
};

struct MultilabelMarginRows {
  using Attrs = NoAttrs;
  static constexpr auto name = "multilabel_margin_rows";
  static constexpr auto doc = "multilabel_margin_loss of each row of [N, C]";
  static constexpr std::array inputs{input("input"), input("target").fixed()};
  static constexpr std::array saves{save_input(0), save_input(1)};
  static void check(std::string_view op, const Spec& x, const Spec& target) {
    if (!is_floating(x.dtype) || x.dim() != 2 || target.dtype != DType::kInt64 || target.shape() != x.shape()) {
      fail(op, ": expects floating input [N, C] and int64 target of its sizes, got ", to_string(x), " and ",
           to_string(target));
    }
  }
  static TensorSpecs infer(const Attrs&, Specs in) {
    check(name, in[0], in[1]);
    return {{in[0].dtype, {in[0].size(0)}}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::multilabel_margin(in[0], in[1], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return {apply<MultilabelMarginBackward>({}, {v.grad(), v.input(0), v.input(1)}), Tensor()};
  }
};

TensorSpecs MultilabelMarginBackward::infer(const Attrs&, Specs in) {
  MultilabelMarginRows::check(name, in[1], in[2]);
  if (in[0].dim() != 1 || in[0].size(0) != in[1].size(0) || in[0].dtype != in[1].dtype) {
    fail(name, ": expects grad [", in[1].size(0), "] of ", name_of(in[1].dtype), ", got ", to_string(in[0]));
  }
  return {{in[1].dtype, in[1].shape()}};
}

struct MultilabelMarginLoss {
  using Attrs = LossAttrs;
  static constexpr auto name = "multilabel_margin_loss";
  static constexpr auto doc = "the mean over classes of max(0, 1 - (input[target] - input)) for each target, reduced";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr std::array<std::string_view, 2> order{"input", "target"};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor x = as_rows(name, in[0]);
    if (in[1].sizes() != in[0].sizes()) {
      fail(name, ": inconsistent target size: ", to_string(in[1].sizes()),
           " for input of size: ", to_string(in[0].sizes()));
    }
    const Tensor losses = apply<MultilabelMarginRows>({}, {x, reshape(in[1], x.sizes())});
    return reduce_losses(in[0].dim() < 2 ? squeeze(losses, 0) : losses, a.reduction);
  }
};

const OpFamily kFamily{op_def<MarginRankingLoss>(),        op_def<HingeEmbeddingLoss>(),
                       op_def<CosineEmbeddingLoss>(),      op_def<TripletMarginLoss>(),
                       op_def<MultiMarginLoss>(),          op_def<MultilabelMarginRows>(),
                       op_def<MultilabelMarginBackward>(), op_def<MultilabelMarginLoss>()};

}  // namespace

Tensor margin_ranking_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, const MarginLossAttrs& attrs) {
  return apply<MarginRankingLoss>(attrs, {x1, x2, target});
}
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, const HingeEmbeddingLossAttrs& attrs) {
  return apply<HingeEmbeddingLoss>(attrs, {x, target});
}
Tensor cosine_embedding_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, const MarginLossAttrs& attrs) {
  return apply<CosineEmbeddingLoss>(attrs, {x1, x2, target});
}
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginLossAttrs& attrs) {
  return apply<TripletMarginLoss>(attrs, {anchor, positive, negative});
}
Tensor multi_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight,
                         const MultiMarginLossAttrs& attrs) {
  return apply<MultiMarginLoss>(attrs, {x, target, weight});
}
Tensor multilabel_margin_loss(const Tensor& x, const Tensor& target, const LossAttrs& attrs) {
  return apply<MultilabelMarginLoss>(attrs, {x, target});
}

}  // namespace tapewire
