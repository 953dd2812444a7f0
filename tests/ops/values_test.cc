// Forward values, and gradients where PyTorch chooses among several. Every expected number was printed by PyTorch 1.13
// (python3-torch of Debian 12) for the expression in the comment, with
//   x = tensor([[1, -2, 3], [0.5, 0, -1.5]], float64), y = tensor([2, -3, 0.5], float64).

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/random.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/bound_call.h"
#include "core/ops/convolution.h"
#include "core/ops/dropout.h"
#include "core/ops/extremes.h"
#include "core/ops/loss.h"
#include "core/ops/normalization.h"
#include "core/ops/pointwise.h"
#include "core/ops/pooling.h"
#include "core/ops/product.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

Tensor x() { return Tensor::of<double>({1, -2, 3, 0.5, 0, -1.5}, {2, 3}); }
Tensor y() { return Tensor::of<double>({2, -3, 0.5}); }
Tensor three() { return Tensor::of<double>({1, 2, 3}); }
Tensor ints(std::initializer_list<int64_t> values) { return Tensor::of<int64_t>(values); }

// 1, 2, ... less `shift`, tenths.
Tensor tenths(std::initializer_list<int64_t> sizes, int64_t shift = 0) {
  Tensor out = Tensor::empty(sizes, DType::kFloat64);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data<double>()[i] = static_cast<double>(i + 1 - shift) / 10;
  return out;
}

void expect(const Tensor& actual, DType dtype, const Shape& sizes, const std::vector<double>& values) {
  EXPECT_EQ(actual.dtype(), dtype);
  EXPECT_EQ(actual.sizes(), sizes);
  const std::vector<double> got = actual.to_vector<double>();
  ASSERT_EQ(got.size(), values.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(values[i]) ? std::isnan(got[i]) : got[i] == values[i]) continue;
    EXPECT_NEAR(got[i], values[i], 1e-14 * (1 + std::abs(values[i]))) << "element " << i;
  }
}
void expect(const Tensor& actual, const Shape& sizes, const std::vector<double>& values) {
  expect(actual, DType::kFloat64, sizes, values);
}

TEST(ArithmeticValuesTest, AddSubAndRsub) {
  expect(add(x(), y(), {.alpha = 2}), {2, 3}, {5, -8, 4, 4.5, -6, -0.5});            // torch.add(x, y, alpha=2)
  expect(sub(x(), y(), {.alpha = 0.5}), {2, 3}, {0, -0.5, 2.75, -0.5, 1.5, -1.75});  // torch.sub(x, y, alpha=0.5)
  expect(rsub(x(), y(), {.alpha = 3}), {2, 3}, {-1, 3, -8.5, 0.5, -3, 5});           // torch.rsub(x, y, alpha=3)
}

TEST(ArithmeticValuesTest, MulAndDiv) {
  expect(mul(x(), y()), {2, 3}, {2, 6, 1.5, 1, -0.0, -0.75});                   // x * y
  expect(div(x(), y()), {2, 3}, {0.5, 0.6666666666666666, 6, 0.25, -0.0, -3});  // x / y
  // torch.div(x, y, rounding_mode='trunc'), and 'floor'
  expect(div(x(), y(), {RoundingMode::kTrunc}), {2, 3}, {0, 0, 6, 0, -0.0, -3});
  expect(div(x(), y(), {RoundingMode::kFloor}), {2, 3}, {0, 0, 6, 0, -0.0, -3});
}

TEST(ArithmeticValuesTest, IntegerDivision) {
  const Tensor a = ints({7, -7, 7, -7});
  const Tensor b = ints({2, 2, -2, -2});
  expect(div(a, b, {RoundingMode::kFloor}), DType::kInt64, {4}, {3, -4, -4, 3});
  expect(div(a, b, {RoundingMode::kTrunc}), DType::kInt64, {4}, {3, -3, -3, 3});
  expect(div(ints({7, -7}), ints({2, 2})), DType::kFloat32, {2}, {3.5, -3.5});
}

TEST(ArithmeticValuesTest, Pow) {
  expect(pow(x(), 2), {2, 3}, {1, 4, 9, 0.25, 0, 2.25});  // torch.pow(x, 2)
  // torch.pow(x.abs(), y)
  expect(pow(abs(x()), y()), {2, 3},
         {1, 0.125, 1.7320508075688772, 0.25, std::numeric_limits<double>::infinity(), 1.224744871391589});
  expect(pow(ints({2, -3}), ints({10, 3})), DType::kInt64, {2}, {1024, -27});
}

TEST(ArithmeticValuesTest, Extremes) {
  expect(maximum(x(), y()), {2, 3}, {2, -2, 3, 2, 0, 0.5});
  expect(minimum(x(), y()), {2, 3}, {1, -3, 0.5, 0.5, -3, -1.5});
}

TEST(ArithmeticValuesTest, PromotedResults) {
  expect(add(ints({1, 2}), 1.5), DType::kFloat32, {2}, {2.5, 3.5});             // tensor([1, 2]) + 1.5
  expect(add(Tensor::of<bool>({true, false}), 1), DType::kInt64, {2}, {2, 1});  // tensor([True, False]) + 1
  expect(add(Tensor::of<uint8_t>({1, 2}), 300), DType::kUInt8, {2}, {45, 46});  // uint8 tensor([1, 2]) + 300
  expect(mul(ints({int64_t{1} << 62, 3}), 4), DType::kInt64, {2}, {0, 12});     // tensor([2**62, 3]) * 4
}

TEST(PointwiseValuesTest, OfOneTensor) {
  expect(exp(x()), {2, 3},
         {2.718281828459045, 0.1353352832366127, 20.085536923187668, 1.6487212707001282, 1, 0.22313016014842982});
  expect(rsqrt(add(abs(x()), 1)), {2, 3},
         {0.7071067811865475, 0.5773502691896258, 0.5, 0.8164965809277261, 1, 0.6324555320336759});
  expect(sin(x()), {2, 3},
         {0.8414709848078965, -0.9092974268256817, 0.1411200080598672, 0.479425538604203, 0, -0.9974949866040544});
  expect(cos(x()), {2, 3},
         {0.5403023058681398, -0.4161468365471424, -0.9899924966004454, 0.8775825618903728, 1, 0.0707372016677029});
  expect(sign(x()), {2, 3}, {1, -1, 1, 1, 0, -1});
}

TEST(ActivationValuesTest, Activations) {
  expect(relu(x()), {2, 3}, {1, 0, 3, 0.5, 0, 0});
  expect(sigmoid(x()), {2, 3},
         {0.7310585786300049, 0.11920292202211755, 0.9525741268224334, 0.6224593312018546, 0.5, 0.18242552380635635});
  expect(tanh(x()), {2, 3},
         {0.7615941559557649, -0.9640275800758169, 0.9950547536867305, 0.46211715726000974, 0, -0.9051482536448664});
  // torch.softmax(x, 1), torch.log_softmax(x, 0)
  expect(softmax(x(), {1}), {2, 3},
         {0.11849965453500959, 0.005899750401902781, 0.8756005950630876, 0.5740969929676946, 0.3482074278837349,
          0.0776955791485706});
  expect(log_softmax(x(), {0}), {2, 3},
         {-0.4740769841801067, -2.1269280110429727, -0.011047744848593777, -0.9740769841801067, -0.1269280110429726,
          -4.511047744848594});
}

TEST(ActivationValuesTest, DropoutDrawsPyTorchsMask) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    Generator generator(7);
    const GeneratorScope scope(generator);
    const double kept = dtype == DType::kFloat32 ? 1.6666666269302368 : 1.6666666666666667;
    // torch.manual_seed(7); F.dropout(torch.ones(8), 0.4)
    expect(dropout(Tensor::full({8}, 1, dtype), {.p = 0.4}), dtype, {8}, {kept, kept, 0, 0, 0, 0, kept, kept});
    // torch.manual_seed(7); F.dropout2d(torch.ones(2, 3, 2, 2), 0.4)[:, :, 0, 0], and the planes are uniform
    generator.set_seed(7);
    const std::vector<double> planes = dropout2d(Tensor::full({2, 3, 2, 2}, 1, dtype), {.p = 0.4}).to_vector<double>();
    const std::vector<double> expected{kept, kept, 0, 0, 0, 0};
    for (size_t i = 0; i < planes.size(); ++i) EXPECT_EQ(planes[i], expected[i / 4]);
  }
}

TEST(ReductionValuesTest, Reductions) {
  expect(sum(x(), {.dim = Shape{0}}), {3}, {1.5, -2, 1.5});
  expect(mean(x(), {.dim = Shape{1}, .keepdim = true}), {2, 1}, {0.6666666666666666, -0.3333333333333333});
  expect(argmax(x()), DType::kInt64, {}, {2});
  expect(argmax(x(), {.dim = 1}), DType::kInt64, {2}, {2, 0});
  expect(sum(Tensor::of<bool>({true, true, false})), DType::kInt64, {}, {2});
  expect(sum(Tensor::of<uint8_t>({200, 100})), DType::kInt64, {}, {300});
  expect(sum(Tensor::zeros({0, 3}, DType::kFloat64), {.dim = Shape{0}}), {3}, {0, 0, 0});
  expect(mean(Tensor::zeros({0}, DType::kFloat64)), {}, {std::nan("")});
}

TEST(ProductValuesTest, Products) {
  expect(matmul(x(), t(x())), {2, 2}, {14, -4, -4, 2.5});  // x @ x.t()
  // F.linear(x, tensor([[1, 2, 3], [-1, 0.5, 2]]), tensor([0.5, -0.5]))
  expect(linear(x(), Tensor::of<double>({1, 2, 3, -1, 0.5, 2}, {2, 3}), Tensor::of<double>({0.5, -0.5})), {2, 2},
         {6.5, 3.5, -3.5, -4});
  expect(mm(Tensor::zeros({2, 0}, DType::kFloat64), Tensor::zeros({0, 2}, DType::kFloat64)), {2, 2}, {0, 0, 0, 0});
}

TEST(ConvolutionValuesTest, Convolutions) {
  // im = arange(1., 33.).reshape(1, 2, 4, 4) / 10, w = (arange(1., 17.).reshape(2, 2, 2, 2) - 8) / 10
  const Tensor im = tenths({1, 2, 4, 4});
  const Tensor w = tenths({2, 2, 2, 2}, 8);
  const Tensor bias = Tensor::of<double>({0.1, -0.1});
  // F.conv2d(im, w, tensor([0.1, -0.1]), stride=2, padding=1)
  expect(conv2d(im, w, bias, {.stride = {2}, .padding = {1}}), {1, 2, 3, 3},
         {0.06, -0.3, -0.3, -0.98, -3.06, -2.06, -1.26, -3.3, -1.98, 1.3, 2.86, 1.42, 3.62, 7.3, 3.5, 1.9, 3.7, 1.66});
  // F.conv2d(im, (arange(1., 9.).reshape(2, 1, 2, 2) - 4) / 10, stride=(1, 2), dilation=(2, 1), groups=2)
  expect(conv2d(im, tenths({2, 1, 2, 2}, 4), {}, {.stride = {1, 2}, .dilation = {2, 1}, .groups = 2}), {1, 2, 2, 2},
         {-0.16, -0.28, -0.4, -0.52, 2.32, 2.52, 2.72, 2.92});
  // F.conv1d(im.reshape(1, 2, 16)[:, :, :5], w.reshape(2, 2, 4)[:, :, :3], tensor([0.1, -0.1]))
  expect(conv1d(as_strided(im, {{1, 2, 5}, {32, 16, 1}, 0}), as_strided(w, {{2, 2, 3}, {8, 4, 1}, 0}), bias), {1, 2, 3},
         {-1.3, -1.54, -1.78, 3.3, 3.54, 3.78});
  // F.conv3d(im.reshape(1, 1, 2, 4, 4), w.reshape(1, 1, 2, 2, 4))
  expect(conv3d(reshape(im, {1, 1, 2, 4, 4}), reshape(w, {1, 1, 2, 2, 4})), {1, 1, 1, 3, 1}, {6.96, 7.28, 7.6});
}

TEST(PoolingValuesTest, MaxPool2d) {
  const Tensor p = Tensor::of<double>({1, 5, 2, 8, 3, 4, 7, 6, 9, 0, -1, 2}, {1, 3, 4});
  expect(max_pool2d(p, {.kernel_size = {2}}), {1, 1, 2}, {5, 8});
  expect(max_pool2d(p, {.kernel_size = {2}, .ceil_mode = true}), {1, 2, 2}, {5, 8, 9, 2});
  expect(max_pool2d(p, {.kernel_size = {3}, .stride = Shape{1}, .padding = {1}}), {1, 3, 4},
         {5, 7, 8, 8, 9, 9, 8, 8, 9, 9, 7, 7});
  expect(max_pool2d(p, {.kernel_size = {2}, .stride = Shape{1}, .dilation = {2}}), {1, 1, 2}, {9, 8});
}

// PyTorch 2.x lets the padding be half of the dilated window; 1.13 only half of the plain one. By hand.
TEST(PoolingValuesTest, PaddingMayBeHalfOfTheDilatedWindow) {
  const Tensor p = Tensor::of<double>({1, 2, 3}, {1, 1, 3});
  expect(max_pool2d(p, {.kernel_size = {1, 3}, .stride = Shape{1}, .padding = {0, 2}, .dilation = {1, 2}}), {1, 1, 3},
         {3, 2, 3});
}

TEST(NormalizationValuesTest, BatchNorm) {
  // bx = tensor([[1, 2], [3, -4], [0, 5]]), running mean [0.5, -0.5] and variance [1, 2], weight [2, 3], bias [0.1,
  // 0.2]
  const Tensor bx = Tensor::of<double>({1, 2, 3, -4, 0, 5}, {3, 2});
  const Tensor mean = Tensor::of<double>({0.5, -0.5});
  const Tensor var = Tensor::of<double>({1, 2});
  const Tensor weight = Tensor::of<double>({2, 3});
  const Tensor bias = Tensor::of<double>({0.1, 0.2});
  expect(batch_norm(bx, mean, var, weight, bias), {3, 2},
         {1.0999950000374996, 5.5032876006966776, 5.099975000187499, -7.224602640975349, -0.8999950000374998,
          11.867232721532691});
  expect(batch_norm(bx, mean, var, weight, bias, {.training = true, .momentum = 0.3}), {3, 2},
         {-0.43452076572514864, 1.0017834393860958, 2.7726038286257437, -3.808917196930479, -2.038083062900595,
          3.4071337575443836});
  expect(mean, {2}, {0.75, -0.05});
  expect(var, {2}, {1.4, 7.7});
}

TEST(LossValuesTest, MseLoss) {
  const Tensor target = add(mul(x(), 2), 1);
  expect(mse_loss(x(), target), {}, {4.083333333333333});
  expect(mse_loss(x(), target, {Reduction::kSum}), {}, {24.5});
}

TEST(LossValuesTest, CrossEntropyOfClasses) {
  expect(cross_entropy(x(), ints({2, 0})), {}, {0.3439010766847831});
  expect(cross_entropy(x(), ints({2, 0}), three()), {}, {0.2383731552061793});
  // weight=[1, 2, 3], label_smoothing=0.1, the second target ignored
  expect(cross_entropy(x(), ints({2, -100}), three(), {.label_smoothing = 0.1}), {}, {0.26175039260332306});
  expect(cross_entropy(x(), ints({-100, -100})), {}, {std::nan("")});
}

TEST(LossValuesTest, CrossEntropyOfProbabilities) {
  const Tensor p = softmax(neg(x()), {1});
  expect(cross_entropy(x(), p, three()), {}, {7.931830054723641});
  expect(cross_entropy(x(), p, three(), {.reduction = Reduction::kSum, .label_smoothing = 0.2}), {},
         {14.23271561557232});
}

TEST(LossValuesTest, NllLoss) {
  expect(nll_loss(log_softmax(x(), {1}), ints({1, 1}), three(), {.reduction = Reduction::kNone}), {2},
         {10.265690467455151, 2.109913839283981});
}

TEST(CastValuesTest, ConvertsAsPyTorch) {
  expect(to(Tensor::of<double>({2.7, -2.7}), DType::kInt64), DType::kInt64, {2}, {2, -2});
  expect(to(Tensor::of<double>({300.7, 0, std::nan("")}), DType::kBool), DType::kBool, {3}, {1, 0, 1});
}

// Gradients where a function has no unique slope ---------------------------------------------------------------------

TEST(TieTest, ExtremesShareTheGradient) {
  const Tensor a = set_requires_grad(Tensor::of<double>({0, 1, 0}));
  const Tensor b = set_requires_grad(Tensor::of<double>({0, 0, 2}));
  backward(sum(maximum(a, b)));
  expect(gradient(a), {3}, {0.5, 1, 0});
  expect(gradient(b), {3}, {0.5, 0, 1});
}

TEST(TieTest, ReluAndAbsAreFlatAtZero) {
  for (const auto& f : {relu, abs}) {
    const Tensor a = set_requires_grad(Tensor::of<double>({0, 1, 0}));
    backward(sum(f(a)));
    expect(gradient(a), {3}, {0, 1, 0});
  }
}

TEST(TieTest, PowAtZero) {
  const Tensor a = set_requires_grad(Tensor::of<double>({0, 0, 2}));
  const Tensor e = set_requires_grad(Tensor::of<double>({0, 2, 0}));
  backward(sum(pow(a, e)));
  expect(gradient(a), {3}, {0, 0, 0});
  expect(gradient(e), {3}, {0, 0, 0.6931471805599453});
}

TEST(TieTest, MaxPoolPicksTheFirstOfEqualOnes) {
  const Tensor a = set_requires_grad(Tensor::of<double>({1, 1, 1, 1}, {1, 2, 2}));
  backward(sum(max_pool2d(a, {.kernel_size = {2}})));
  expect(gradient(a), {1, 2, 2}, {1, 0, 0, 0});
}

TEST(MixedPrecisionTest, GradientsComeBackInTheDtypeOfTheirInput) {
  const Tensor single = set_requires_grad(Tensor::of<float>({1, 2}));
  const Tensor wide = set_requires_grad(Tensor::of<double>({3, 4}));
  const Tensor product = mul(single, wide);
  EXPECT_EQ(product.dtype(), DType::kFloat64);
  backward(sum(product));
  expect(gradient(single), DType::kFloat32, {2}, {3, 4});
  expect(gradient(wide), DType::kFloat64, {2}, {1, 2});
  const Tensor summed = sum(single, {.dtype = DType::kFloat64});
  EXPECT_EQ(summed.dtype(), DType::kFloat64);
  backward(mul(summed, 10));
  expect(gradient(single), DType::kFloat32, {2}, {13, 14});
}

}  // namespace
}  // namespace tapewire
