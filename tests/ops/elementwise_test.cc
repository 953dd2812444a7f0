// What PyTorch decides at edges and ties, and what it refuses; values were printed by PyTorch 1.13, and where it
// decides otherwise now, by 2.15.

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

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
#include "core/ops/slicing.h"
#include "core/ops/smooth_activation.h"
#include "core/ops/special.h"
#include "core/ops/statistics.h"
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

std::string error_of(std::string_view op, const Args& args) {
  try {
    call_op(op, args);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

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

// As PyTorch 2.15 has it: numbers take all at a bound, tensors half.
TEST(EdgeTest, ClampByNumbersHasNoSlopeAtItsBounds) {
  const auto both = [](const Tensor& x) { return clamp(x, -1, 1); };
  EXPECT_THAT(slopes(both, {-1.5, -1, 0, 1, 2, kNan}), ElementsAre(0, 0, 1, 0, 0, 0));
  EXPECT_THAT(slopes([](const Tensor& x) { return clamp_min(x, 0.5); }, {0, 0.5, 1}), ElementsAre(0, 0, 1));
  EXPECT_THAT(slopes([](const Tensor& x) { return clamp_max(x, 0.5); }, {0, 0.5, 1}), ElementsAre(1, 0, 0));
  const Tensor x = leaf({-1, 0.5});
  const Tensor slope = grad({sum(clamp(mul(x, x), -1, 1))}, {x}, {}, {.create_graph = true})[0];
  EXPECT_THAT(values(grad({sum(slope)}, {x})[0]), ElementsAre(0, 2));
}

TEST(EdgeTest, ClampByTensorsSharesTies) {
  struct Row {
    double x, low, high;
    std::array<double, 3> shares;  // of x, low and high
  };
  const std::vector<Row> rows{{-2, -1, 1, {0, 1, 0}},    {-1, -1, 1, {0.5, 0.5, 0}}, {0, -1, 1, {1, 0, 0}},
                              {1, -1, 1, {0.5, 0, 0.5}}, {2, -1, 1, {0, 0, 1}},      {kNan, -1, 1, {1, 0, 0}},
                              {0, 0, 0, {1, 0, 0}},      {-1, 0, 0, {0, 1, 0}},      {1, 0, 0, {0, 0, 1}},
                              {-1, 1, -1, {0, 0, 1}},    {0, 1, -1, {0, 0, 1}},      {1, 1, -1, {0, 0, 1}},
                              {kNan, 1, -1, {1, 0, 1}},  {-1, kNan, 0, {1, 0, 0}},   {1, kNan, 0, {0, 0, 0}},
                              {-1, 0, kNan, {0, 0, 0}},  {0, 0, kNan, {1, 0, 0}},    {0, kNan, kNan, {1, 0, 0}}};
  for (const Row& row : rows) {
    const Tensor x = leaf({row.x});
    const Tensor low = leaf({row.low});
    const Tensor high = leaf({row.high});
    const Tensors found = grad({clamp(x, low, high)}, {x, low, high});
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(found[i].item<double>(), row.shares[i]) << row.x << " in " << row.low << ", " << row.high << ": " << i;
    }
  }
  const Tensor x = leaf({-1, 0, 1, kNan});
  const Tensor bound = leaf({0, 0, 0, 0});
  Tensors found = grad({sum(clamp_min(x, bound))}, {x, bound});
  EXPECT_THAT(values(found[0]), ElementsAre(0, 0.5, 1, 1));
  EXPECT_THAT(values(found[1]), ElementsAre(1, 0.5, 0, 1));
  found = grad({sum(clamp(x, Tensor(), bound))}, {x, bound});
  EXPECT_THAT(values(found[0]), ElementsAre(1, 0.5, 0, 1));
  EXPECT_THAT(values(found[1]), ElementsAre(0, 0.5, 1, 1));
}

// The range of a dtype ends a bound beyond it, and one that leaves nothing is refused.
TEST(EdgeTest, ClampTakesNumbersThatTheDtypeDoesNotHold) {
  const Tensor x = Tensor::of<uint8_t>({0, 1, 200, 255});
  EXPECT_THAT(values(clamp(x, -1, 300)), ElementsAre(0, 1, 200, 255));
  EXPECT_THAT(values(clamp(x, -300, 100)), ElementsAre(0, 1, 100, 100));
  EXPECT_THAT(values(clamp_min(x, -1)), ElementsAre(0, 1, 200, 255));
  EXPECT_EQ(error_of("clamp", {x, Value(), -1}),
            "clamp: Clamp max value -1 is outside the representable range of uint8");
  EXPECT_EQ(error_of("clamp", {x, 256}), "clamp: Clamp min value 256 is outside the representable range of uint8");
  const Tensor ints = Tensor::of<int32_t>({-5, 7});
  EXPECT_THAT(values(clamp(ints, -(int64_t{1} << 33), int64_t{1} << 40)), ElementsAre(-5, 7));
}

TEST(EdgeTest, NumbersMeetIntegersInTheCommonType) {
  const Tensor bytes = Tensor::of<uint8_t>({0, 3, 255});
  EXPECT_THAT(values(div(bytes, Tensor::wrapped(-1))), ElementsAre(0, -3, -255));
  EXPECT_THAT(values(div(bytes, Tensor::wrapped(256))), ElementsAre(0, 3.0 / 256, 255.0 / 256));
  EXPECT_EQ(error_of("pow", {bytes, 256}), "pow: value cannot be converted to type uint8 without overflow");
  EXPECT_EQ(error_of("pow", {Tensor::full({3}, true, DType::kBool), -1}),
            "pow: Integers to negative integer powers are not allowed.");
  EXPECT_EQ(error_of("pow", {bytes, -1}), "pow: Integers to negative integer powers are not allowed.");
  EXPECT_EQ(error_of("where", {Tensor::full({3}, true, DType::kBool), bytes, 300}),
            "where: value cannot be converted to type uint8 without overflow");
  EXPECT_THAT(error_of("sub", {bytes, true}), HasSubstr("with a bool tensor is not supported"));
  EXPECT_THAT(error_of("sub", {Tensor::full({3}, true, DType::kBool), 1}), HasSubstr("with a bool tensor"));
}

// What is written in place is computed in the common dtype, and then cast.
TEST(EdgeTest, InPlaceComputesInTheCommonType) {
  const Tensor ints = Tensor::of<int32_t>({-5, 7});
  call_op("remainder_", {ints, Tensor::of<int64_t>({(int64_t{1} << 32) + 3, (int64_t{1} << 32) + 3})});
  EXPECT_THAT(values(ints), ElementsAre(-2, 7));  // 2^32 - 2 as int32
  const Tensor bytes = Tensor::of<uint8_t>({200, 255});
  call_op("floor_divide_", {bytes, Tensor::of<int32_t>({256, -1})});
  EXPECT_THAT(values(bytes), ElementsAre(0, 1));  // -255 as uint8
  const Tensor single = Tensor::full({2}, 1e-30, DType::kFloat32);
  call_op("mul_", {single, Tensor::of<double>({1e40, 1e40})});
  EXPECT_NEAR(values(single)[0], 1e10, 1e4);
  // Its gradients are those of the product.
  const Tensor x = Tensor::full({2}, 3.0, DType::kFloat32);
  set_requires_grad(x);
  const Tensor other = leaf({2, 5});
  const Tensor y = mul(x, 1);
  call_op("mul_", {y, other});
  backward(sum(y));
  EXPECT_THAT(values(gradient(x)), ElementsAre(2, 5));
  EXPECT_THAT(values(gradient(other)), ElementsAre(3, 3));
  EXPECT_THAT(error_of("mul_", {Tensor::of<int32_t>({1, 2}), Tensor::of<double>({1, 2})}), HasSubstr("can't be cast"));
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

TEST(EdgeTest, FmaxSharesTiesAndIgnoresNan) {
  const Tensor a = leaf({1, kNan, 2, 3, kNan});
  const Tensor b = leaf({1, 5, kNan, 4, kNan});
  const Tensor y = fmax(a, b);
  EXPECT_THAT(values(narrow(y, 0, 0, 4)), ElementsAre(1, 5, 2, 4));
  backward(sum(y));
  EXPECT_THAT(values(gradient(a)), ElementsAre(0.5, 0, 1, 0, 1));
  EXPECT_THAT(values(gradient(b)), ElementsAre(0.5, 1, 0, 1, 0));
}

TEST(EdgeTest, ActivationsReachTheirLimits) {
  const auto at_ends = [&](const char* op) {
    const Tensor x = leaf({-kInfinity, kInfinity});
    const Tensor y = call_op(op, {x}).tensor();
    const Tensor slope = grad({sum(y)}, {x}, {}, {.create_graph = true})[0];
    std::vector<double> out = values(y);
    for (const double v : values(slope)) out.push_back(v);
    for (const double v : values(grad({sum(y)}, {x})[0])) out.push_back(v);
    return out;
  };
  for (const char* op : {"silu", "mish", "gelu", "hardswish"}) {
    EXPECT_THAT(at_ends(op), ElementsAre(0, kInfinity, 0, 1, 0, 1)) << op;
  }
  EXPECT_THAT(at_ends("softsign"), ElementsAre(-1, 1, 0, 0, 0, 0));
}

TEST(EdgeTest, HardswishHasTheSlopeOfItsOutsideAtItsCorners) {
  const auto f = [](const Tensor& x) { return hardswish(x); };
  EXPECT_THAT(slopes(f, {-3, 0, 3}), ElementsAre(0, 0.5, 1));
}

// Where y (1 - y) has no digit left.
TEST(EdgeTest, SecondDerivativesHoldFarOut) {
  const double tail = std::exp(-100.0);
  const auto second = [](const auto& f, double at) {
    const Tensor x = leaf({at});
    const Tensor slope = grad({f(x)}, {x}, {}, {.create_graph = true})[0];
    return grad({slope}, {x})[0].item<double>();
  };
  const auto near = [](double value) { return testing::DoubleNear(value, std::abs(value) * 1e-12); };
  for (const double at : {-100.0, 100.0}) {
    EXPECT_THAT(second([](const Tensor& x) { return logsigmoid(x); }, at), near(-tail)) << at;
    EXPECT_THAT(second([](const Tensor& x) { return softplus(x, {1, 200}); }, at), near(tail)) << at;
    EXPECT_THAT(second([](const Tensor& x) { return silu(x); }, at), near(tail * (2 - std::abs(at)))) << at;
  }
  for (const char* op : {"softplus", "gelu", "mish", "silu"}) {
    EXPECT_TRUE(std::isnan(second([&](const Tensor& x) { return call_op(op, {x}).tensor(); }, kNan))) << op;
  }
  EXPECT_EQ(second([](const Tensor& x) { return softplus(x); }, 20), 0) << "on the threshold, as PyTorch has it";
}

TEST(EdgeTest, AnglesHaveASlopeWhereSquaresDoNot) {
  for (const double size : {1e-300, 1e300}) {
    const Tensor y = leaf({size});
    const Tensor x = leaf({-size});
    const Tensors found = grad({atan2(y, x)}, {y, x});
    EXPECT_DOUBLE_EQ(found[0].item<double>(), -0.5 / size);
    EXPECT_DOUBLE_EQ(found[1].item<double>(), -0.5 / size);
  }
  const Tensor y = leaf({0});
  const Tensor x = leaf({0});
  const Tensors found = grad({atan2(y, x)}, {y, x});
  EXPECT_EQ(found[0].item<double>(), 0);
  EXPECT_EQ(found[1].item<double>(), 0);
}

TEST(EdgeTest, PolygammaHoldsNextToItsPoles) {
  constexpr double kPi = std::numbers::pi;
  for (const double pole : {0.0, -1.0, -3.0}) {
    for (const double apart : {-0x1p-40, 0x1p-40}) {
      // psi'(x) is 1 / apart^2 and pi^2 / 3 - psi'(1) and the like, which the first term drowns.
      const double x = pole + apart;
      EXPECT_DOUBLE_EQ(values(polygamma(1, row({x})))[0], 1 / (apart * apart));
      EXPECT_DOUBLE_EQ(values(polygamma(2, row({x})))[0], -2 / (apart * apart * apart));
      EXPECT_NEAR(values(digamma(row({x})))[0] * apart, -1, 1e-10);
    }
  }
  EXPECT_DOUBLE_EQ(values(polygamma(1, row({-1e-30})))[0], 1e60);
  EXPECT_NEAR(values(polygamma(1, row({-0.5})))[0], kPi * kPi / 2 + 4, 1e-13);
  EXPECT_NEAR(values(polygamma(1, row({-2.25})))[0], kPi * kPi / 0.5 - values(polygamma(1, row({3.25})))[0], 1e-12);
}

TEST(EdgeTest, PowersOfATensorAreThoseOfC) {
  EXPECT_EQ(values(pow(row({-kInfinity}), row({0.5})))[0], kInfinity);
  EXPECT_EQ(values(pow(row({-kInfinity}), Tensor::scalar(0.5, DType::kFloat64)))[0], kInfinity);
  EXPECT_TRUE(std::isnan(values(pow(row({-kInfinity}), 0.5))[0])) << "of a number it is the square root";
}

TEST(EdgeTest, TheVarianceOfWhatOverflowsIsInfinite) {
  EXPECT_EQ(var(row({3e200, 4e200, 0})).item<double>(), std::numeric_limits<double>::infinity());
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
