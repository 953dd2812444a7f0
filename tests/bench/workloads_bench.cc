// Whole networks, in process, and the overhead of one op.

#include <benchmark/benchmark.h>

#include "core/autograd/engine.h"
#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/base/random.h"
#include "core/kernels/random.h"
#include "core/nn/convolution.h"
#include "core/nn/linear.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/dropout.h"
#include "core/ops/loss.h"
#include "core/ops/pooling.h"
#include "core/ops/shape_ops.h"
#include "core/optim/sgd.h"

namespace tapewire {
namespace {

Tensor normal(std::initializer_list<int64_t> sizes) {
  Tensor out = Tensor::empty(sizes);
  kernels::normal(out, 0, 1, current_generator());
  return out;
}

Tensor classes(int64_t count, int64_t of) {
  Tensor out = Tensor::empty({count}, DType::kInt64);
  kernels::randint(out, 0, of, current_generator());
  return out;
}

// add of two scalars that need gradients, forward and backward.
void op_overhead(benchmark::State& state) {
  const Tensor a = set_requires_grad(Tensor::scalar(1.0, DType::kFloat32));
  const Tensor b = set_requires_grad(Tensor::scalar(2.0, DType::kFloat32));
  for (auto _ : state) {
    backward(add(a, b));
    set_gradient(a, {});
    set_gradient(b, {});
  }
}
BENCHMARK(op_overhead);

// add of two vectors, with a deadline to look at.
void add_under_a_deadline(benchmark::State& state) {
  const Tensor a = normal({state.range(0)});
  const Tensor b = normal({state.range(0)});
  const CancelToken token(CancelToken::Clock::now() + std::chrono::hours(1));
  const CancelScope scope(&token);
  for (auto _ : state) benchmark::DoNotOptimize(add(a, b));
}
BENCHMARK(add_under_a_deadline)->Arg(4)->Arg(1 << 20);

template <class Forward>
void train(benchmark::State& state, std::vector<NamedTensor> parameters, const Forward& loss_of) {
  const ComputeThreadsScope threads(static_cast<int>(state.range(0)));
  SGD optimizer({{std::move(parameters), {.lr = 0.01, .momentum = 0.9}}});
  double first = 0;
  double last = 0;
  for (auto _ : state) {
    optimizer.zero_grad();
    const Tensor loss = loss_of();
    backward(loss);
    optimizer.step();
    last = loss.item<double>();
    if (first == 0) first = last;
  }
  if (!(last <= first)) state.SkipWithError("the loss did not fall");
}

std::vector<NamedTensor> parameters_of(std::initializer_list<std::shared_ptr<Module>> modules) {
  std::vector<NamedTensor> out;
  for (const auto& module : modules) {
    for (const NamedTensor& p : module->named_parameters()) out.push_back({str_cat("m", out.size()), p.tensor});
  }
  return out;
}

void train_tiny_b1(benchmark::State& state) {
  manual_seed(0);
  const auto fc1 = std::make_shared<Linear>(10, 5);
  const auto fc2 = std::make_shared<Linear>(5, 1);
  const Tensor x = normal({1, 10});
  const Tensor t = normal({1, 1});
  train(state, parameters_of({fc1, fc2}), [&] { return mse_loss((*fc2)(relu((*fc1)(x))), t); });
}
BENCHMARK(train_tiny_b1)->Arg(1);

void train_mlp_b64(benchmark::State& state) {
  manual_seed(0);
  const auto fc1 = std::make_shared<Linear>(784, 256);
  const auto fc2 = std::make_shared<Linear>(256, 10);
  const Tensor x = normal({64, 784});
  const Tensor t = classes(64, 10);
  train(state, parameters_of({fc1, fc2}), [&] { return cross_entropy((*fc2)(relu((*fc1)(x))), t); });
}
BENCHMARK(train_mlp_b64)->Arg(1)->Arg(2)->UseRealTime();

void train_mnist_b64(benchmark::State& state) {
  manual_seed(0);
  const auto conv1 =
      std::make_shared<Conv2d>(Conv2d::Options{.in_channels = 1, .out_channels = 10, .kernel_size = {5}});
  const auto conv2 =
      std::make_shared<Conv2d>(Conv2d::Options{.in_channels = 10, .out_channels = 20, .kernel_size = {5}});
  const auto fc1 = std::make_shared<Linear>(320, 50);
  const auto fc2 = std::make_shared<Linear>(50, 10);
  const Tensor x = normal({64, 1, 28, 28});
  const Tensor t = classes(64, 10);
  train(state, parameters_of({conv1, conv2, fc1, fc2}), [&] {
    Tensor h = relu(max_pool2d((*conv1)(x), {.kernel_size = {2}}));
    h = relu(max_pool2d(dropout2d((*conv2)(h)), {.kernel_size = {2}}));
    h = dropout(relu((*fc1)(view(h, {-1, 320}))));
    return nll_loss(log_softmax((*fc2)(h), {1}), t);
  });
}
BENCHMARK(train_mnist_b64)->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
}  // namespace tapewire
