#include "core/ops/selection.h"

#include "core/kernels/copy.h"
#include "core/kernels/ternary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

struct Where {
  using Attrs = NoAttrs;
  static constexpr auto name = "where";
  static constexpr auto doc = "condition ? input : other";
  static constexpr std::array inputs{input("condition").fixed().no_number(), input("input"), input("other")};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr std::array saves{save_input(0)};
  static Scalar convert(size_t, const Scalar& number, DType common) {
    check_converts(name, number, common);
    return number;
  }
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[0].dtype != DType::kBool) {
      fail("where: expected condition to be a boolean tensor, but got a tensor with dtype ", name_of(in[0].dtype));
    }
    const Shape both = broadcast_shapes(name, in[1].sizes, in[2].sizes);
    return {{in[1].dtype, broadcast_shapes(name, in[0].sizes, both)}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::where(in[0], in[1], in[2], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor condition = v.input(0);
    const Tensor zero = Tensor::scalar(0.0, g.dtype());
    return {Tensor(), v.needs(1) ? where(condition, g, zero) : Tensor(),
            v.needs(2) ? where(condition, zero, g) : Tensor()};
  }
};

// The one element of `value` in another dtype.
Tensor number_as(std::string_view op, const Tensor& value, DType dtype) {
  const Scalar number = value.item_scalar();
  check_converts(op, number, dtype);
  return Tensor::scalar(number, dtype);
}

struct MaskedFill {
  using Attrs = NoAttrs;
  static constexpr auto name = "masked_fill";
  static constexpr auto doc = "value where mask is true, else input; value is a number or a 0-d tensor";
  static constexpr std::array inputs{input("input").no_number(), input("mask").no_number(), input("value")};
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[1].dtype != DType::kBool) {
      fail("masked_fill: only supports boolean masks, but got mask with dtype ", name_of(in[1].dtype));
    }
    if (in[2].dim() != 0) {
      fail("masked_fill: only supports a 0-dimensional value tensor, but got tensor with ", in[2].dim(),
           " dimension(s).");
    }
    return {{in[0].dtype, broadcast_shapes(name, in[0].sizes, in[1].sizes)}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) {
    kernels::where(in[1], number_as(name, in[2], in[0].dtype()), in[0], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor mask = v.input(1);
    const Tensor zero = Tensor::scalar(0.0, g.dtype());
    return {v.needs(0) ? where(mask, zero, g) : Tensor(), Tensor(), v.needs(2) ? where(mask, g, zero) : Tensor()};
  }
};

struct Fill {
  using Attrs = NoAttrs;
  static constexpr auto name = "fill";
  static constexpr auto doc = "value in input's shape and dtype; value is a number or a 0-d tensor";
  static constexpr std::array inputs{input("input").no_number(), input("value")};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[1].dim() != 0) {
      fail("fill: fill_ only supports 0-dimension value tensor but got tensor with ", in[1].dim(), " dimensions.");
    }
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) {
    const Scalar value = in[1].item_scalar();
    check_converts(name, value, out[0].dtype());
    kernels::fill(out[0], value);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    return {v.needs(0) ? Tensor::zeros(g.sizes(), g.dtype()) : Tensor(), v.needs(1) ? g : Tensor()};
  }
};

struct NanToNum : NumericUnary<kernels::UnaryOp::kIsfinite> {
  using Attrs = NanToNumAttrs;
  static constexpr auto name = "nan_to_num";
  static constexpr auto doc = "NaN and the infinities replaced by numbers";
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const double most = in[0].dtype() == DType::kFloat32 ? static_cast<double>(std::numeric_limits<float>::max())
                                                         : std::numeric_limits<double>::max();
    kernels::nan_to_num(in[0], a.nan.value_or(0.0), a.posinf.value_or(most), a.neginf.value_or(-most), out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), isfinite(v.input(0)))}; }
};

const OpFamily kFamily{op_def<Where>(), op_def<MaskedFill>(), op_def<Fill>(), op_def<NanToNum>()};

}  // namespace

Tensor where(const Tensor& condition, const Tensor& x, const Tensor& other) {
  return apply<Where>({}, {condition, x, other});
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  return apply<MaskedFill>({}, {x, mask, value});
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value) {
  return masked_fill(x, mask, Tensor::wrapped(value));
}
Tensor masked_fill_(const Tensor& x, const Tensor& mask, const Tensor& value) {
  return apply_inplace<MaskedFill>({}, {x, mask, value});
}
Tensor fill(const Tensor& x, const Tensor& value) { return apply<Fill>({}, {x, value}); }
Tensor fill_(const Tensor& x, const Tensor& value) { return apply_inplace<Fill>({}, {x, value}); }
Tensor nan_to_num(const Tensor& x, const NanToNumAttrs& attrs) { return apply<NanToNum>(attrs, {x}); }

}  // namespace tapewire
