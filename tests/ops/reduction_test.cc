// What reductions, scans, products and creation ops give where PyTorch chooses: at ties, zeros and NaN, and what they
// refuse. Numbers and messages are PyTorch's for the expressions in the comments.

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/ops/arithmetic.h"
#include "core/ops/bound_call.h"
#include "core/ops/extremes.h"
#include "core/ops/norm.h"
#include "core/ops/reduction.h"
#include "core/ops/scan.h"
#include "core/ops/shape_ops.h"
#include "core/ops/sort.h"
#include "core/ops/statistics.h"
#include "tests/ops/samples.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::NanSensitiveDoubleEq;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor vector_of(std::initializer_list<double> values) { return set_requires_grad(Tensor::of<double>(values)); }
Tensor matrix_of(std::initializer_list<double> values, std::initializer_list<int64_t> sizes) {
  return set_requires_grad(Tensor::of<double>(values, sizes));
}

// The gradient of the sum of y by x.
std::vector<double> slope(const Tensor& y, const Tensor& x) { return grad({sum(y)}, {x})[0].to_vector<double>(); }

std::string error_of(const std::string& op, const Args& args) {
  try {
    call_op(op, args);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
    return error.message();
  }
  return "no error";
}

TEST(ExtremesTest, OfAllElementsTiesShareTheGradient) {
  const Tensor x = vector_of({3, 1, 3, 3});
  EXPECT_THAT(slope(max(x), x), ElementsAre(1.0 / 3, 0, 1.0 / 3, 1.0 / 3));  // torch.max(x)
  const Tensor y = vector_of({3, kNan, 1, kNan});
  EXPECT_THAT(slope(min(y), y), ElementsAre(0, 0.5, 0, 0.5));  // torch.min(y)
}

TEST(ExtremesTest, AlongADimensionTheFirstTakesTheGradient) {
  const Tensor x = matrix_of({3, 1, 3, 2, 2, 1}, {2, 3});
  const auto [values, places] = max(x, {.dim = 1});  // torch.max(x, 1)
  EXPECT_THAT(places.to_vector<int64_t>(), ElementsAre(0, 0));
  EXPECT_THAT(slope(values, x), ElementsAre(1, 0, 0, 1, 0, 0));
  EXPECT_THAT(slope(amax(x, {.dim = Shape{1}}), x), ElementsAre(0.5, 0, 0.5, 0.5, 0.5, 0));  // torch.amax(x, 1)
}

TEST(ExtremesTest, RefuseNothing) {
  const Tensor none = Tensor::zeros({5, 0, 5});
  const std::string unsaid =
      "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' "
      "argument.";
  for (const std::string op : {"amax", "amin", "max", "min", "argmax", "argmin"}) {
    EXPECT_EQ(error_of(op, {none}), op + unsaid);
    EXPECT_EQ(error_of(op, {none, 1}), op + "(): Expected reduction dim 1 to have non-zero size.");
  }
  EXPECT_EQ(error_of("aminmax", {none}),
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.");
  EXPECT_EQ(error_of("amax", {Tensor::zeros({2, 2}), Tuple{0, -2}}),
            "amax: dim 0 appears multiple times in the list of dims");
}

TEST(ProdTest, ZerosKeepTheirGradients) {
  const Tensor one = vector_of({2, 0, 3});
  EXPECT_THAT(slope(prod(one), one), ElementsAre(0, 6, 0));  // torch.prod(x)
  const Tensor two = vector_of({2, 0, 0});
  EXPECT_THAT(slope(prod(two), two), ElementsAre(0, 0, 0));
  // d2 / (dx1 dx2) of 2 x1 x2 5.
  const Tensor four = vector_of({2, 0, 0, 5});
  const Tensor first = grad({prod(four)}, {four}, {}, {.create_graph = true})[0];
  const Tensor pick = Tensor::of<double>({0, 1, 0, 0});
  EXPECT_THAT(grad({first}, {four}, {pick})[0].to_vector<double>(), ElementsAre(0, 0, 10, 0));
}

TEST(CumprodTest, ZerosKeepTheirGradients) {
  const Tensor x = vector_of({2, 0, 3, 4});
  const Tensor weights = Tensor::of<double>({1, 2, 3, 4});
  EXPECT_THAT(slope(mul(cumprod(x, {.dim = 0}), weights), x), ElementsAre(1, 118, 0, 0));
}

TEST(NormTest, OfZerosHasNoSlope) {
  for (const double p : {0.5, 1.0, 1.5, 2.0, 3.0, kInf}) {
    const Tensor x = vector_of({0, 0});
    EXPECT_THAT(slope(vector_norm(x, {.ord = p}), x), ElementsAre(0, 0)) << p;
    // Nor is there a NaN in the gradient of the gradient.
    const Tensor first = grad({vector_norm(x, {.ord = p})}, {x}, {}, {.create_graph = true})[0];
    if (!first.requires_grad()) continue;
    EXPECT_THAT(slope(first, x), ElementsAre(0, 0)) << p;
  }
  const Tensor rows = matrix_of({0, 0, 3, 4}, {2, 2});
  EXPECT_THAT(slope(vector_norm(rows, {.dim = Shape{1}}), rows),
              ElementsAre(0, 0, testing::DoubleEq(0.6), testing::DoubleEq(0.8)));
  const Tensor tied = vector_of({-3, 3, 1});
  EXPECT_THAT(slope(vector_norm(tied, {.ord = kInf}), tied), ElementsAre(-0.5, 0.5, 0));
}

TEST(NormTest, RefusesWhatHasNoIdentity) {
  const Tensor none = Tensor::zeros({2, 0});
  EXPECT_EQ(error_of("linalg.vector_norm", {none, -kInf}),
            "linalg.vector_norm cannot compute the -inf norm on an empty tensor because the operation does not have an "
            "identity");
  EXPECT_THAT(error_of("linalg.vector_norm", {none, kInf, 1}), HasSubstr("inf norm on the dimension 1 because"));
  EXPECT_EQ(error_of("norm", {Tensor::zeros({2}), "sum"}),
            "norm: attribute 'p': expected a number, 'fro' or 'nuc', got 'sum'");
  EXPECT_THAT(error_of("norm", {Tensor::zeros({2}), "nuc"}), HasSubstr("Expected a tensor with 2 dimensions"));
  EXPECT_THAT(error_of("norm", {Tensor::zeros({2}, DType::kInt64)}), HasSubstr("Got Long"));
}

TEST(StdTest, OfEqualElementsHasNoSlope) {
  const Tensor x = vector_of({2, 2, 2});
  EXPECT_THAT(slope(std(x), x), ElementsAre(0, 0, 0));
}

TEST(VarTest, TakesOneOfUnbiasedAndCorrection) {
  const Tensor x = vector_of({1, 2, 4});
  EXPECT_DOUBLE_EQ(call_op("var", {x, false}).tensor().item<double>(), 14.0 / 9);  // torch.var(x, False)
  EXPECT_DOUBLE_EQ(call_op("var", {x, 0, true}).tensor().item<double>(), 7.0 / 3);
  EXPECT_DOUBLE_EQ(var(x, {.correction = 0}).item<double>(), 14.0 / 9);
  Args both{x};
  both.named = {{"unbiased", true}, {"correction", 1}};
  EXPECT_EQ(error_of("var", both), "var: takes unbiased or correction, not both");
}

TEST(SortTest, NanIsTheLargest) {
  const Tensor x = Tensor::of<double>({2, kNan, 1, 2});
  const auto [rising, places] = sort(x, {.stable = true});
  EXPECT_THAT(rising.to_vector<double>(), ElementsAre(1, 2, 2, NanSensitiveDoubleEq(kNan)));
  EXPECT_THAT(places.to_vector<int64_t>(), ElementsAre(2, 0, 3, 1));
  const auto [falling, back] = sort(x, {.descending = true, .stable = true});
  EXPECT_THAT(back.to_vector<int64_t>(), ElementsAre(1, 0, 3, 2));
  EXPECT_EQ(error_of("topk", {x, 5}), "topk: selected index k out of range: 5 of 4");
}

TEST(LogsumexpTest, OfNothingIsMinusInfinity) {
  EXPECT_EQ(logsumexp(Tensor::zeros({0}), {.dim = {0}}).item<double>(), -kInf);
  EXPECT_EQ(logsumexp(Tensor::full({2}, -kInf), {.dim = {0}}).item<double>(), -kInf);
}

TEST(SumTest, ConvertsBeforeItAdds) {
  const Tensor x = Tensor::of<double>({1.5, 1.5});
  EXPECT_EQ(sum(x, {.dtype = DType::kInt64}).item<int64_t>(), 2);  // torch.sum(x, dtype=torch.int64)
  EXPECT_EQ(error_of("mean", {Tensor::zeros({2}, DType::kInt64)}),
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: "
            "Long");
}

TEST(EinsumTest, SaysWhatIsWrongWithAnEquation) {
  const Tensor x = Tensor::zeros({2, 3});
  const auto error = [&](const char* equation, Tuple operands) {
    return error_of("einsum", {equation, std::move(operands)});
  };
  EXPECT_EQ(error("ij,jk", {x}), "einsum(): fewer operands were provided than specified in the equation");
  EXPECT_EQ(error("ij", {x, x}), "einsum(): more operands were provided than specified in the equation");
  EXPECT_EQ(error("i1", {x}),
            "einsum(): invalid subscript given at index 1 in the equation string, subscripts must be in [a-zA-Z]");
  EXPECT_EQ(error("i.", {x}), "einsum(): found '.' for operand 0 that is not part of any ellipsis");
  EXPECT_EQ(error("......", {x}), "einsum(): found '.' for operand 0 for which an ellipsis was already found");
  EXPECT_EQ(error("i", {x}),
            "einsum(): the number of subscripts in the equation (1) does not match the number of dimensions (2) for "
            "operand 0 and no ellipsis was given");
  EXPECT_EQ(error("ii", {x}), "einsum(): subscript i is repeated for operand 0 but the sizes don't match, 3 != 2");
  EXPECT_EQ(error("ij->k", {x}), "einsum(): output subscript k does not appear in the equation for any input operand");
  EXPECT_EQ(error("ij->ii", {x}), "einsum(): output subscript i appears more than once in the output");
  EXPECT_THAT(error("ij,jk", {x, x}), HasSubstr("operands do not broadcast"));
  EXPECT_EQ(error("", {}), "einsum(): must provide at least one operand");
}

TEST(ArangeTest, SaysWhatIsWrongWithARange) {
  EXPECT_EQ(error_of("arange", {0, 3, 0}), "arange: step must be nonzero");
  EXPECT_EQ(error_of("arange", {0, -3, 2}), "arange: upper bound and larger bound inconsistent with step sign");
  EXPECT_EQ(error_of("arange", {0, kInf, 2}), "arange: unsupported range: 0 -> inf");
  EXPECT_THAT(error_of("arange", {0, 1e300, 1e-300}), HasSubstr("possible overflow"));
  EXPECT_EQ(error_of("linspace", {0, 1, -1}), "linspace: number of steps must be non-negative, got -1");
  EXPECT_EQ(error_of("eye", {2, -3}), "eye: m must be greater or equal to 0, got -3");
  EXPECT_EQ(error_of("zeros", {Tuple{2, -3}}), "zeros: Trying to create tensor with negative dimension -3: [2, -3]");
}

TEST(FullTest, RefusesWhatTheDtypeCannotHold) {
  const auto error = [](double value, DType dtype) {
    Args args{Tuple{2}, value};
    args.named = {{"dtype", dtype}};
    return error_of("full", args);
  };
  EXPECT_EQ(error(1e30, DType::kInt64), "full: value cannot be converted to type int64_t without overflow");
  EXPECT_EQ(error(kNan, DType::kInt32), "full: value cannot be converted to type int without overflow");
  EXPECT_EQ(error(300, DType::kUInt8), "full: value cannot be converted to type uint8_t without overflow");
  EXPECT_EQ(error(-1, DType::kUInt8), "no error");
}

}  // namespace
}  // namespace tapewire
