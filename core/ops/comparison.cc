#include "core/ops/comparison.h"

#include "core/ops/elementwise_support.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::BinaryOp;
using kernels::UnaryOp;

// The result is bool, whatever is compared.
template <class Op, BinaryOp kOp>
struct Comparison : Binary<kOp> {
  static constexpr auto inputs = kNumberOnTheRight;
  static constexpr bool inplace = false;
  static TensorSpecs infer(const NoAttrs&, Specs in) {
    return {{DType::kBool, broadcast_shapes(Op::name, in[0].sizes, in[1].sizes)}};
  }
};
struct Eq : Comparison<Eq, BinaryOp::kEq> {
  static constexpr auto name = "eq";
  static constexpr auto doc = "input == other";
};
struct Ne : Comparison<Ne, BinaryOp::kNe> {
  static constexpr auto name = "ne";
  static constexpr auto doc = "input != other";
};
struct Lt : Comparison<Lt, BinaryOp::kLt> {
  static constexpr auto name = "lt";
  static constexpr auto doc = "input < other";
};
struct Le : Comparison<Le, BinaryOp::kLe> {
  static constexpr auto name = "le";
  static constexpr auto doc = "input <= other";
};
struct Gt : Comparison<Gt, BinaryOp::kGt> {
  static constexpr auto name = "gt";
  static constexpr auto doc = "input > other";
};
struct Ge : Comparison<Ge, BinaryOp::kGe> {
  static constexpr auto name = "ge";
  static constexpr auto doc = "input >= other";
};
struct LogicalAnd : Comparison<LogicalAnd, BinaryOp::kLogicalAnd> {
  static constexpr auto name = "logical_and";
  static constexpr auto inputs = kTensorOperands;
  static constexpr auto doc = "input and other, each true where not zero";
  static constexpr bool inplace = true;
};
struct LogicalOr : Comparison<LogicalOr, BinaryOp::kLogicalOr> {
  static constexpr auto name = "logical_or";
  static constexpr auto inputs = kTensorOperands;
  static constexpr auto doc = "input or other, each true where not zero";
  static constexpr bool inplace = true;
};
struct LogicalXor : Comparison<LogicalXor, BinaryOp::kLogicalXor> {
  static constexpr auto name = "logical_xor";
  static constexpr auto inputs = kTensorOperands;
  static constexpr auto doc = "either input or other, each true where not zero";
  static constexpr bool inplace = true;
};

template <UnaryOp kOp>
struct Test : NumericUnary<kOp> {
  static constexpr bool inplace = false;
  static TensorSpecs infer(const NoAttrs&, Specs in) { return {{DType::kBool, in[0].shape()}}; }
};
struct LogicalNot : Test<UnaryOp::kLogicalNot> {
  static constexpr auto name = "logical_not";
  static constexpr auto doc = "true where input is zero";
  static constexpr bool inplace = true;
};
struct Isnan : Test<UnaryOp::kIsnan> {
  static constexpr auto name = "isnan";
  static constexpr auto doc = "true where input is NaN";
};
struct Isinf : Test<UnaryOp::kIsinf> {
  static constexpr auto name = "isinf";
  static constexpr auto doc = "true where input is infinite";
};
struct Isfinite : Test<UnaryOp::kIsfinite> {
  static constexpr auto name = "isfinite";
  static constexpr auto doc = "true where input is neither infinite nor NaN";
};

const OpFamily kFamily{op_def<Eq>(),         op_def<Ne>(),         op_def<Lt>(),         op_def<Le>(),
                       op_def<Gt>(),         op_def<Ge>(),         op_def<LogicalAnd>(), op_def<LogicalOr>(),
                       op_def<LogicalXor>(), op_def<LogicalNot>(), op_def<Isnan>(),      op_def<Isinf>(),
                       op_def<Isfinite>()};

}  // namespace

Tensor eq(const Tensor& x, const Tensor& other) { return apply<Eq>({}, {x, other}); }
Tensor ne(const Tensor& x, const Tensor& other) { return apply<Ne>({}, {x, other}); }
Tensor lt(const Tensor& x, const Tensor& other) { return apply<Lt>({}, {x, other}); }
Tensor le(const Tensor& x, const Tensor& other) { return apply<Le>({}, {x, other}); }
Tensor gt(const Tensor& x, const Tensor& other) { return apply<Gt>({}, {x, other}); }
Tensor ge(const Tensor& x, const Tensor& other) { return apply<Ge>({}, {x, other}); }
Tensor logical_and(const Tensor& x, const Tensor& other) { return apply<LogicalAnd>({}, {x, other}); }
Tensor logical_or(const Tensor& x, const Tensor& other) { return apply<LogicalOr>({}, {x, other}); }
Tensor logical_xor(const Tensor& x, const Tensor& other) { return apply<LogicalXor>({}, {x, other}); }
Tensor logical_not(const Tensor& x) { return apply<LogicalNot>({}, {x}); }
Tensor isnan(const Tensor& x) { return apply<Isnan>({}, {x}); }
Tensor isinf(const Tensor& x) { return apply<Isinf>({}, {x}); }
Tensor isfinite(const Tensor& x) { return apply<Isfinite>({}, {x}); }

}  // namespace tapewire
