#include "core/ops/distance.h"

#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/kernels/ternary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/maximum.h"
#include "core/ops/norm.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

struct Normalize {
  using Attrs = NormalizeAttrs;
  static constexpr auto name = "normalize";
  static constexpr auto doc = "input / max(norm(input), eps) along dim";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor lengths = vector_norm(in[0], {.ord = a.p, .dim = Shape{a.dim}, .keepdim = true});
    return div(in[0], clamp_min(lengths, a.eps));
  }
};

// Norms along dim, no less than eps; the gradient passes where they were raised too.
Tensor lengths_of(const Tensor& x, int64_t dim, double eps) {
  const Tensor out = clone(vector_norm(x, {.ord = 2, .dim = Shape{dim}, .keepdim = true}));
  kernels::clamp(out, eps, std::nullopt, out);
  out.storage().bump_version();
  return out;
}

struct CosineSimilarity {
  using Attrs = CosineSimilarityAttrs;
  static constexpr auto name = "cosine_similarity";
  static constexpr auto doc = "the cosine of the angle between x1 and x2 along dim";
  static constexpr std::array inputs{input("x1"), input("x2")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor operands[] = {in[0], in[1]};
    const DType dtype = result_type(operands);
    if (!is_floating(dtype)) {
      fail(name, ": expected common dtype to be floating point, yet common dtype is ", name_of(dtype));
    }
    const Shape sizes = broadcast_shapes(name, in[0].sizes(), in[1].sizes());
    const Tensor x = expand(to(in[0], dtype), sizes);
    const Tensor y = expand(to(in[1], dtype), sizes);
    const Tensor product = mul(div(x, lengths_of(x, a.dim, a.eps)), div(y, lengths_of(y, a.dim, a.eps)));
    return sum(product, {.dim = Shape{a.dim}});
  }
};

struct PairwiseDistance {
  using Attrs = PairwiseDistanceAttrs;
  static constexpr auto name = "pairwise_distance";
  static constexpr auto doc = "the p-norm of x1 - x2 + eps over the last dimension";
  static constexpr std::array inputs{input("x1"), input("x2")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor difference = add(sub(in[0], in[1]), a.eps);
    return vector_norm(difference, {.ord = a.p, .dim = Shape{-1}, .keepdim = a.keepdim});
  }
};

const OpFamily kFamily{op_def<Normalize>(), op_def<CosineSimilarity>(), op_def<PairwiseDistance>()};

}  // namespace

Tensor normalize(const Tensor& x, const NormalizeAttrs& attrs) { return apply<Normalize>(attrs, {x}); }
Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, const CosineSimilarityAttrs& attrs) {
  return apply<CosineSimilarity>(attrs, {x1, x2});
}
Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, const PairwiseDistanceAttrs& attrs) {
  return apply<PairwiseDistance>(attrs, {x1, x2});
}

}  // namespace tapewire
