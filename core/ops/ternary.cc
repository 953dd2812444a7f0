#include "core/ops/ternary.h"

#include "core/kernels/ternary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

TensorSpecs broadcast_three(std::string_view op, Specs in) {
  const Shape both = broadcast_shapes(op, in[1].sizes, in[2].sizes);
  return {{in[0].dtype, broadcast_shapes(op, in[0].sizes, both)}};
}

struct Addcmul {
  using Attrs = ValueAttrs;
  static constexpr auto name = "addcmul";
  static constexpr auto doc = "input + value * tensor1 * tensor2";
  static constexpr std::array inputs{input("input").no_number(), input("tensor1").no_number(),
                                     input("tensor2").no_number()};
  static constexpr std::array<std::string_view, 3> order{"input", "tensor1", "tensor2"};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(1).to_grad(2), save_input(2).to_grad(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_not_bool(name, in[0].dtype);
    check_converts(name, a.value, in[0].dtype);
    return broadcast_three(name, in);
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) { kernels::addcmul(in[0], in[1], in[2], a.value, out[0]); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    return {g, v.needs(1) ? mul(g, mul(v.input(2), a.value)) : Tensor(),
            v.needs(2) ? mul(g, mul(v.input(1), a.value)) : Tensor()};
  }
};

struct Addcdiv {
  using Attrs = ValueAttrs;
  static constexpr auto name = "addcdiv";
  static constexpr auto doc = "input + value * tensor1 / tensor2";
  static constexpr std::array inputs{input("input").no_number(), input("tensor1").no_number(),
                                     input("tensor2").no_number()};
  static constexpr std::array<std::string_view, 3> order{"input", "tensor1", "tensor2"};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(1).to_grad(2), save_input(2)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (!is_floating(in[0].dtype)) {
      fail(
          "addcdiv: Integer division with addcdiv is no longer supported, and in a future  release addcdiv will "
          "perform a true division of tensor1 and tensor2.");
    }
    return broadcast_three(name, in);
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) { kernels::addcdiv(in[0], in[1], in[2], a.value, out[0]); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor divisor = v.input(2);
    Tensors out{g, Tensor(), Tensor()};
    if (v.needs(1)) out[1] = mul(g, div(Tensor::scalar(a.value, g.dtype()), divisor));
    if (v.needs(2)) out[2] = neg(mul(g, div(mul(v.input(1), a.value), square(divisor))));
    return out;
  }
};

// Not promoted: end and a weight with dimensions must be of input's dtype.
struct Lerp {
  using Attrs = NoAttrs;
  static constexpr auto name = "lerp";
  static constexpr auto doc = "input + weight * (end - input); weight is a number or a tensor";
  static constexpr std::array inputs{input("input").no_number(), input("end").no_number(), input("weight")};
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(0).to_grad(2), save_input(1).to_grad(2), save_input(2)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_floating(name, in[0].dtype);
    if (in[1].dtype != in[0].dtype) {
      fail("lerp: expected dtype ", name_of(in[0].dtype), " for `end` but got dtype ", name_of(in[1].dtype));
    }
    if (in[2].dtype != in[0].dtype && in[2].dim() > 0) {
      fail("lerp: expected dtype ", name_of(in[0].dtype), " for `weight` but got dtype ", name_of(in[2].dtype));
    }
    return broadcast_three(name, in);
  }
  static void eval(const Attrs&, Inputs in, Outputs out) {
    if (in[2].dim() == 0) return kernels::lerp(in[0], in[1], in[2].item<double>(), out[0]);
    kernels::lerp(in[0], in[1], in[2], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor weight = v.input(2);
    return {v.needs(0) ? mul(g, 1.0 - weight) : Tensor(), v.needs(1) ? mul(g, weight) : Tensor(),
            v.needs(2) ? mul(g, sub(v.input(1), v.input(0))) : Tensor()};
  }
};

const OpFamily kFamily{op_def<Addcmul>(), op_def<Addcdiv>(), op_def<Lerp>()};

}  // namespace

Tensor addcmul(const Tensor& x, const Tensor& tensor1, const Tensor& tensor2, const ValueAttrs& attrs) {
  return apply<Addcmul>(attrs, {x, tensor1, tensor2});
}
Tensor addcdiv(const Tensor& x, const Tensor& tensor1, const Tensor& tensor2, const ValueAttrs& attrs) {
  return apply<Addcdiv>(attrs, {x, tensor1, tensor2});
}
Tensor lerp(const Tensor& x, const Tensor& end, const Tensor& weight) { return apply<Lerp>({}, {x, end, weight}); }
Tensor lerp(const Tensor& x, const Tensor& end, double weight) { return lerp(x, end, Tensor::wrapped(weight)); }

}  // namespace tapewire
