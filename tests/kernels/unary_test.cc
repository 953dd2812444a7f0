#include "core/kernels/unary.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

struct Case {
  UnaryOp op;
  const char* name;
  std::function<long double(long double)> reference;
  double low = -8;
  double high = 8;
  double ulps = 4;  // of float32 and of float64
};

long double sigmoid(long double x) { return 1 / (1 + std::exp(-x)); }
long double softplus(long double x) { return std::log1p(std::exp(x)); }
long double relu6(long double x) { return std::min(std::max(x, 0.0L), 6.0L); }

// Functions that cancel (and so lose digits near a root) are held to an absolute error there by `at_root`.
const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {UnaryOp::kNeg, "neg", [](long double x) { return -x; }, -8, 8, 0},
      {UnaryOp::kAbs, "abs", [](long double x) { return std::abs(x); }, -8, 8, 0},
      {UnaryOp::kSign, "sign", [](long double x) { return x > 0   ? 1.0L
                                                          : x < 0 ? -1.0L
                                                                  : 0.0L; }, -8, 8, 0},
      {UnaryOp::kSquare, "square", [](long double x) { return x * x; }, -8, 8, 1},
      {UnaryOp::kRelu, "relu", [](long double x) { return std::max(x, 0.0L); }, -8, 8, 0},
      {UnaryOp::kRelu6, "relu6", relu6, -8, 8, 0},
      {UnaryOp::kFloor, "floor", [](long double x) { return std::floor(x); }, -8, 8, 0},
      {UnaryOp::kCeil, "ceil", [](long double x) { return std::ceil(x); }, -8, 8, 0},
      {UnaryOp::kRound, "round", [](long double x) { return std::nearbyint(x); }, -8, 8, 0},
      {UnaryOp::kTrunc, "trunc", [](long double x) { return std::trunc(x); }, -8, 8, 0},
      {UnaryOp::kFrac, "frac", [](long double x) { return x - std::trunc(x); }, -8, 8, 0},
      {UnaryOp::kExp, "exp", [](long double x) { return std::exp(x); }, -80, 80},
      {UnaryOp::kExp2, "exp2", [](long double x) { return std::exp2(x); }, -100, 100},
      {UnaryOp::kExpm1, "expm1", [](long double x) { return std::expm1(x); }},
      {UnaryOp::kLog, "log", [](long double x) { return std::log(x); }, 1e-6, 50},
      {UnaryOp::kLog2, "log2", [](long double x) { return std::log2(x); }, 1e-6, 50},
      {UnaryOp::kLog10, "log10", [](long double x) { return std::log10(x); }, 1e-6, 50},
      {UnaryOp::kLog1p, "log1p", [](long double x) { return std::log1p(x); }, -0.999, 50},
      {UnaryOp::kSqrt, "sqrt", [](long double x) { return std::sqrt(x); }, 0, 50, 1},
      {UnaryOp::kRsqrt, "rsqrt", [](long double x) { return 1 / std::sqrt(x); }, 1e-3, 50, 2},
      {UnaryOp::kReciprocal, "reciprocal", [](long double x) { return 1 / x; }, 0.1, 9, 1},
      {UnaryOp::kSin, "sin", [](long double x) { return std::sin(x); }, -100, 100},
      {UnaryOp::kCos, "cos", [](long double x) { return std::cos(x); }, -100, 100},
      {UnaryOp::kTan, "tan", [](long double x) { return std::tan(x); }, -20, 20},
      {UnaryOp::kAsin, "asin", [](long double x) { return std::asin(x); }, -1, 1},
      {UnaryOp::kAcos, "acos", [](long double x) { return std::acos(x); }, -1, 1},
      {UnaryOp::kAtan, "atan", [](long double x) { return std::atan(x); }, -30, 30},
      {UnaryOp::kSinh, "sinh", [](long double x) { return std::sinh(x); }, -20, 20},
      {UnaryOp::kCosh, "cosh", [](long double x) { return std::cosh(x); }, -20, 20},
      {UnaryOp::kTanh, "tanh", [](long double x) { return std::tanh(x); }, -12, 12},
      {UnaryOp::kAsinh, "asinh", [](long double x) { return std::asinh(x); }, -30, 30},
      {UnaryOp::kAcosh, "acosh", [](long double x) { return std::acosh(x); }, 1, 30},
      {UnaryOp::kAtanh, "atanh", [](long double x) { return std::atanh(x); }, -0.999, 0.999},
      {UnaryOp::kSigmoid, "sigmoid", sigmoid, -30, 30},
      {UnaryOp::kErf, "erf", [](long double x) { return std::erf(x); }, -5, 5},
      {UnaryOp::kErfc, "erfc", [](long double x) { return std::erfc(x); }, -5, 5},
      {UnaryOp::kLgamma, "lgamma", [](long double x) { return std::lgamma(x); }, 2.5, 40},
      {UnaryOp::kSelu, "selu",
       [](long double x) {
         return x > 0 ? 1.0507009873554804934L * x : 1.0507009873554804934L * 1.6732632423543772848L * std::expm1(x);
       }},
      {UnaryOp::kSilu, "silu", [](long double x) { return x * sigmoid(x); }, -30, 30, 6},
      {UnaryOp::kMish, "mish", [](long double x) { return x * std::tanh(softplus(x)); }, -10, 10, 8},
      {UnaryOp::kSoftsign, "softsign", [](long double x) { return x / (1 + std::abs(x)); }},
      {UnaryOp::kHardsigmoid, "hardsigmoid", [](long double x) { return relu6(x + 3) / 6; }, -2.5, 8},
      {UnaryOp::kHardswish, "hardswish", [](long double x) { return x * relu6(x + 3) / 6; }, -2.5, 8},
      {UnaryOp::kLogsigmoid, "logsigmoid", [](long double x) { return -softplus(-x); }, -30, 30},
      {UnaryOp::kTanhshrink, "tanhshrink", [](long double x) { return x - std::tanh(x); }, 1, 8, 12},
      {UnaryOp::kGelu, "gelu", [](long double x) { return x * 0.5L * (1 + std::erf(x * std::sqrt(0.5L))); }, -0.8, 8,
       8},
      {UnaryOp::kGeluTanh, "gelu tanh",
       [](long double x) {
         return 0.5L * x * (1 + std::tanh(0.797884560802865355879892L * (x + 0.044715L * x * x * x)));
       },
       -0.8, 8, 8},
  };
  return all;
}

TEST(Unary, AgreesWithTheStandardLibraryInUlps) {
  for (const Case& c : cases()) {
    for (const DType dtype : kFloats) {
      const Tensor x = random_tensor(ints({4001}), dtype, c.low, c.high);
      const Tensor out = Tensor::empty(x.sizes(), dtype);
      unary(c.op, x, out);
      const std::vector<double> in = x.to_vector<double>();
      const std::vector<double> got = out.to_vector<double>();
      for (size_t i = 0; i < in.size(); ++i) {
        const long double want = c.reference(in[i]);
        const double near = std::abs(static_cast<double>(want));
        const long double ulp = dtype == DType::kFloat32
                                    ? std::nextafter(static_cast<float>(near), INFINITY) - static_cast<float>(near)
                                    : std::nextafter(near, static_cast<double>(INFINITY)) - near;
        ASSERT_LE(std::abs(got[i] - want), (c.ulps + 0.5L) * ulp)
            << c.name << "(" << in[i] << ") of " << name_of(dtype) << ": got " << got[i] << ", want " << want;
      }
    }
  }
}

TEST(Unary, FloatExpAndLogAreWithinOneUlp) {
  for (const UnaryOp op : {UnaryOp::kExp, UnaryOp::kLog}) {
    const Tensor x = random_tensor(ints({20000}), DType::kFloat32, op == UnaryOp::kExp ? -100 : 1e-3, 88);
    const Tensor out = Tensor::empty(x.sizes());
    unary(op, x, out);
    const float* in = x.data<float>();
    const float* got = out.data<float>();
    for (int64_t i = 0; i < x.numel(); ++i) {
      const double v = static_cast<double>(in[i]);
      const double want = op == UnaryOp::kExp ? std::exp(v) : std::log(v);
      const float near = std::abs(static_cast<float>(want));
      const double ulp = static_cast<double>(std::nextafter(near, INFINITY)) - static_cast<double>(near);
      ASSERT_LE(std::abs(static_cast<double>(got[i]) - want), 1.01 * ulp) << v;
    }
  }
}

TEST(Unary, HasTheStandardLibrarysSpecialValues) {
  const std::vector<double> specials{0.0,  -0.0,   INFINITY, -INFINITY, NAN,  1.0,
                                     -1.0, 1000.0, -1000.0,  1e-310,    88.8, -104.0};
  for (const Case& c : cases()) {
    if (c.op == UnaryOp::kTanhshrink || c.op == UnaryOp::kGeluTanh || c.op == UnaryOp::kGelu ||
        c.op == UnaryOp::kSilu || c.op == UnaryOp::kMish || c.op == UnaryOp::kSoftsign || c.op == UnaryOp::kHardswish ||
        c.op == UnaryOp::kSign || c.op == UnaryOp::kLogsigmoid || c.op == UnaryOp::kRelu || c.op == UnaryOp::kRelu6 ||
        c.op == UnaryOp::kFrac || c.op == UnaryOp::kHardsigmoid) {
      continue;  // not functions of the standard library
    }
    for (const DType dtype : kFloats) {
      const Tensor x = tensor_of(specials, ints({static_cast<int64_t>(specials.size())}), dtype);
      const Tensor out = Tensor::empty(x.sizes(), dtype);
      unary(c.op, x, out);
      const std::vector<double> in = x.to_vector<double>();
      const std::vector<double> got = out.to_vector<double>();
      for (size_t i = 0; i < in.size(); ++i) {
        double want = static_cast<double>(c.reference(in[i]));
        if (dtype == DType::kFloat32) want = static_cast<double>(static_cast<float>(want));
        const std::string what =
            std::string(c.name) + "(" + std::to_string(in[i]) + ") of " + std::string(name_of(dtype));
        if (std::isnan(want)) {
          EXPECT_TRUE(std::isnan(got[i])) << what << " is " << got[i];
        } else if (std::isinf(want) || want == 0) {
          EXPECT_EQ(got[i], want) << what;
          EXPECT_EQ(std::signbit(got[i]), std::signbit(want)) << what;
        } else {
          EXPECT_NEAR(got[i], want, std::abs(want) * 1e-6 + 1e-44) << what;
        }
      }
    }
  }
}

TEST(Unary, ActivationsKeepNan) {
  const Tensor x = Tensor::of<double>({NAN});
  for (const Case& c : cases()) {
    if (c.op == UnaryOp::kSign) continue;  // 0, as in PyTorch
    const Tensor out = Tensor::empty({1}, DType::kFloat64);
    unary(c.op, x, out);
    EXPECT_TRUE(std::isnan(out.item<double>())) << c.name;
  }
}

TEST(Unary, DigammaAgreesWithKnownValues) {
  const Tensor x = Tensor::of<double>({1.0, 0.5, 10.0, -0.5, 3.25, 100.0, 0.0, -1.0});
  const Tensor out = Tensor::empty({8}, DType::kFloat64);
  unary(UnaryOp::kDigamma, x, out);
  expect_close(out,
               {-0.57721566490153286061, -1.9635100260214234794, 2.2517525890667211076, 0.03648997397857652056,
                1.016990911068179, 4.6001618527380874, -INFINITY, NAN},
               1e-14, 1e-15);
}

TEST(Unary, TakesEveryLayoutInPlaceAndOut) {
  for (const DType dtype : kNumbers) {
    for (const Shape& shape :
         {Shape{}, Shape{0}, Shape{7}, Shape{3, 5}, Shape{2, 3, 4}, Shape{3, 700}, Shape{300, 4}}) {
      const Tensor x = random_tensor(shape, dtype);
      const Tensor plain = Tensor::empty(shape, dtype);
      unary(UnaryOp::kSquare, x, plain);
      std::vector<double> want = x.to_vector<double>();
      for (double& v : want) v *= v;
      expect_close(plain, want, 1e-7);
      for (const Tensor& from : layouts(x)) {
        for (const Tensor& to : empty_layouts(shape, dtype)) {
          unary(UnaryOp::kSquare, from, to);
          EXPECT_TRUE(same_bits(to, plain));
        }
        unary(UnaryOp::kSquare, from, from);
        EXPECT_TRUE(same_bits(from, plain));
      }
    }
  }
}

TEST(Unary, IntegersHaveTheFunctionsOfPyTorch) {
  const Tensor x = Tensor::of<int64_t>({-3, 0, 4, std::numeric_limits<int64_t>::min()});
  const Tensor out = Tensor::empty({4}, DType::kInt64);
  const auto run = [&](UnaryOp op) {
    unary(op, x, out);
    return out.to_vector<int64_t>();
  };
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(run(UnaryOp::kAbs), (std::vector<int64_t>{3, 0, 4, kLeast}));
  EXPECT_EQ(run(UnaryOp::kNeg), (std::vector<int64_t>{3, 0, -4, kLeast}));
  EXPECT_EQ(run(UnaryOp::kSign), (std::vector<int64_t>{-1, 0, 1, -1}));
  EXPECT_EQ(run(UnaryOp::kRelu), (std::vector<int64_t>{0, 0, 4, 0}));
  EXPECT_EQ(run(UnaryOp::kFloor), (std::vector<int64_t>{-3, 0, 4, kLeast}));
  EXPECT_NE(error_of([&] { unary(UnaryOp::kExp, x, out); }).find("expects float32 or float64, got int64"),
            std::string::npos);
}

TEST(Unary, TestsWriteBool) {
  const Tensor x = Tensor::of<float>({0, 1, NAN, INFINITY, -INFINITY});
  const Tensor out = Tensor::empty({5}, DType::kBool);
  const auto run = [&](UnaryOp op, const Tensor& of) {
    unary(op, of, out);
    return out.to_vector<int64_t>();
  };
  EXPECT_EQ(run(UnaryOp::kIsnan, x), (std::vector<int64_t>{0, 0, 1, 0, 0}));
  EXPECT_EQ(run(UnaryOp::kIsinf, x), (std::vector<int64_t>{0, 0, 0, 1, 1}));
  EXPECT_EQ(run(UnaryOp::kIsfinite, x), (std::vector<int64_t>{1, 1, 0, 0, 0}));
  EXPECT_EQ(run(UnaryOp::kLogicalNot, x), (std::vector<int64_t>{1, 0, 0, 0, 0}));
  const Tensor whole = Tensor::of<int32_t>({0, 1, 2, 0, 3});
  EXPECT_EQ(run(UnaryOp::kIsfinite, whole), (std::vector<int64_t>{1, 1, 1, 1, 1}));
  EXPECT_EQ(run(UnaryOp::kIsnan, whole), (std::vector<int64_t>{0, 0, 0, 0, 0}));
  EXPECT_EQ(run(UnaryOp::kLogicalNot, whole), (std::vector<int64_t>{1, 0, 0, 1, 0}));
}

TEST(UnaryAttr, FollowsTheFormulas) {
  const Tensor x = random_tensor(ints({333}), DType::kFloat64, -4, 4);
  const std::vector<double> in = x.to_vector<double>();
  const auto check = [&](UnaryAttrOp op, double a, double b, const std::function<double(double)>& f) {
    const Tensor out = Tensor::empty(x.sizes(), DType::kFloat64);
    unary_attr(op, x, a, b, out);
    std::vector<double> want;
    for (const double v : in) want.push_back(f(v));
    expect_close(out, want, 4e-15, 1e-300);
  };
  check(UnaryAttrOp::kLeakyRelu, 0.1, 0, [](double v) { return v > 0 ? v : 0.1 * v; });
  check(UnaryAttrOp::kElu, 1.5, 0, [](double v) { return v > 0 ? v : 1.5 * std::expm1(v); });
  check(UnaryAttrOp::kCelu, 1.5, 0, [](double v) { return v > 0 ? v : 1.5 * std::expm1(v / 1.5); });
  check(UnaryAttrOp::kSoftplus, 2, 5, [](double v) { return 2 * v > 5 ? v : std::log1p(std::exp(2 * v)) / 2; });
  check(UnaryAttrOp::kSoftshrink, 0.5, 0, [](double v) { return v > 0.5 ? v - 0.5 : v < -0.5 ? v + 0.5 : 0; });
  check(UnaryAttrOp::kHardshrink, 0.5, 0, [](double v) { return std::abs(v) <= 0.5 ? 0 : v; });
}

TEST(Unary, PolygammaAgreesWithKnownValues) {
  // From mpmath.
  const Tensor x = Tensor::of<double>({0.5, 1, 3.25, 40, 1e6, -0.5, -2.25, 0, -3, INFINITY, NAN});
  const Tensor out = Tensor::empty({11}, DType::kFloat64);
  polygamma(0, Tensor::of<double>({0.5}), out.alias({{1}, {1}, 0}));
  EXPECT_NEAR(out.data<double>()[0], -1.9635100260214234794, 1e-15);
  polygamma(1, x, out);
  expect_close(out,
               {4.93480220054467931, 1.64493406684822644, 0.359798290309579875, 0.0253151038412910282,
                1.00000050000016667e-6, 8.93480220054467931, 19.3794105118691374, INFINITY, INFINITY, 0, NAN},
               1e-13, 1e-300);
  polygamma(2, x, out);
  expect_close(out,
               {-16.82879664423432, -2.40411380631918857, -0.128156947139115121, -0.000640820271835298588,
                -1.0000010000005e-12, -0.828796644234319996, 123.896949774060166, -INFINITY, -INFINITY, 0, NAN},
               1e-13, 1e-300);
  polygamma(5, x, out);
  expect_close(out,
               {7691.1135486024355, 122.081167438133897, 0.131606085780973139, 2.49389435099967023e-7,
                2.400006000006e-29, 15371.1135486024355, 492231.135504470091, INFINITY, INFINITY, 0, NAN},
               1e-13, 1e-300);
}

TEST(Unary, PolygammaEndsForAnyArguments) {
  const Tensor x = Tensor::of<double>({1e-300, 1e15, -1e15 - 0.5, -123456.75, 1e300, -1e300});
  const Tensor out = Tensor::empty({6}, DType::kFloat64);
  for (const int64_t n : {1, 2, 50, 200, 2147483647}) polygamma(n, x, out);
  polygamma(1, Tensor::of<double>({-1e5 - 0.5}), out.alias({{1}, {1}, 0}));
  EXPECT_NEAR(out.data<double>()[0], 9.8695944, 2e-5);  // pi^2 less what lies beyond
}

TEST(Unary, RoundsToDecimals) {
  const Tensor x = Tensor::of<double>({1.2345, -1.2355, 0.5, 1250});
  const Tensor out = Tensor::empty({4}, DType::kFloat64);
  round(x, 2, out);
  expect_close(out, {1.23, -1.24, 0.5, 1250}, 1e-15);
  round(x, -2, out);
  expect_close(out, {0, 0, 0, 1200}, 1e-15, 1e-300);
}

TEST(Unary, ThresholdTakesEveryNumber) {
  for (const DType dtype : kNumbers) {
    const Tensor x = tensor_of({1, 2, 3, 4}, ints({4}), dtype);
    const Tensor out = Tensor::empty(x.sizes(), dtype);
    threshold(x, 2, 9, out);
    expect_close(out, {9, 9, 3, 4}, 0, 0);
  }
}

TEST(NanToNum, ReplacesWhatIsNotFinite) {
  const Tensor x = Tensor::of<float>({NAN, INFINITY, -INFINITY, 2});
  const Tensor out = Tensor::empty({4});
  nan_to_num(x, 5, 6, 7, out);
  EXPECT_EQ(out.to_vector<double>(), (std::vector<double>{5, 6, 7, 2}));
}

TEST(Unary, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(ints({300, 777}), DType::kFloat32);
  for (const UnaryOp op : {UnaryOp::kTanh, UnaryOp::kRelu, UnaryOp::kExp}) {
    expect_threads_do_not_matter({DType::kFloat32, {300, 777}}, [&](const Tensor& out) { unary(op, x, out); });
  }
}

}  // namespace
}  // namespace tapewire::kernels
