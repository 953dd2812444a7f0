#include "core/ops/layer_norm.h"

#include <algorithm>
#include <limits>

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/kernels/group_norm.h"
#include "core/kernels/reduce.h"
#include "core/ops/arithmetic.h"
#include "core/ops/normalization.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

struct EpsAttrs {
  double eps = 1e-5;
  static constexpr auto fields() { return std::tuple{field("eps", &EpsAttrs::eps, "added to the variance")}; }
};

// What all norms here come down to. The statistics it used are hidden outputs: they are on the tape, so that
// differentiating the gradient again is right in x too.
template <bool kCentred>
struct NormalizeGroups {
  using Attrs = EpsAttrs;
  static constexpr auto name = kCentred ? "normalize_groups" : "normalize_groups_rms";
  static constexpr auto doc =
      kCentred ? "each [channels, plane] of [batch, groups, channels, plane] less its mean, by its standard deviation"
               : "each [channels, plane] of [batch, groups, channels, plane] by its root mean square";
  static constexpr std::array inputs{input("input"), optional_input("weight"), optional_input("bias")};
  static constexpr std::array outputs{output("output"), output("mean").hidden(), output("rstd").hidden()};
  static constexpr std::array saves{save_input(0), save_input(1), save_output(1), save_output(2)};

  static TensorSpecs infer(const Attrs&, Specs in) {
    const Spec& x = in[0];
    if (!is_floating(x.dtype) || x.dim() != 4) {
      fail(name, ": expects input [batch, groups, channels, plane] of float32 or float64, got ", to_string(x));
    }
    for (size_t i = 1; i < 3; ++i) {
      if (!in[i].defined) continue;
      if (in[i].dim() != 2 || in[i].size(0) != x.size(1) || in[i].size(1) != x.size(2) || in[i].dtype != x.dtype) {
        fail(name, ": expects ", inputs[i].name, " [", x.size(1), ", ", x.size(2), "] of ", name_of(x.dtype), ", got ",
             to_string(in[i]));
      }
    }
    return {{x.dtype, x.shape()}, {x.dtype, {x.size(0), x.size(1)}}, {x.dtype, {x.size(0), x.size(1)}}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::group_moments(in[0], kCentred, a.eps, out[1], out[2]);
    kernels::group_norm_forward(in[0], out[1], out[2], in[1], in[2], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const bool plain = !v.has_grad(1) && !v.has_grad(2);
    return plain && !grad_enabled() ? fused_vjp(v) : composed_vjp(v);
  }

  static Tensors fused_vjp(const Vjp& v) {
    const Tensor x = v.input(0);
    Tensors out(3);
    if (v.needs(0)) out[0] = Tensor::empty(x.sizes(), x.dtype());
    for (size_t i = 1; i < 3; ++i) {
      if (v.needs(i)) out[i] = Tensor::empty({x.size(1), x.size(2)}, x.dtype());
    }
    kernels::group_norm_backward(v.grad(), x, kCentred, v.output(1), v.output(2), v.input(1), out[0], out[1], out[2]);
    return out;
  }

  // output = (x - mean) * rstd * weight + bias, with mean and rstd taken as variables of their own whose cotangents
  // then go on to x: d mean / dx = 1 / n and d rstd / dx = -rstd^3 (x - mean) / n.
  static Tensors composed_vjp(const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    const Tensor weight = v.input(1);
    const auto by_group = [](const Tensor& t) { return view(t, {t.size(0), t.size(1), 1, 1}); };
    const auto per_group = [](const Tensor& t) { return sum(t, {.dim = Shape{2, 3}}); };
    const auto per_channel = [](const Tensor& t) { return sum(t, {.dim = Shape{0, 3}}); };
    const Tensor rstd = v.output(2);
    const Tensor centred = kCentred ? sub(x, by_group(v.output(1))) : x;
    Tensors out(3);
    if (v.needs(0)) {
      const Tensor scaled = weight.defined() ? mul(g, unsqueeze(weight, 2)) : g;
      const double count = static_cast<double>(std::max<int64_t>(x.size(2) * x.size(3), 1));
      Tensor to_rstd = per_group(mul(scaled, centred));
      if (v.has_grad(2)) to_rstd = add(to_rstd, v.grad(2));
      const Tensor slope = mul(neg(div(to_rstd, count)), pow(rstd, 3));
      out[0] = add(mul(scaled, by_group(rstd)), mul(centred, by_group(slope)));
      if (kCentred) {
        Tensor to_mean = neg(mul(rstd, per_group(scaled)));
        if (v.has_grad(1)) to_mean = add(to_mean, v.grad(1));
        out[0] = add(out[0], by_group(div(to_mean, count)));
      }
    }
    if (v.needs(1)) out[1] = per_channel(mul(mul(g, centred), by_group(rstd)));
    if (v.needs(2)) out[2] = per_channel(g);
    return out;
  }
};

void check_floating(std::string_view op, const Tensor& x) {
  if (!is_floating(x.dtype())) fail(op, ": expects float32 or float64, got ", name_of(x.dtype()));
}

// x as [batch, 1, n, 1], n being the elements of normalized_shape; weight and bias as [1, n].
Tensor normalized_last(std::string_view op, const Tensor& x, const Shape& shape, const Tensor& weight,
                       const Tensor& bias, bool centred, double eps) {
  check_floating(op, x);
  if (shape.empty()) {
    fail(op,
         ": Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
         "normalized_shape = []");
  }
  for (const auto& [parameter, what] : {std::pair{weight, "weight"}, std::pair{bias, "bias"}}) {
    if (!parameter.defined()) continue;
    if (parameter.sizes() != shape) {
      fail(op, ": Expected ", what, " to be of same shape as normalized_shape, but got ", what, " of shape ",
           to_string(parameter.sizes()), " and normalized_shape = ", to_string(shape));
    }
    if (parameter.dtype() != x.dtype()) {
      fail(op, ": expected ", what, " of dtype ", name_of(x.dtype()), ", got ", name_of(parameter.dtype()));
    }
  }
  const size_t dims = x.sizes().size();
  if (dims < shape.size() || !std::ranges::equal(Ints(x.sizes()).subspan(dims - shape.size()), shape)) {
    fail(op, ": Given normalized_shape=", to_string(shape), ", expected input with shape [*, ",
         to_string(shape).substr(1), ", but got input of size", to_string(x.sizes()));
  }
  const int64_t length = numel_of(shape);
  const int64_t batch = numel_of(Ints(x.sizes()).first(dims - shape.size()));
  const auto flat = [&](const Tensor& t) { return t.defined() ? reshape(t, {1, length}) : t; };
  const Tensor rows = reshape(x, {batch, 1, length, 1});
  const Tensor out = centred ? apply<NormalizeGroups<true>>({eps}, {rows, flat(weight), flat(bias)})
                             : apply<NormalizeGroups<false>>({eps}, {rows, flat(weight), Tensor()});
  return reshape(out, x.sizes());
}

struct LayerNorm {
  using Attrs = LayerNormAttrs;
  static constexpr auto name = "layer_norm";
  static constexpr auto doc = "(input - mean) / sqrt(var + eps) * weight + bias over the last dimensions";
  static constexpr std::array inputs{input("input"), optional_input("weight"), optional_input("bias")};
  static constexpr std::array<std::string_view, 5> order{"input", "normalized_shape", "weight", "bias", "eps"};
  static Tensor compose(const Attrs& a, Inputs in) {
    return normalized_last(name, in[0], a.normalized_shape, in[1], in[2], true, a.eps);
  }
};

struct RmsNorm {
  using Attrs = RmsNormAttrs;
  static constexpr auto name = "rms_norm";
  static constexpr auto doc = "input / sqrt(mean(input ** 2) + eps) * weight over the last dimensions";
  static constexpr std::array inputs{input("input"), optional_input("weight")};
  static constexpr std::array<std::string_view, 4> order{"input", "normalized_shape", "weight", "eps"};
  static Tensor compose(const Attrs& a, Inputs in) {
    const double epsilon = in[0].dtype() == DType::kFloat64
                               ? std::numeric_limits<double>::epsilon()
                               : static_cast<double>(std::numeric_limits<float>::epsilon());
    return normalized_last(name, in[0], a.normalized_shape, in[1], Tensor(), false, a.eps.value_or(epsilon));
  }
};

// x [N, C, *] as [N, groups, C / groups, plane].
Tensor normalized_channels(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  const int64_t channels = x.size(1) / groups;
  const int64_t plane = numel_of(Ints(x.sizes()).subspan(2));
  const auto split = [&](const Tensor& t) { return t.defined() ? reshape(t, {groups, channels}) : t; };
  const Tensor grouped = reshape(x, {x.size(0), groups, channels, plane});
  return reshape(apply<NormalizeGroups<true>>({eps}, {grouped, split(weight), split(bias)}), x.sizes());
}

void check_channels(std::string_view op, const Tensor& x, const Tensor& parameter, const char* what) {
  if (!parameter.defined()) return;
  if (parameter.dim() != 1 || parameter.numel() != x.size(1)) {
    fail(op, ": Expected ", what, " to be a vector of size equal to the number of channels in input, but got ", what,
         " of shape ", to_string(parameter.sizes()), " and input of shape ", to_string(x.sizes()));
  }
  if (parameter.dtype() != x.dtype()) {
    fail(op, ": expected ", what, " of dtype ", name_of(x.dtype()), ", got ", name_of(parameter.dtype()));
  }
}

struct GroupNorm {
  using Attrs = GroupNormAttrs;
  static constexpr auto name = "group_norm";
  static constexpr auto doc = "layer_norm of each group of channels of [N, C, *], weight and bias by channel";
  static constexpr std::array inputs{input("input"), optional_input("weight"), optional_input("bias")};
  static constexpr std::array<std::string_view, 5> order{"input", "num_groups", "weight", "bias", "eps"};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    check_floating(name, x);
    if (x.dim() < 2) fail(name, ": Expected at least 2 dimensions for input tensor but received ", x.dim());
    if (a.num_groups < 1) fail(name, ": Expected num groups to be greater than 0, got ", a.num_groups);
    if (x.size(1) % a.num_groups != 0) {
      fail(name, ": Expected number of channels in input to be divisible by num_groups, but got input of shape ",
           to_string(x.sizes()), " and num_groups=", a.num_groups);
    }
    check_channels(name, x, in[1], "weight");
    check_channels(name, x, in[2], "bias");
    return normalized_channels(x, a.num_groups, in[1], in[2], a.eps);
  }
};

// The averages over the batch of each channel's mean and unbiased variance.
void move_running_statistics(const Tensor& x, const Tensor& mean, const Tensor& var, double momentum) {
  Shape spatial;
  for (int64_t d = 2; d < x.dim(); ++d) spatial.push_back(d);
  const Tensor means = Tensor::empty({x.size(0), x.size(1)}, x.dtype());
  const Tensor vars = Tensor::empty({x.size(0), x.size(1)}, x.dtype());
  kernels::var(x, spatial, 1, vars, means);
  const NoGradGuard no_grad;
  move_running(mean, tapewire::mean(means, {.dim = Shape{0}}), momentum);
  move_running(var, tapewire::mean(vars, {.dim = Shape{0}}), momentum);
}

struct InstanceNorm {
  using Attrs = InstanceNormAttrs;
  static constexpr auto name = "instance_norm";
  static constexpr auto doc = "normalises each channel of each sample of [N, C, *] by itself";
  static constexpr std::array inputs{input("input"), optional_input("running_mean"), optional_input("running_var"),
                                     optional_input("weight"), optional_input("bias")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    check_floating(name, x);
    if (x.dim() < 2) fail(name, ": expects input [N, C, *], got ", to_string(x.sizes()));
    for (size_t i = 1; i < 5; ++i) check_channels(name, x, in[i], inputs[i].name);
    if (!a.use_input_stats) {
      if (!in[1].defined() || !in[2].defined()) {
        fail(name, ": Expected running_mean and running_var to be defined when use_input_stats is false");
      }
      return batch_norm(x, in[1], in[2], in[3], in[4], {.training = false, .momentum = a.momentum, .eps = a.eps});
    }
    if (x.dim() == 2 || numel_of(Ints(x.sizes()).subspan(2)) == 1) {
      fail(name, ": Expected more than 1 spatial element when training, got input size ", to_string(x.sizes()));
    }
    if (x.numel() == 0) {
      fail(name, ": expects an input with elements, got sizes ", to_string(x.sizes()));
    }
    // First, so that statistics move only where there is a result.
    Tensor out = normalized_channels(x, x.size(1), in[3], in[4], a.eps);
    if (in[1].defined() || in[2].defined()) move_running_statistics(x, in[1], in[2], a.momentum);
    return out;
  }
};

const OpFamily kFamily{op_def<NormalizeGroups<true>>(),
                       op_def<NormalizeGroups<false>>(),
                       op_def<LayerNorm>(),
                       op_def<RmsNorm>(),
                       op_def<GroupNorm>(),
                       op_def<InstanceNorm>()};

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const LayerNormAttrs& attrs) {
  return apply<LayerNorm>(attrs, {x, weight, bias});
}
Tensor rms_norm(const Tensor& x, const Tensor& weight, const RmsNormAttrs& attrs) {
  return apply<RmsNorm>(attrs, {x, weight});
}
Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const GroupNormAttrs& attrs) {
  return apply<GroupNorm>(attrs, {x, weight, bias});
}
Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, const InstanceNormAttrs& attrs) {
  return apply<InstanceNorm>(attrs, {x, running_mean, running_var, weight, bias});
}

}  // namespace tapewire
