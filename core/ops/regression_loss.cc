#include "core/ops/regression_loss.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/error.h"
#include "core/kernels/loss.h"
#include "core/kernels/reduce.h"
#include "core/kernels/ternary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/exponential.h"
#include "core/ops/loss_support.h"
#include "core/ops/piecewise_activation.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"
#include "core/ops/selection.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

// Where size_average would stand, PyTorch's positional arguments of a loss end.
constexpr std::array<std::string_view, 2> kInputTarget{"input", "target"};

struct L1Loss {
  using Attrs = LossAttrs;
  static constexpr auto name = "l1_loss";
  static constexpr auto doc = "|input - target|, reduced";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr auto order = kInputTarget;
  static Tensor compose(const Attrs& a, Inputs in) { return reduce_losses(abs(sub(in[0], in[1])), a.reduction); }
};

struct BendAttrs {
  double bend = 1;
  static constexpr auto fields() {
    return std::tuple{field("bend", &BendAttrs::bend, "where the parabola ends and the lines begin; positive")};
  }
};

// What smooth_l1_loss and huber_loss have in common.
struct HuberElements {
  using Attrs = BendAttrs;
  static constexpr auto name = "huber_elements";
  static constexpr auto doc = "with d = |input - target|: d^2 / 2 below the bend, bend * (d - bend / 2) elsewhere";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
    if (!(a.bend > 0)) fail(name, ": bend must be positive, got ", a.bend);
    return {{in[0].dtype, broadcast_shapes(name, in[0].sizes, in[1].sizes)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) { kernels::huber(in[0], in[1], a.bend, out[0]); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor slope = hardtanh(sub(v.input(0), v.input(1)), {.min_val = -a.bend, .max_val = a.bend});
    const Tensor g = mul(v.grad(), slope);
    return {v.needs(0) ? g : Tensor(), v.needs(1) ? neg(g) : Tensor()};
  }
};

struct SmoothL1Loss {
  using Attrs = SmoothL1LossAttrs;
  static constexpr auto name = "smooth_l1_loss";
  static constexpr auto doc = "a parabola in |input - target| below beta, |input - target| - beta / 2 above";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr auto order = kInputTarget;
  static Tensor compose(const Attrs& a, Inputs in) {
    if (!(a.beta >= 0)) fail(name, ": smooth_l1_loss does not support negative values for beta.");
    if (a.beta == 0) return l1_loss(in[0], in[1], {a.reduction});
    return div(reduce_losses(apply<HuberElements>({a.beta}, {in[0], in[1]}), a.reduction), a.beta);
  }
};

struct HuberLoss {
  using Attrs = HuberLossAttrs;
  static constexpr auto name = "huber_loss";
  static constexpr auto doc = "a parabola in |input - target| up to delta, delta (|input - target| - delta / 2) above";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr std::array<std::string_view, 4> order{"input", "target", "reduction", "delta"};
  static Tensor compose(const Attrs& a, Inputs in) {
    if (!(a.delta > 0)) fail(name, ": huber_loss does not support non-positive values for delta.");
    return reduce_losses(apply<HuberElements>({a.delta}, {in[0], in[1]}), a.reduction);
  }
};

struct PoissonNllLoss {
  using Attrs = PoissonNllLossAttrs;
  static constexpr auto name = "poisson_nll_loss";
  static constexpr auto doc = "the negative log likelihood of counts under a rate, or its logarithm";
  static constexpr std::array inputs{input("input"), input("target")};
  static constexpr std::array<std::string_view, 4> order{"input", "target", "log_input", "full"};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    const Tensor& target = in[1];
    Tensor losses = a.log_input ? sub(exp(x), mul(target, x)) : sub(x, mul(target, log(add(x, a.eps))));
    if (a.full) {
      const Tensor half_log = mul(log(mul(target, 2 * std::numbers::pi)), 0.5);
      const Tensor stirling = add(sub(mul(target, log(target)), target), half_log);
      losses = add(losses, masked_fill(stirling, le(target, 1), 0));
    }
    return reduce_losses(losses, a.reduction);
  }
};

bool any_negative(const Tensor& x) {
  const Tensor found = Tensor::empty({}, DType::kBool);
  kernels::any(lt(x, 0), {}, found);
  return found.item<bool>();
}

// A copy of var no less than eps, whose gradient passes where it was raised too.
Tensor at_least(const Tensor& var, double eps) {
  const Tensor out = clone(var);
  kernels::clamp(out, eps, std::nullopt, out);
  out.storage().bump_version();
  return out;
}

struct GaussianNllLoss {
  using Attrs = GaussianNllLossAttrs;
  static constexpr auto name = "gaussian_nll_loss";
  static constexpr auto doc = "the negative log likelihood of target under a normal distribution of mean input";
  static constexpr std::array inputs{input("input"), input("target"), input("var")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (!is_floating(in[2].dtype())) fail(name, ": expects var of float32 or float64, got ", name_of(in[2].dtype()));
    const Tensor var = at_least(fitted(x, in[2]), a.eps);
    const Tensor distance = square(sub(x, in[1]));
    Tensor losses = mul(add(log(var), div(distance, var)), 0.5);
    if (a.full) losses = add(losses, 0.5 * std::log(2 * std::numbers::pi));
    return reduce_losses(losses, a.reduction);
  }

  static Tensor fitted(const Tensor& x, const Tensor& var) {
    if (any_negative(var)) fail(name, ": var has negative entry/entries");
    if (var.sizes() == x.sizes()) return var;
    if (x.dim() > 0) {
      const Ints lead = Ints(x.sizes()).first(x.sizes().size() - 1);
      if (std::ranges::equal(var.sizes(), lead)) return unsqueeze(var, -1);
      const bool one = var.dim() == x.dim() && var.sizes().back() == 1;
      if (one && std::ranges::equal(Ints(var.sizes()).first(lead.size()), lead)) return var;
    }
    fail(name, ": var is of incorrect size: ", to_string(var.sizes()), " for input ", to_string(x.sizes()));
  }
};

const OpFamily kFamily{op_def<HuberElements>(), op_def<L1Loss>(),         op_def<SmoothL1Loss>(),
                       op_def<HuberLoss>(),     op_def<PoissonNllLoss>(), op_def<GaussianNllLoss>()};

}  // namespace

Tensor l1_loss(const Tensor& x, const Tensor& target, const LossAttrs& attrs) {
  return apply<L1Loss>(attrs, {x, target});
}
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, const SmoothL1LossAttrs& attrs) {
  return apply<SmoothL1Loss>(attrs, {x, target});
}
Tensor huber_loss(const Tensor& x, const Tensor& target, const HuberLossAttrs& attrs) {
  return apply<HuberLoss>(attrs, {x, target});
}
Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, const PoissonNllLossAttrs& attrs) {
  return apply<PoissonNllLoss>(attrs, {x, target});
}
Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& var, const GaussianNllLossAttrs& attrs) {
  return apply<GaussianNllLoss>(attrs, {x, target, var});
}

}  // namespace tapewire
