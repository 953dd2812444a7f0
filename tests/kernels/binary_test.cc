#include "core/kernels/binary.h"

#include "core/kernels/ternary.h"
#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

using Function = std::function<double(double, double)>;

double python_mod(double x, double y) {
  const double m = std::fmod(x, y);
  return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

std::vector<double> reference(const Function& f, const Tensor& a, const Tensor& b, Ints sizes, DType dtype) {
  const std::vector<double> x = expanded(a, sizes).to_vector<double>();
  const std::vector<double> y = expanded(b, sizes).to_vector<double>();
  std::vector<double> want;
  for (size_t i = 0; i < x.size(); ++i) {
    double v = f(x[i], y[i]);
    if (dtype == DType::kUInt8) v = static_cast<double>(static_cast<uint8_t>(static_cast<int64_t>(v)));
    want.push_back(v);
  }
  return want;
}

struct Shapes {
  Shape a, b, out;
};

const std::vector<Shapes>& broadcasts() {
  static const std::vector<Shapes> all{{{}, {}, {}},
                                       {{5}, {5}, {5}},
                                       {{5}, {}, {5}},
                                       {{}, {4, 3}, {4, 3}},
                                       {{4, 3}, {3}, {4, 3}},
                                       {{4, 1}, {1, 3}, {4, 3}},
                                       {{0, 3}, {3}, {0, 3}},
                                       {{2, 1, 5}, {3, 1}, {2, 3, 5}},
                                       {{1200}, {1}, {1200}},
                                       {{3, 900}, {3, 1}, {3, 900}},
                                       {{200, 5}, {5}, {200, 5}}};
  return all;
}

void check(BinaryOp op, DType dtype, DType out_dtype, const Function& f, double rtol) {
  for (const Shapes& s : broadcasts()) {
    Tensor a = random_tensor(s.a, dtype, -5, 6, 3);
    Tensor b = random_tensor(s.b, dtype, 1, 7, 4);
    const std::vector<double> want = reference(f, a, b, s.out, dtype);
    for (const Tensor& x : layouts(a)) {
      for (const Tensor& y : layouts(b)) {
        for (const Tensor& out : empty_layouts(s.out, out_dtype)) {
          binary(op, x, y, out);
          expect_close(out, want, rtol, rtol, "op " + std::to_string(static_cast<int>(op)) + " " + to_string(s.out));
          if (::testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

TEST(Binary, ArithmeticBroadcastsOverEveryDtypeAndLayout) {
  for (const DType dtype : kNumbers) {
    const double rtol = tolerance(dtype);
    check(BinaryOp::kAdd, dtype, dtype, [](double x, double y) { return x + y; }, rtol);
    check(BinaryOp::kSub, dtype, dtype, [](double x, double y) { return x - y; }, rtol);
    check(BinaryOp::kMul, dtype, dtype, [](double x, double y) { return x * y; }, rtol);
    check(BinaryOp::kMaximum, dtype, dtype, [](double x, double y) { return std::max(x, y); }, 0);
    check(BinaryOp::kMinimum, dtype, dtype, [](double x, double y) { return std::min(x, y); }, 0);
    check(BinaryOp::kFmax, dtype, dtype, [](double x, double y) { return std::max(x, y); }, 0);
    check(BinaryOp::kFmin, dtype, dtype, [](double x, double y) { return std::min(x, y); }, 0);
    check(BinaryOp::kDivTrunc, dtype, dtype, [](double x, double y) { return std::trunc(x / y); }, rtol);
    check(BinaryOp::kDivFloor, dtype, dtype, [](double x, double y) { return std::floor(x / y); }, rtol);
    check(BinaryOp::kFmod, dtype, dtype, [](double x, double y) { return std::fmod(x, y); }, rtol);
    check(BinaryOp::kRemainder, dtype, dtype, python_mod, rtol);
  }
}

TEST(Binary, FloatFunctionsAgreeWithTheStandardLibrary) {
  for (const DType dtype : kFloats) {
    const double rtol = 2 * tolerance(dtype);
    check(BinaryOp::kDiv, dtype, dtype, [](double x, double y) { return x / y; }, rtol);
    check(BinaryOp::kAtan2, dtype, dtype, [](double x, double y) { return std::atan2(x, y); }, rtol);
    check(BinaryOp::kHypot, dtype, dtype, [](double x, double y) { return std::hypot(x, y); }, rtol);
    check(
        BinaryOp::kLogaddexp, dtype, dtype,
        [](double x, double y) { return std::max(x, y) + std::log1p(std::exp(-std::abs(x - y))); }, rtol);
    check(
        BinaryOp::kLogaddexp2, dtype, dtype,
        [](double x, double y) { return std::max(x, y) + std::log1p(std::exp2(-std::abs(x - y))) / std::log(2.0); },
        rtol);
  }
}

TEST(Binary, ComparisonsWriteBool) {
  for (const DType dtype : kNumbers) {
    check(BinaryOp::kEq, dtype, DType::kBool, [](double x, double y) { return x == y; }, 0);
    check(BinaryOp::kNe, dtype, DType::kBool, [](double x, double y) { return x != y; }, 0);
    check(BinaryOp::kLt, dtype, DType::kBool, [](double x, double y) { return x < y; }, 0);
    check(BinaryOp::kLe, dtype, DType::kBool, [](double x, double y) { return x <= y; }, 0);
    check(BinaryOp::kGt, dtype, DType::kBool, [](double x, double y) { return x > y; }, 0);
    check(BinaryOp::kGe, dtype, DType::kBool, [](double x, double y) { return x >= y; }, 0);
    check(BinaryOp::kLogicalAnd, dtype, DType::kBool, [](double x, double y) { return x != 0 && y != 0; }, 0);
    check(BinaryOp::kLogicalOr, dtype, DType::kBool, [](double x, double y) { return x != 0 || y != 0; }, 0);
    check(BinaryOp::kLogicalXor, dtype, DType::kBool, [](double x, double y) { return (x != 0) != (y != 0); }, 0);
  }
}

TEST(Binary, PowAgreesWithTheStandardLibrary) {
  for (const DType dtype : kFloats) {
    const Tensor base = random_tensor(ints({500}), dtype, 0.01, 9);
    for (const double exponent : {-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 2.7, -3.3}) {
      const Tensor b = tensor_of({exponent}, Ints{}, dtype);
      const Tensor out = Tensor::empty(base.sizes(), dtype);
      binary(BinaryOp::kPow, base, b, out);
      expect_close(out, reference([](double x, double y) { return std::pow(x, y); }, base, b, base.sizes(), dtype),
                   dtype == DType::kFloat32 ? 2e-6 : 2e-15);
    }
    const Tensor exponents = random_tensor(ints({500}), dtype, -4, 4, 9);
    const Tensor out = Tensor::empty(base.sizes(), dtype);
    binary(BinaryOp::kPow, base, exponents, out);
    expect_close(out,
                 reference([](double x, double y) { return std::pow(x, y); }, base, exponents, base.sizes(), dtype),
                 dtype == DType::kFloat32 ? 2e-6 : 2e-15);
  }
  const Tensor special = Tensor::of<double>({0, -2, -2, INFINITY, 0, NAN, -1});
  const Tensor powers = Tensor::of<double>({0, 3, 0.5, -1, -1, 0, INFINITY});
  const Tensor out = Tensor::empty({7}, DType::kFloat64);
  binary(BinaryOp::kPow, special, powers, out);
  expect_close(out, {1, -8, NAN, 0, INFINITY, 1, 1}, 0);
}

TEST(Binary, NanWinsMaximumAndLosesFmax) {
  const Tensor a = Tensor::of<float>({1, NAN, NAN, 2});
  const Tensor b = Tensor::of<float>({NAN, 1, NAN, 3});
  const Tensor out = Tensor::empty({4});
  binary(BinaryOp::kMaximum, a, b, out);
  expect_close(out, {NAN, NAN, NAN, 3}, 0);
  binary(BinaryOp::kMinimum, a, b, out);
  expect_close(out, {NAN, NAN, NAN, 2}, 0);
  binary(BinaryOp::kFmax, a, b, out);
  expect_close(out, {1, 1, NAN, 3}, 0);
  binary(BinaryOp::kFmin, a, b, out);
  expect_close(out, {1, 1, NAN, 2}, 0);
}

TEST(Binary, IntegerDivisionRoundsAndRefusesZero) {
  const Tensor a = Tensor::of<int64_t>({7, -7, 7, -7, std::numeric_limits<int64_t>::min()});
  const Tensor b = Tensor::of<int64_t>({2, 2, -2, -2, -1});
  const Tensor out = Tensor::empty({5}, DType::kInt64);
  const auto run = [&](BinaryOp op) {
    binary(op, a, b, out);
    return out.to_vector<int64_t>();
  };
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(run(BinaryOp::kDivFloor), (std::vector<int64_t>{3, -4, -4, 3, kLeast}));
  EXPECT_EQ(run(BinaryOp::kDivTrunc), (std::vector<int64_t>{3, -3, -3, 3, kLeast}));
  EXPECT_EQ(run(BinaryOp::kRemainder), (std::vector<int64_t>{1, 1, -1, -1, 0}));
  EXPECT_EQ(run(BinaryOp::kFmod), (std::vector<int64_t>{1, -1, 1, -1, 0}));
  const Tensor zero = Tensor::of<int64_t>({1, 0, 1, 1, 1});
  for (const BinaryOp op : {BinaryOp::kDivFloor, BinaryOp::kDivTrunc, BinaryOp::kRemainder, BinaryOp::kFmod}) {
    EXPECT_EQ(error_of([&] { binary(op, a, zero, out); }), "ZeroDivisionError");
  }
}

TEST(Binary, FloatFloorDivisionAndRemainderHaveTheDivisorsSign) {
  const Tensor a = Tensor::of<double>({7.5, -7.5, 7.5, -7.5, 1, -0.0, 0.3});
  const Tensor b = Tensor::of<double>({2, 2, -2, -2, 0, 3, 0.1});
  const Tensor out = Tensor::empty({7}, DType::kFloat64);
  binary(BinaryOp::kRemainder, a, b, out);
  expect_close(out, {1.5, 0.5, -0.5, -1.5, NAN, 0, std::fmod(0.3, 0.1)}, 1e-15);
  binary(BinaryOp::kDivFloor, a, b, out);
  expect_close(out, {3, -4, -4, 3, INFINITY, 0, 2}, 0);
}

TEST(Binary, IntegerPowersWrap) {
  const Tensor a = Tensor::of<int64_t>({2, -3, 1, -1, -1, 5, 3});
  const Tensor b = Tensor::of<int64_t>({10, 3, -4, -3, -2, -1, 41});
  const Tensor out = Tensor::empty({7}, DType::kInt64);
  binary(BinaryOp::kPow, a, b, out);
  int64_t wrapped = 1;
  for (int i = 0; i < 41; ++i) wrapped = static_cast<int64_t>(static_cast<uint64_t>(wrapped) * 3U);
  EXPECT_EQ(out.to_vector<int64_t>(), (std::vector<int64_t>{1024, -27, 1, -1, 1, 0, wrapped}));
}

TEST(Binary, BoolsAddAsOrAndDoNotSubtract) {
  const Tensor a = Tensor::of<bool>({true, true, false, false});
  const Tensor b = Tensor::of<bool>({true, false, true, false});
  const Tensor out = Tensor::empty({4}, DType::kBool);
  binary(BinaryOp::kAdd, a, b, out);
  EXPECT_EQ(out.to_vector<int64_t>(), (std::vector<int64_t>{1, 1, 1, 0}));
  binary(BinaryOp::kMul, a, b, out);
  EXPECT_EQ(out.to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 0, 0}));
  EXPECT_NE(error_of([&] { binary(BinaryOp::kSub, a, b, out); }).find("two bool tensors is not supported"),
            std::string::npos);
}

TEST(Binary, WorksInPlaceOnEitherOperand) {
  for (const Tensor& x : layouts(random_tensor(ints({30, 40}), DType::kFloat32))) {
    const Tensor y = random_tensor(ints({40}), DType::kFloat32, 1, 2, 8);
    const Tensor want = Tensor::empty({30, 40});
    binary(BinaryOp::kDiv, x, y, want);
    const Tensor mine = Tensor::empty({30, 40});
    copy(x, mine);
    binary(BinaryOp::kDiv, mine, y, mine);
    EXPECT_TRUE(same_bits(mine, want));
    binary(BinaryOp::kDiv, y, x, want);
    binary(BinaryOp::kDiv, y, x, x);
    EXPECT_TRUE(same_bits(x, want));
  }
}

TEST(Binary, InPlaceOnASharedBufferLeavesTheOtherOwnersBytes) {
  const Tensor x = Tensor::of<float>({1, 2, 3});
  const Ref<Buffer> snapshot = x.storage().share_buffer();
  binary(BinaryOp::kAdd, x, x, x);
  EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{2, 4, 6}));
  EXPECT_EQ(reinterpret_cast<const float*>(snapshot->data())[2], 3.0F);
}

TEST(Binary, RefusesShapesThatDoNotBroadcast) {
  const Tensor out = Tensor::empty({2, 3});
  EXPECT_NE(
      error_of([&] { binary(BinaryOp::kAdd, Tensor::zeros({4}), Tensor::zeros({3}), out); }).find("cannot broadcast"),
      std::string::npos);
}

TEST(AddScaled, AddsAMultiple) {
  for (const DType dtype : kNumbers) {
    const Tensor a = random_tensor(ints({6, 7}), dtype, 0, 9);
    const Tensor b = random_tensor(ints({7}), dtype, 0, 9, 5);
    const Tensor out = Tensor::empty({6, 7}, dtype);
    add_scaled(a, b, 3, out);
    expect_close(out, reference([](double x, double y) { return x + 3 * y; }, a, b, out.sizes(), dtype),
                 tolerance(dtype));
  }
}

TEST(Ternary, WherePicks) {
  const Tensor cond = Tensor::of<bool>({true, false, true});
  for (const DType dtype : kNumbers) {
    const Tensor a = random_tensor(ints({4, 3}), dtype, 0, 50);
    const Tensor b = tensor_of({7}, Ints{}, dtype);
    for (const Tensor& out : empty_layouts(ints({4, 3}), dtype)) {
      where(cond, a, b, out);
      const std::vector<double> x = a.to_vector<double>();
      const std::vector<double> got = out.to_vector<double>();
      for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(got[i], i % 3 == 1 ? 7.0 : x[i]);
    }
  }
}

TEST(Ternary, AddcmulAddcdivLerpFollowTheFormulas) {
  for (const DType dtype : kFloats) {
    const Tensor x = random_tensor(ints({9, 1}), dtype, -2, 2, 1);
    const Tensor a = random_tensor(ints({5}), dtype, -2, 2, 2);
    const Tensor b = random_tensor(ints({9, 5}), dtype, 1, 2, 3);
    const Shape shape{9, 5};
    const std::vector<double> xs = expanded(x, shape).to_vector<double>();
    const std::vector<double> as = expanded(a, shape).to_vector<double>();
    const std::vector<double> bs = b.to_vector<double>();
    const Tensor out = Tensor::empty(shape, dtype);
    std::vector<double> want(45);
    addcmul(x, a, b, 0.5, out);
    for (size_t i = 0; i < 45; ++i) want[i] = xs[i] + 0.5 * as[i] * bs[i];
    expect_close(out, want, tolerance(dtype), tolerance(dtype));
    addcdiv(x, a, b, 0.5, out);
    for (size_t i = 0; i < 45; ++i) want[i] = xs[i] + 0.5 * as[i] / bs[i];
    expect_close(out, want, tolerance(dtype), tolerance(dtype));
    lerp(x, a, b, out);
    for (size_t i = 0; i < 45; ++i) want[i] = xs[i] + bs[i] * (as[i] - xs[i]);
    expect_close(out, want, tolerance(dtype), 4 * tolerance(dtype));
    lerp(x, a, 0.25, out);
    for (size_t i = 0; i < 45; ++i) want[i] = xs[i] + 0.25 * (as[i] - xs[i]);
    expect_close(out, want, tolerance(dtype), tolerance(dtype));
  }
}

TEST(Ternary, ClampKeepsNanAndPrefersTheUpperBound) {
  const Tensor x = Tensor::of<float>({-5, 0, 5, NAN});
  const Tensor out = Tensor::empty({4});
  clamp(x, -1.0, 2.0, out);
  expect_close(out, {-1, 0, 2, NAN}, 0);
  clamp(x, std::nullopt, 2.0, out);
  expect_close(out, {-5, 0, 2, NAN}, 0);
  clamp(x, -1.0, std::nullopt, out);
  expect_close(out, {-1, 0, 5, NAN}, 0);
  clamp(x, 3.0, 1.0, out);
  expect_close(out, {1, 1, 1, NAN}, 0);
}

TEST(Ternary, ThresholdBackwardIsZeroAtTheThreshold) {
  const Tensor x = Tensor::of<float>({-1, 0, 2});
  const Tensor grad = Tensor::of<float>({10, 20, 30});
  const Tensor out = Tensor::empty({3});
  threshold_backward(grad, x, 0, out);
  EXPECT_EQ(out.to_vector<double>(), (std::vector<double>{0, 0, 30}));
}

TEST(Binary, ThreadsDoNotMatter) {
  const Tensor a = random_tensor(ints({600, 400}), DType::kFloat32);
  const Tensor b = random_tensor(ints({400}), DType::kFloat32, 1, 2, 6);
  expect_threads_do_not_matter({DType::kFloat32, {600, 400}},
                               [&](const Tensor& out) { binary(BinaryOp::kDiv, a, b, out); });
  const Tensor turned = transposed(random_tensor(ints({400, 600}), DType::kFloat32), 0, 1);
  expect_threads_do_not_matter({DType::kFloat32, {600, 400}},
                               [&](const Tensor& out) { binary(BinaryOp::kPow, b, turned, out); });
}

}  // namespace
}  // namespace tapewire::kernels
