#include <cmath>
#include <memory>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/random.h"
#include "core/kernels/optim.h"
#include "core/kernels/reduce.h"
#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/nn/convolution.h"
#include "core/nn/dropout.h"
#include "core/nn/linear.h"
#include "core/nn/loss.h"
#include "core/nn/normalization.h"
#include "core/nn/pooling.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/dropout.h"
#include "core/ops/pooling.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"
#include "tests/nn/torch_values.h"

namespace tapewire {
namespace {

std::shared_ptr<Conv2d> conv(int64_t in, int64_t out, int64_t kernel, int64_t padding = 0) {
  return std::make_shared<Conv2d>(
      ConvOptions{.in_channels = in, .out_channels = out, .kernel_size = {kernel}, .padding = padding});
}

Tensor call(Module& loss, const Tensor& output, const Tensor& target) { return loss(Args{output, target}).tensor(); }

// Divides each pixel's features by their norm.
class FeatureL2Norm final : public TensorModule {
 public:
  std::string_view type() const override { return "FeatureL2Norm"; }
  Tensor forward(const Tensor& x) override {
    const Tensor norm = pow(add(sum(pow(x, 2), {.dim = Shape{1}}), 1e-6), 0.5);
    return div(x, expand_as(unsqueeze(norm, 1), x));
  }
};

class FeatureRegression final : public TensorModule {
 public:
  FeatureRegression() {
    const auto relu_inplace = [] { return std::make_shared<ReLU>(InplaceOptions{true}); };
    conv_ =
        register_new<Sequential>("conv", Modules{conv(225, 128, 7), std::make_shared<BatchNorm2d>(128), relu_inplace(),
                                                 conv(128, 64, 5), std::make_shared<BatchNorm2d>(64), relu_inplace()});
    linear_ = register_new<Linear>("linear", 1600, 6);
  }
  std::string_view type() const override { return "FeatureRegression"; }
  Tensor forward(const Tensor& input) override {
    const Tensor x = (*conv_)(input);
    return (*linear_)(view(x, {x.size(0), -1}));
  }

 private:
  std::shared_ptr<Sequential> conv_;
  std::shared_ptr<Linear> linear_;
};

TEST(NetworkTest, FeatureRegressionMatchesPyTorch) {
  manual_seed(1);
  const auto norm = std::make_shared<FeatureL2Norm>();
  const auto net = std::make_shared<FeatureRegression>();
  net->to(DType::kFloat64);
  const Tensor x = pattern({2, 225, 15, 15}, 5, 2);
  set_requires_grad(x);
  const Tensor out = (*net)((*norm)(x));
  expect_near(out, torch_values::kRegressionOutput, 1e-9);
  MSELoss mse;
  const Tensor loss = mse.forward(out, pattern({2, 6}, 3, 1));
  expect_near(loss, torch_values::kRegressionLoss, 1e-9);
  backward(loss);
  const std::vector<double> input_grad = gradient(x).to_vector<double>();
  for (size_t i = 0; i < torch_values::kRegressionInputGrad.size(); ++i) {
    EXPECT_NEAR(input_grad[i * 8009], torch_values::kRegressionInputGrad[i], 1e-9) << i;
  }
  const std::vector<NamedTensor> parameters = net->named_parameters();
  ASSERT_EQ(parameters.size(), torch_values::kRegressionGradNorms.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Tensor grad = gradient(parameters[i].tensor);
    EXPECT_NEAR(std::sqrt(kernels::sum_of_squares(grad)), torch_values::kRegressionGradNorms[i], 1e-8)
        << parameters[i].name;
    EXPECT_NEAR(sum(mul(grad, pattern(grad.sizes(), 3, 1))).item<double>(), torch_values::kRegressionGradSums[i], 1e-8)
        << parameters[i].name;
  }
  const std::vector<NamedTensor> buffers = net->named_buffers();
  EXPECT_NEAR(buffers[0].tensor.to_vector<double>()[1], torch_values::kRegressionRunning[1], 1e-12);
  EXPECT_NEAR(buffers[4].tensor.to_vector<double>()[0], torch_values::kRegressionRunning[2], 1e-12);
}

// Linear(10, 5) - ReLU - Linear(5, 1) under MSE: the gradients as one writes them down.
TEST(NetworkTest, SimpleNetHasTheClosedFormsGradient) {
  manual_seed(0);
  const auto fc1 = std::make_shared<Linear>(10, 5);
  const auto fc2 = std::make_shared<Linear>(5, 1);
  const auto net = std::make_shared<Sequential>(Modules{fc1, std::make_shared<ReLU>(), fc2});
  net->to(DType::kFloat64);
  const Tensor x = pattern({4, 10});
  const Tensor target = pattern({4, 1}, 5, 2);
  MSELoss mse;
  backward(mse.forward((*net)(x), target));
  const double* w1 = fc1->weight().data<double>();
  const double* b1 = fc1->bias().data<double>();
  const double* w2 = fc2->weight().data<double>();
  std::vector<double> grad_w1(50);
  std::vector<double> grad_w2(5);
  double grad_b2 = 0;
  for (int n = 0; n < 4; ++n) {
    const double* row = x.data<double>() + 10 * n;
    std::vector<double> hidden(5);
    double out = fc2->bias().item<double>();
    for (int h = 0; h < 5; ++h) {
      hidden[h] = b1[h];
      for (int i = 0; i < 10; ++i) hidden[h] += w1[10 * h + i] * row[i];
      out += w2[h] * std::max(hidden[h], 0.0);
    }
    const double slope = 2 * (out - target.data<double>()[n]) / 4;
    grad_b2 += slope;
    for (int h = 0; h < 5; ++h) {
      grad_w2[h] += slope * std::max(hidden[h], 0.0);
      if (hidden[h] <= 0) continue;
      for (int i = 0; i < 10; ++i) grad_w1[10 * h + i] += slope * w2[h] * row[i];
    }
  }
  expect_near(gradient(fc1->weight()), grad_w1, 1e-12);
  expect_near(gradient(fc2->weight()), grad_w2, 1e-12);
  expect_near(gradient(fc2->bias()), {grad_b2}, 1e-12);
}

class MnistNet final : public TensorModule {
 public:
  MnistNet() {
    conv1_ = register_module_as("conv1", conv(1, 10, 5));
    conv2_ = register_module_as("conv2", conv(10, 20, 5));
    drop_ = register_new<Dropout2d>("conv2_drop");
    fc1_ = register_new<Linear>("fc1", 320, 50);
    fc2_ = register_new<Linear>("fc2", 50, 10);
  }
  std::string_view type() const override { return "MnistNet"; }
  Tensor forward(const Tensor& input) override {
    Tensor x = relu(max_pool2d((*conv1_)(input), {.kernel_size = {2}}));
    x = relu(max_pool2d((*drop_)((*conv2_)(x)), {.kernel_size = {2}}));
    x = relu((*fc1_)(view(x, {-1, 320})));
    x = dropout(x, {.training = training()});
    return log_softmax((*fc2_)(x), {1});
  }

 private:
  template <class M>
  std::shared_ptr<M> register_module_as(const char* name, std::shared_ptr<M> module) {
    register_module(name, module);
    return module;
  }

  std::shared_ptr<Conv2d> conv1_;
  std::shared_ptr<Conv2d> conv2_;
  std::shared_ptr<Dropout2d> drop_;
  std::shared_ptr<Linear> fc1_;
  std::shared_ptr<Linear> fc2_;
};

std::shared_ptr<Module> lenet() {
  return std::make_shared<Sequential>(
      Modules{conv(1, 6, 5, 2), std::make_shared<ReLU>(), std::make_shared<MaxPool2d>(2), conv(6, 16, 5),
              std::make_shared<ReLU>(), std::make_shared<MaxPool2d>(2), std::make_shared<Flatten>(),
              std::make_shared<Linear>(400, 120), std::make_shared<ReLU>(), std::make_shared<Linear>(120, 84),
              std::make_shared<ReLU>(), std::make_shared<Linear>(84, 10)});
}

// The losses of ten steps by SGD, rate 0.05, momentum 0.9. The optimizer's kernel alone: optim/ comes after this room.
std::vector<double> train(Module& net, Module& loss, DType dtype) {
  net.to(dtype);
  const Tensor x = pattern({8, 1, 28, 28}, 11, 5, dtype);
  const Tensor target = Tensor::of<int64_t>({0, 1, 2, 3, 4, 5, 6, 7});
  const std::vector<NamedTensor> parameters = net.named_parameters();
  std::vector<Tensor> momenta;
  for (const NamedTensor& p : parameters) momenta.push_back(Tensor::zeros(p.tensor.sizes(), dtype));
  std::vector<double> losses;
  for (int step = 0; step < 10; ++step) {
    net.zero_grad();
    const Tensor value = call(loss, net(x), target);
    backward(value);
    for (size_t i = 0; i < parameters.size(); ++i) {
      kernels::sgd_step(parameters[i].tensor, gradient(parameters[i].tensor), momenta[i],
                        {.lr = 0.05, .momentum = 0.9, .first_step = step == 0});
    }
    losses.push_back(value.item<double>());
  }
  return losses;
}

TEST(NetworkTest, LeNetTrainsAsInPyTorch) {
  manual_seed(3);
  CrossEntropyLoss loss;
  const std::vector<double> losses = train(*lenet(), loss, DType::kFloat64);
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], torch_values::kLeNetLosses[i], 1e-9) << i;
  for (size_t i = 1; i < losses.size(); ++i) EXPECT_LT(losses[i], losses[i - 1]);
}

TEST(NetworkTest, MnistNetTrainsAsInPyTorchItsDropoutIncluded) {
  manual_seed(3);
  NLLLoss loss;
  const std::vector<double> losses = train(*std::make_shared<MnistNet>(), loss, DType::kFloat64);
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], torch_values::kMnistLosses[i], 1e-9) << i;
}

TEST(NetworkTest, MnistNetsLossFallsInFloat32) {
  manual_seed(3);
  const auto net = std::make_shared<MnistNet>();
  net->eval();  // without dropout's noise
  NLLLoss loss;
  const std::vector<double> losses = train(*net, loss, DType::kFloat32);
  for (size_t i = 1; i < losses.size(); ++i) EXPECT_LT(losses[i], losses[i - 1]) << i;
}

}  // namespace
}  // namespace tapewire
