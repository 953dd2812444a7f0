#include "core/optim/optimizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "core/autograd/engine.h"
#include "core/base/cancel.h"
#include "core/nn/linear.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "core/optim/adadelta.h"
#include "core/optim/adagrad.h"
#include "core/optim/adam.h"
#include "core/optim/clip.h"
#include "core/optim/decay_schedules.h"
#include "core/optim/nadam.h"
#include "core/optim/rmsprop.h"
#include "core/optim/sgd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/optim/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(OptimizerTest, SkipsParametersWithoutGradient) {
  const NamedTensor a = parameter("a", {1, 2});
  const NamedTensor b = parameter("b", {3});
  SGD sgd({a, b}, {.lr = 0.5});
  give_gradient(a, {1, -2});
  sgd.step();
  EXPECT_THAT(a.tensor.to_vector<double>(), ElementsAre(0.5, 3));
  EXPECT_THAT(b.tensor.to_vector<double>(), ElementsAre(3));
}

TEST(OptimizerTest, RaisesTheVersionOfWhatItChangesAlone) {
  const NamedTensor a = parameter("a", {1});
  const NamedTensor b = parameter("b", {1});
  SGD sgd({a, b}, {.lr = 0.5});
  give_gradient(a, {1});
  sgd.step();
  EXPECT_EQ(a.tensor.version(), 1u);
  EXPECT_EQ(b.tensor.version(), 0u);
}

TEST(OptimizerTest, AStepBetweenForwardAndBackwardIsCaught) {
  const NamedTensor a = parameter("a", {1, 2});
  SGD sgd({a}, {.lr = 0.5});
  const Tensor loss = sum(mul(a.tensor, a.tensor));
  give_gradient(a, {1, 1});
  sgd.step();
  EXPECT_THAT(error_of([&] { backward(loss); }), HasSubstr("modified by an inplace operation"));
}

TEST(OptimizerTest, LeavesHistoryAlone) {
  const NamedTensor a = parameter("a", {1});
  Adam adam({a}, {});
  give_gradient(a, {1});
  adam.step();
  EXPECT_TRUE(is_leaf(a.tensor));
  EXPECT_TRUE(a.tensor.requires_grad());
  adam.visit_state([](Tensor& state) { EXPECT_FALSE(state.requires_grad()); });
}

TEST(OptimizerTest, NeverWritesBytesThatOthersHold) {
  const NamedTensor a = parameter("a", {1, 2});
  Adam adam({a}, {});
  give_gradient(a, {1, 1});
  const Ref<Buffer> before = a.tensor.storage().share_buffer();
  adam.step();
  EXPECT_EQ(reinterpret_cast<const double*>(before->data())[0], 1.0);
  EXPECT_NE(a.tensor.data<double>()[0], 1.0);
}

TEST(OptimizerTest, ACancelledStepChangesNothing) {
  const NamedTensor a = parameter("a", {1});
  Adam adam({a}, {});
  give_gradient(a, {1});
  CancelToken token;
  token.cancel();
  {
    const CancelScope scope(&token);
    EXPECT_THROW(adam.step(), Error);
  }
  EXPECT_EQ(a.tensor.item<double>(), 1);
  EXPECT_TRUE(adam.state_dict().tensors.empty());
}

// Runs `f` under tokens that another thread cancels at once or ever later, until a few came too late.
void cancel_at_any_time(const std::function<void()>& f) {
  int late = 0;
  for (int64_t turns = 0; late < 5 && turns < 1'000'000'000; turns += 1000 + turns / 8) {
    CancelToken token;
    std::atomic<bool> started{false};
    std::thread other([&] {
      started = true;
      for (std::atomic<int64_t> i = 0; i < turns;) i.fetch_add(1, std::memory_order_relaxed);
      token.cancel();
    });
    while (!started) std::this_thread::yield();
    const CancelScope scope(&token);
    error_of(f);
    if (!token.cancelled()) ++late;
    other.join();
  }
}

TEST(OptimizerTest, AStepOrClippingThatIsCancelledIsMadeWholeOrNotAtAll) {
  std::vector<NamedTensor> parameters;
  for (int i = 0; i < 12; ++i) {
    parameters.push_back({std::to_string(i), set_requires_grad(Tensor::full({150'000}, 1.0, DType::kFloat64))});
  }
  SGD sgd(parameters, {.lr = 1});
  const auto give = [&] {
    for (const NamedTensor& p : parameters) {
      set_gradient(p.tensor, Tensor::full(p.tensor.sizes(), 1.0, DType::kFloat64));
    }
  };
  const auto same_everywhere = [&](bool gradients) {
    const auto data = [&](const NamedTensor& p) { return (gradients ? gradient(p.tensor) : p.tensor).data<double>(); };
    const double first = *data(parameters[0]);
    return std::ranges::all_of(parameters, [&](const NamedTensor& p) {
      return std::all_of(data(p), data(p) + p.tensor.numel(), [first](double v) { return v == first; });
    });
  };
  const auto check = [&](const char* what, bool gradients, const std::function<void()>& f) {
    cancel_at_any_time([&] {
      {
        const CancelScope shield(nullptr);
        give();
      }
      try {
        f();
      } catch (...) {
        const CancelScope look(nullptr);
        EXPECT_TRUE(same_everywhere(gradients)) << what;
        throw;
      }
    });
    EXPECT_TRUE(same_everywhere(gradients)) << what;
  };
  check("step", false, [&] { sgd.step(); });
  check("clip_grad_value", true, [&] { clip_grad_value(parameters, 0.5); });
  check("clip_grad_norm", true, [&] { clip_grad_norm(parameters, 1); });
  check("zero_grad", true, [&] { sgd.zero_grad(/*set_to_none=*/false); });
}

TEST(OptimizerTest, ZeroGradDropsGradientsOrFillsThem) {
  const NamedTensor a = parameter("a", {1});
  SGD sgd({a}, {});
  give_gradient(a, {4});
  const Tensor kept = gradient(a.tensor);
  sgd.zero_grad(false);
  EXPECT_TRUE(gradient(a.tensor).is_same(kept));
  EXPECT_EQ(kept.item<double>(), 0);
  sgd.zero_grad();
  EXPECT_FALSE(gradient(a.tensor).defined());
}

TEST(OptimizerTest, GroupsHaveRatesOfTheirOwn) {
  const NamedTensor a = parameter("a", {1});
  const NamedTensor b = parameter("b", {1});
  SGD sgd(std::vector<SGD::OptionGroup>{{{a}, {.lr = 0.1}}, {{b}, {.lr = 0.2, .weight_decay = 1}}});
  sgd.set_learning_rate(0, 0.5);
  give_gradient(a, {1});
  give_gradient(b, {1});
  sgd.step();
  EXPECT_DOUBLE_EQ(a.tensor.item<double>(), 0.5);
  EXPECT_DOUBLE_EQ(b.tensor.item<double>(), 0.6);
  sgd.set_learning_rate(0.25);
  EXPECT_EQ(sgd.learning_rate(0), 0.25);
  EXPECT_EQ(sgd.learning_rate(1), 0.25);
  EXPECT_EQ(sgd.initial_learning_rate(1), 0.25);
  sgd.begin_schedules();
  sgd.set_learning_rate(0.5);
  EXPECT_EQ(sgd.initial_learning_rate(1), 0.25);
  EXPECT_THAT(sgd.parameters(), testing::SizeIs(2));
}

TEST(OptimizerTest, SetLearningRateRefusesNonsense) {
  SGD sgd({parameter("a", {1})}, {});
  EXPECT_EQ(error_of([&] { sgd.set_learning_rate(-1); }), "Invalid learning rate: -1.0");
  EXPECT_EQ(error_of([&] { sgd.set_learning_rate(0, kNan); }), "Invalid learning rate: nan");
  EXPECT_EQ(sgd.learning_rate(), 1e-3);
}

TEST(OptimizerTest, RefusesParametersThatCannotBeOptimized) {
  EXPECT_EQ(error_of([] { SGD sgd(std::vector<NamedTensor>{}, {}); }), "optimizer got an empty parameter list");
  const NamedTensor a = parameter("a", {1});
  EXPECT_EQ(error_of([&] { SGD sgd(std::vector<SGD::OptionGroup>{{{a}, {}}, {{a}, {}}}); }),
            "some parameters appear in more than one parameter group: 'a'");
  EXPECT_EQ(error_of([&] { SGD({a, parameter("a", {2})}, {}); }), "optimizer: two parameters are called 'a'");
  EXPECT_EQ(error_of([&] { SGD({{"b", mul(a.tensor, 2)}}, {}); }), "can't optimize a non-leaf Tensor: 'b'");
  EXPECT_EQ(error_of([] { SGD({{"n", Tensor::of<int64_t>({1})}}, {}); }),
            "optimizer: parameter 'n' must be float32 or float64, got int64");
  EXPECT_EQ(error_of([] { SGD({{"n", Tensor()}}, {}); }), "optimizer: parameter 'n' is none");
}

TEST(OptimizerTest, RefusesOptionsWithPyTorchsWords) {
  const auto sgd = [](SgdOptions o) { return error_of([&] { SGD({parameter("a", {1})}, o); }); };
  EXPECT_EQ(sgd({.lr = -1}), "Invalid learning rate: -1.0");
  EXPECT_EQ(sgd({.lr = kNan}), "Invalid learning rate: nan");
  EXPECT_EQ(sgd({.momentum = -0.5}), "Invalid momentum value: -0.5");
  EXPECT_EQ(sgd({.dampening = kNan}), "Invalid dampening value: nan");
  EXPECT_EQ(sgd({.weight_decay = -1e-5}), "Invalid weight_decay value: -1e-05");
  EXPECT_EQ(sgd({.nesterov = true}), "Nesterov momentum requires a momentum and zero dampening");
  EXPECT_EQ(sgd({.momentum = 0.9, .dampening = 0.1, .nesterov = true}),
            "Nesterov momentum requires a momentum and zero dampening");
  const auto adam = [](AdamOptions o) { return error_of([&] { Adam({parameter("a", {1})}, o); }); };
  EXPECT_EQ(adam({.lr = -0.1}), "Invalid learning rate: -0.1");
  EXPECT_EQ(adam({.eps = -1}), "Invalid epsilon value: -1.0");
  EXPECT_EQ(adam({.betas = {1, 0.9}}), "Invalid beta parameter at index 0: 1.0");
  EXPECT_EQ(adam({.betas = {0.9, -0.1}}), "Invalid beta parameter at index 1: -0.1");
  EXPECT_EQ(adam({.betas = {0.9}}), "betas must be two numbers, got 1");
  EXPECT_EQ(error_of([] { AdamW({parameter("a", {1})}, {.weight_decay = -1}); }), "Invalid weight_decay value: -1.0");
}

TEST(OptimizerTest, RefusesOptionsOfTheOthersToo) {
  const auto rmsprop = [](RMSpropOptions o) { return error_of([&] { RMSprop({parameter("a", {1})}, o); }); };
  EXPECT_EQ(rmsprop({.alpha = -1}), "Invalid alpha value: -1.0");
  EXPECT_EQ(rmsprop({.momentum = kNan}), "Invalid momentum value: nan");
  const auto adagrad = [](AdagradOptions o) { return error_of([&] { Adagrad({parameter("a", {1})}, o); }); };
  EXPECT_EQ(adagrad({.lr_decay = -1}), "Invalid lr_decay value: -1.0");
  EXPECT_EQ(adagrad({.initial_accumulator_value = -1}), "Invalid initial_accumulator_value value: -1.0");
  EXPECT_EQ(error_of([] { Adadelta({parameter("a", {1})}, {.rho = 1.5}); }), "Invalid rho value: 1.5");
  EXPECT_EQ(error_of([] { NAdam({parameter("a", {1})}, {.momentum_decay = -1}); }),
            "Invalid momentum_decay value: -1.0");
}

TEST(OptimizerTest, StateIsNamedByParameter) {
  const NamedTensor a = parameter("fc.weight", {1});
  const NamedTensor b = parameter("fc.bias", {1});
  Adam adam({a, b}, {.lr = 0.5});
  give_gradient(a, {2});
  adam.step();
  const OptimizerState state = adam.state_dict();
  ASSERT_THAT(state.tensors, testing::SizeIs(2));
  EXPECT_EQ(state.tensors[0].name, "fc.weight.exp_avg");
  EXPECT_EQ(state.tensors[1].name, "fc.weight.exp_avg_sq");
  EXPECT_NEAR(state.tensors[0].tensor.item<double>(), 0.2, 1e-15);
  EXPECT_THAT(state.numbers, ElementsAre(testing::Pair("fc.weight.step", 1), testing::Pair("group0.beta1", 0.9),
                                         testing::Pair("group0.initial_lr", 0.5), testing::Pair("group0.lr", 0.5)));
}

TEST(OptimizerTest, LoadStateDictNamesEveryFaultAndChangesNothing) {
  const NamedTensor a = parameter("a", {1, 2});
  Adam adam({a}, {});
  give_gradient(a, {1, 1});
  adam.step();
  const double before = adam.state_dict().tensors[0].tensor.data<double>()[0];
  const OptimizerState state{{{"a.exp_avg", Tensor::zeros({3}, DType::kFloat64)}, {"b.exp_avg", Tensor::zeros({1})}},
                             {{"a.step", 1}, {"group0.lr", -1}, {"group1.lr", 1}}};
  EXPECT_EQ(error_of([&] { adam.load_state_dict(state); }),
            "Error(s) in loading state_dict for Adam:"
            "\n\t'group0.lr': Invalid learning rate: -1.0"
            "\n\tmissing 'group0.initial_lr'"
            "\n\tsize mismatch for a.exp_avg: got [3], the parameter has [2]"
            "\n\tmissing 'a.exp_avg_sq'"
            "\n\tmissing 'group0.beta1'"
            "\n\tunexpected 'b.exp_avg'"
            "\n\tunexpected 'group1.lr'");
  EXPECT_EQ(adam.state_dict().tensors[0].tensor.data<double>()[0], before);
  EXPECT_EQ(adam.learning_rate(), 1e-3);
  OptimizerState fraction = adam.state_dict();
  fraction.numbers["a.step"] = 1.5;
  EXPECT_THAT(error_of([&] { adam.load_state_dict(fraction); }),
              HasSubstr("'a.step' must be a count of steps, got 1.5"));
}

TEST(OptimizerTest, LoadStateDictRefusesNumbersThatCannotBe) {
  const NamedTensor a = parameter("a", {1});
  NAdam nadam({a}, {});
  give_gradient(a, {1});
  nadam.step();
  const OptimizerState good = nadam.state_dict();
  const auto fault = [&](const std::string& key, double value) {
    OptimizerState bad = good;
    bad.numbers[key] = value;
    return error_of([&] { nadam.load_state_dict(bad); });
  };
  EXPECT_THAT(fault("group0.lr", kNan), HasSubstr("'group0.lr': Invalid learning rate: nan"));
  EXPECT_THAT(fault("group0.beta1", 1), HasSubstr("'group0.beta1': Invalid beta parameter at index 0: 1.0"));
  EXPECT_THAT(fault("a.mu_product", kNan), HasSubstr("'a.mu_product' must be finite, got nan"));
  EXPECT_THAT(fault("a.step", 1e300), HasSubstr("'a.step' must be a count of steps, got 1e+300"));
  EXPECT_EQ(nadam.state_dict().numbers, good.numbers);
  nadam.load_state_dict(good);
}

TEST(OptimizerTest, StepsOnFromAHugeCount) {
  for (const OptimizerDef* def : all_optimizers()) {
    const NamedTensor a = parameter("a", {1});
    std::vector<std::string> faults;
    const auto optimizer = def->make({{{a}, {}}}, {}, faults);
    give_gradient(a, {1});
    optimizer->step();
    OptimizerState state = optimizer->state_dict();
    state.numbers["a.step"] = 1e15;
    optimizer->load_state_dict(state);
    optimizer->step();
    EXPECT_TRUE(std::isfinite(a.tensor.item<double>())) << def->name;
    EXPECT_EQ(optimizer->state_dict().numbers.at("a.step"), 1e15 + 1) << def->name;
  }
}

TEST(OptimizerTest, AddsAParameterGroup) {
  const NamedTensor a = parameter("a", {1});
  const NamedTensor b = parameter("b", {1});
  SGD sgd({a}, {.lr = 0.5});
  sgd.add_param_group({{b}, {.lr = 0.25}});
  give_gradient(a, {1});
  give_gradient(b, {1});
  sgd.step();
  EXPECT_EQ(a.tensor.item<double>(), 0.5);
  EXPECT_EQ(b.tensor.item<double>(), 0.75);
}

TEST(OptimizerTest, AGroupThatCannotBeAddedChangesNothing) {
  const NamedTensor a = parameter("a", {1});
  SGD sgd({a}, {});
  EXPECT_EQ(error_of([&] { sgd.add_param_group({{a}, {}}); }),
            "some parameters appear in more than one parameter group: 'a'");
  EXPECT_EQ(error_of([&] { sgd.add_param_group({{parameter("b", {1})}, {.lr = kNan}}); }),
            "Invalid learning rate: nan");
  EXPECT_EQ(sgd.group_count(), 1u);
}

TEST(OptimizerTest, MomentumIsSetAsTheOptionsAllow) {
  SGD sgd({parameter("a", {1})}, {.momentum = 0.9, .nesterov = true});
  sgd.set_momentum(0, 0.5);
  EXPECT_EQ(sgd.options().momentum, 0.5);
  EXPECT_EQ(error_of([&] { sgd.set_momentum(0, 0); }), "Nesterov momentum requires a momentum and zero dampening");
  EXPECT_EQ(sgd.momentum(), 0.5);
  Adam adam({parameter("a", {1})}, {});
  adam.set_momentum(0, 0.8);
  EXPECT_EQ(adam.options().betas[0], 0.8);
  EXPECT_EQ(error_of([&] { adam.set_momentum(0, 1); }), "Invalid beta parameter at index 0: 1.0");
  Adagrad adagrad({parameter("a", {1})}, {});
  EXPECT_EQ(adagrad.momentum(), std::nullopt);
  EXPECT_EQ(error_of([&] { adagrad.set_momentum(0, 0.5); }), "Adagrad: has no momentum to set");
}

TEST(OptimizerTest, AMomentumThatRestsKeepsItsBuffer) {
  const NamedTensor a = parameter("a", {0});
  SGD sgd({a}, {.lr = 1, .momentum = 0.5});
  const auto step = [&](double momentum) {
    sgd.set_momentum(0, momentum);
    give_gradient(a, {1});
    sgd.step();
    return a.tensor.item<double>();
  };
  EXPECT_EQ(step(0.5), -1);
  EXPECT_EQ(step(0), -2);
  const OptimizerState state = sgd.state_dict();
  EXPECT_THAT(state.tensors, testing::SizeIs(1));
  sgd.load_state_dict(state);
  EXPECT_EQ(step(0.5), -3.5);
}

// torch: an SGD whose momentum is 0 at first has no buffer; the first that it makes is the gradient, not dampened.
TEST(OptimizerTest, AMomentumThatComesLaterBeginsWithTheGradient) {
  const NamedTensor a = parameter("a", {0});
  SGD sgd({a}, {.lr = 1, .dampening = 0.5});
  const auto step = [&](double momentum) {
    sgd.set_momentum(0, momentum);
    give_gradient(a, {1});
    sgd.step();
    return a.tensor.item<double>();
  };
  EXPECT_EQ(step(0), -1);
  EXPECT_EQ(step(0.5), -2);
  EXPECT_EQ(step(0.5), -3);
  EXPECT_EQ(step(0.25), -3.75);
}

TEST(OptimizerTest, InitialRatesComeBackWithTheState) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  StepLR schedule(sgd, {.step_size = 1, .gamma = 0.5});
  schedule.step();
  SGD resumed({parameter("a", {1})}, {.lr = 7});
  resumed.load_state_dict(sgd.state_dict());
  EXPECT_EQ(resumed.learning_rate(), 0.5);
  EXPECT_EQ(resumed.initial_learning_rate(0), 1);
  const StepLR next(resumed, {.step_size = 1, .gamma = 0.5});
  EXPECT_EQ(next.state_dict().at("base_lr0"), 1);
}

TEST(OptimizerTest, StateFollowsTheParametersDtype) {
  const auto fc = std::make_shared<Linear>(2, 1);
  Adam adam(fc->named_parameters(), {});
  const auto step = [&](DType dtype) {
    for (const NamedTensor& p : fc->named_parameters())
      set_gradient(p.tensor, Tensor::full(p.tensor.sizes(), 1.0, dtype));
    adam.step();
  };
  step(DType::kFloat32);
  fc->to(DType::kFloat64);
  step(DType::kFloat64);
  int states = 0;
  adam.visit_state([&](Tensor& state) {
    EXPECT_EQ(state.dtype(), DType::kFloat64);
    ++states;
  });
  EXPECT_EQ(states, 4);
}

TEST(OptimizerTest, TakesGradientsOfAnyStrides) {
  const NamedTensor a = {"a", Tensor::zeros({2, 3}, DType::kFloat64)};
  set_requires_grad(a.tensor);
  SGD sgd({a}, {.lr = 1});
  const Tensor columns = Tensor::of<double>({1, 2, 3, 4, 5, 6}, {3, 2});
  set_gradient(a.tensor, columns.alias({{2, 3}, {1, 2}, 0}));
  sgd.step();
  EXPECT_THAT(a.tensor.to_vector<double>(), ElementsAre(-1, -3, -5, -2, -4, -6));
}

TEST(OptimizerDefTest, MakesGroupsWithOverrides) {
  std::vector<std::string> faults;
  const auto optimizer = require_optimizer("SGD").make(
      {{{parameter("a", {1})}, {}}, {{parameter("b", {1})}, {{"lr", 0.5}, {"momentum", 0.9}}}},
      {{"lr", 0.1}, {"weight_decay", 0.25}}, faults);
  ASSERT_THAT(faults, testing::IsEmpty());
  const auto& sgd = dynamic_cast<const SGD&>(*optimizer);
  EXPECT_EQ(sgd.options(0).lr, 0.1);
  EXPECT_EQ(sgd.options(1).lr, 0.5);
  EXPECT_EQ(sgd.options(1).momentum, 0.9);
  EXPECT_EQ(sgd.options(1).weight_decay, 0.25);
  EXPECT_EQ(sgd.type(), "SGD");
}

TEST(OptimizerDefTest, ReportsEveryFault) {
  std::vector<std::string> faults;
  const auto optimizer = require_optimizer("Adam").make({{{parameter("a", {1})}, {}},
                                                         {{parameter("b", {1})}, {{"betas", Tuple{0.9, 1.0}}}},
                                                         {{parameter("c", {1})}, {{"eps", "tiny"}}}},
                                                        {{"lr", 0.1}, {"momentum", 0.9}, {"amsgrad", 3}}, faults);
  EXPECT_EQ(optimizer, nullptr);
  EXPECT_THAT(faults, ElementsAre("attribute 'amsgrad': expected a bool, got int 3", "unknown attribute 'momentum'",
                                  "group 1: Invalid beta parameter at index 1: 1.0",
                                  "group 2: attribute 'eps': expected a float, got string 'tiny'"));
}

TEST(OptimizerDefTest, SuggestsANameForAnUnknownOne) {
  EXPECT_EQ(error_of([] { require_optimizer("Adan"); }), "unknown optimizer type 'Adan'; did you mean 'Adam'?");
  EXPECT_EQ(find_optimizer("sgd"), nullptr);
}

}  // namespace
}  // namespace tapewire
