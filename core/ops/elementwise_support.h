#pragma once

#include "core/kernels/binary.h"
#include "core/kernels/unary.h"
#include "core/ops/op.h"

namespace tapewire {

/// What elementwise ops share; an op's struct derives from one of these and adds its name, doc, saves and vjp.

/// One input, one output of its shape and dtype; integers become float32.
template <kernels::UnaryOp kOp>
struct FloatUnary {
  using Attrs = NoAttrs;
  static constexpr std::array inputs{input("input")};
  static constexpr auto promotion = Promotion::kFloat;
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::unary(kOp, in[0], out[0]); }
};

/// The same, and integers stay integers.
template <kernels::UnaryOp kOp>
struct NumericUnary : FloatUnary<kOp> {
  static constexpr auto promotion = Promotion::kNone;
};

/// Two inputs that broadcast and promote to one dtype.
template <kernels::BinaryOp kOp>
struct Binary {
  using Attrs = NoAttrs;
  static constexpr std::array inputs{input("input"), input("other")};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::binary(kOp, in[0], in[1], out[0]); }
};

/// The spec of a broadcasting op's output. REQUIRES: a common dtype.
inline TensorSpecs broadcast_specs(std::string_view op, Specs in) {
  return {{in[0].dtype, broadcast_shapes(op, in[0].sizes, in[1].sizes)}};
}

}  // namespace tapewire
