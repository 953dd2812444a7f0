// What PyTorch decides at edges and ties, and what it refuses; values were printed by PyTorch 1.13.

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/bound_call.h"
#include "core/ops/exponential.h"
#include "core/ops/piecewise_activation.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/rounding.h"
#include "core/ops/smooth_activation.h"
#include "core/ops/special.h"
#include "core/ops/ternary.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::NanSensitiveDoubleEq;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor row(std::initializer_list<double> values) { return Tensor::of<double>(values); }
Tensor leaf(std::initializer_list<double> values) { return set_requires_grad(row(values)); }
Tensor whole(std::initializer_list<int64_t> values) { return Tensor::of<int64_t>(values); }
std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

// The gradient of sum(f(x)).
template <class F>
std::vector<double> slopes(const F& f, std::initializer_list<double> at) {
  const Tensor x = leaf(at);
  backward(sum(f(x)));
  return values(gradient(x));
}

std::string refusal(const std::string& op, const Args& args) {
  try {
    call_op(op, args);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(EdgeTest, ActivationsHaveZeroSlopeAtTheirCorners) {
  EXPECT_THAT(slopes([](const Tensor& x) { return relu6(x); }, {0, 3, 6}), ElementsAre(0, 1, 0));
  EXPECT_THAT(slopes([](const Tensor& x) { return hardtanh(x); }, {-1, 0, 1}), ElementsAre(0, 1, 0));
  EXPECT_THAT(slopes([](const Tensor& x) { return hardshrink(x); }, {-0.5, 0.5, 0.6}), ElementsAre(0, 0, 1));
  EXPECT_THAT(slopes([](const Tensor& x) { return softshrink(x); }, {-0.5, 0.5, 0.6}), ElementsAre(0, 0, 1));
  EXPECT_THAT(slopes([](const Tensor& x) { return leaky_relu(x, {0.25}); }, {-1, 0, 1}), ElementsAre(0.25, 0.25, 1));
  EXPECT_THAT(slopes([](const Tensor& x) { return threshold(x, {1, 5}); }, {0, 1, 2}), ElementsAre(0, 0, 1));
  EXPECT_THAT(slopes([](const Tensor& x) { return elu(x, {2}); }, {0, 1}), ElementsAre(2, 1));
}

TEST(EdgeTest, ClampPassesTheGradientAtItsBounds) {
  EXPECT_THAT(slopes([](const Tensor& x) { return clamp(x, -1, 1); }, {-1.5, -1, 0, 1, 2}), ElementsAre(0, 1, 1, 1, 0));
  const Tensor x = leaf({-1, 0, 1});
  const Tensor low = leaf({0, 0, 3});
  const Tensor high = leaf({2, 2, 2});
  backward(sum(clamp(x, low, high)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(0, 1, 0));
  EXPECT_THAT(values(gradient(low)), ElementsAre(1, 0, 0));
  EXPECT_THAT(values(gradient(high)), ElementsAre(0, 0, 1));
}

TEST(EdgeTest, ClampKeepsNanAndPrefersTheUpperBound) {
  EXPECT_THAT(values(clamp(row({kNan, 5}), 0, 1)), ElementsAre(NanSensitiveDoubleEq(kNan), 1));
  EXPECT_THAT(values(clamp(row({0, 5}), 2, 1)), ElementsAre(1, 1));
  EXPECT_THAT(values(clamp(row({0, 5}), row({2, kNan}), row({1, 9}))), ElementsAre(1, NanSensitiveDoubleEq(kNan)));
}

TEST(EdgeTest, ClampInPlaceMayBeBoundedByItself) {
  const Tensor x = row({-1, 3});
  call_op("clamp_", {x, row({0, 0}), x});
  EXPECT_THAT(values(x), ElementsAre(-1, 3));
}

TEST(EdgeTest, FmaxGivesTiesToTheFirstAndIgnoresNan) {
  const Tensor a = leaf({1, kNan, 2, 3});
  const Tensor b = leaf({1, 5, kNan, 4});
  const Tensor y = fmax(a, b);
  EXPECT_THAT(values(y), ElementsAre(1, 5, 2, 4));
  backward(sum(y));
  EXPECT_THAT(values(gradient(a)), ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(values(gradient(b)), ElementsAre(0, 1, 0, 1));
}

TEST(EdgeTest, MaximumGivesBothTheGradientOfNan) {
  const Tensor a = leaf({kNan, 1});
  const Tensor b = leaf({1, 1});
  backward(sum(maximum(a, b)));
  EXPECT_THAT(values(gradient(a)), ElementsAre(1, 0.5));
  EXPECT_THAT(values(gradient(b)), ElementsAre(1, 0.5));
}

TEST(EdgeTest, LogaddexpTakesInfinities) {
  EXPECT_THAT(values(logaddexp(row({kInfinity, -kInfinity}), row({kInfinity, -kInfinity}))),
              ElementsAre(kInfinity, -kInfinity));
}

TEST(EdgeTest, NanToNumHasNoGradientWhereItReplaces) {
  EXPECT_THAT(slopes([](const Tensor& x) { return nan_to_num(x, {.posinf = 7.0}); }, {kNan, kInfinity, 2}),
              ElementsAre(0, 0, 1));
  EXPECT_THAT(values(nan_to_num(row({kNan, kInfinity, -kInfinity}), {.nan = 1.0, .posinf = 7.0})),
              ElementsAre(1, 7, std::numeric_limits<double>::lowest()));
}

TEST(EdgeTest, RoundsHalvesToEven) {
  EXPECT_THAT(values(round(row({0.5, 1.5, -2.5}))), ElementsAre(0, 2, -2));
  EXPECT_THAT(values(round(row({1234.5}), {-2})), ElementsAre(1200));
  EXPECT_EQ(refusal("round", {whole({12}), 0}), "round: takes 1 positional arguments at most, got 2");
}

TEST(DtypeTest, FollowsPyTorch) {
  EXPECT_EQ(square(Tensor::of<bool>({true})).dtype(), DType::kInt64);
  EXPECT_EQ(clamp(whole({1, 2}), 0.5).dtype(), DType::kFloat32);
  EXPECT_EQ(sign(Tensor::of<bool>({true})).dtype(), DType::kBool);
  EXPECT_EQ(div(Tensor::of<bool>({true}), Tensor::of<bool>({true})).dtype(), DType::kFloat32);
  EXPECT_EQ(fmod(whole({5}), whole({3})).dtype(), DType::kInt64);
  EXPECT_EQ(softmax(whole({5, 3}), {.dim = 0, .dtype = DType::kFloat64}).dtype(), DType::kFloat64);
  EXPECT_THAT(values(masked_fill(whole({1, 2}), Tensor::of<bool>({true, false}), 7.9)), ElementsAre(7, 2));
  EXPECT_THAT(values(addcmul(whole({1}), whole({2}), whole({3}), {.value = 1.5})), ElementsAre(7));
}

TEST(RefusalTest, SpeaksAsPyTorchDoes) {
  const Tensor x = row({1, 2, 3});
  const Tensor i = whole({1, 2, 3});
  const Tensor flag = Tensor::of<bool>({true, false, true});
  EXPECT_EQ(refusal("clamp", {x}), "clamp: At least one of 'min' or 'max' must not be None");
  EXPECT_EQ(refusal("pow", {i, -1}), "pow: Integers to negative integer powers are not allowed.");
  EXPECT_EQ(refusal("fmod", {i, 0}), "ZeroDivisionError");
  EXPECT_EQ(refusal("polygamma", {-1, x}), "polygamma: polygamma(n, x) does not support negative n.");
  EXPECT_THAT(refusal("masked_fill", {x, flag, x}),
              HasSubstr("only supports a 0-dimensional value tensor, but got tensor with 1 dimension"));
  EXPECT_THAT(refusal("masked_fill", {i, flag, 1e30}),
              HasSubstr("value cannot be converted to type int64 without overflow"));
  EXPECT_THAT(refusal("masked_fill", {x, i, 1}), HasSubstr("only supports boolean masks"));
  EXPECT_THAT(refusal("addcdiv", {i, i, i}), HasSubstr("Integer division with addcdiv is no longer supported"));
  EXPECT_THAT(refusal("lerp", {x, Tensor::of<float>({1, 2, 3}), 0.5}),
              HasSubstr("expected dtype float64 for `end` but got dtype float32"));
  EXPECT_THAT(refusal("neg", {flag}), HasSubstr("use the `~` or `logical_not()` operator instead"));
  EXPECT_EQ(refusal("abs", {flag}), "abs: not implemented for dtype bool");
  EXPECT_EQ(refusal("frac", {i}), "frac: expects float32 or float64, got int64");
  EXPECT_EQ(refusal("hypot", {i, i}), "hypot: expects float32 or float64, got int64");
  EXPECT_THAT(refusal("softshrink", {x, -0.5}),
              HasSubstr("lambda must be greater or equal to 0, but found to be -0.5"));
  EXPECT_THAT(refusal("rrelu", {x, 0.3, 0.1}),
              HasSubstr("Lower bound should be less than or equal to the upper bound"));
  EXPECT_THAT(refusal("celu", {x, 0.0}), HasSubstr("alpha cannot be 0 for CELU"));
  EXPECT_THAT(refusal("glu", {x}), HasSubstr("Halving dimension must be even, but dimension 0 is size 3"));
  EXPECT_THAT(refusal("prelu", {Tensor::zeros({2, 8, 3}), Tensor::zeros({9})}),
              HasSubstr("Mismatch of parameter numbers and input channel size. Found parameter numbers = 9 and channel "
                        "size = 8."));
  EXPECT_THAT(refusal("hardtanh", {Tensor::of<uint8_t>({1})}),
              HasSubstr("cannot do hardtanh on an unsigned type with negative limits"));
  EXPECT_THAT(refusal("clamp_", {i, 0.5}), HasSubstr("result type float32 can't be cast"));
}

TEST(RefusalTest, TakesNumbersWherePyTorchDoes) {
  const Tensor x = row({1, 2, 3});
  EXPECT_THAT(refusal("maximum", {x, 2}), HasSubstr("argument 'other': expected a tensor, got int 2"));
  EXPECT_THAT(refusal("eq", {2, x}), HasSubstr("argument 'input': expected a tensor, got int 2"));
  EXPECT_EQ(refusal("eq", {x, 2}), "no error");
  EXPECT_EQ(refusal("pow", {2, x}), "no error");
  EXPECT_EQ(refusal("remainder", {2, x}), "no error");
}

}  // namespace
}  // namespace tapewire
