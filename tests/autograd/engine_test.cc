#include "core/autograd/engine.h"

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/grad_mode.h"
#include "core/base/cancel.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSecondTime = "Trying to backward through the graph a second time";

// A node of the test's own: passes the sum of its gradients on and writes down that it ran.
class Passing final : public Node {
 public:
  Passing(std::string name, std::vector<std::string>* log) : name_(std::move(name)), log_(log) {}
  std::string name() const override { return name_; }
  Tensors apply(Tensors grads) override {
    log_->push_back(name_);
    Tensor sum;
    for (const Tensor& grad : grads) {
      if (grad.defined()) sum = sum.defined() ? add(sum, grad) : grad;
    }
    return Tensors(next_edges().size(), sum);
  }

 private:
  std::string name_;
  std::vector<std::string>* log_;
};

Tensor through(const std::string& name, std::vector<std::string>* log, std::initializer_list<Tensor> inputs) {
  const auto node = make_ref<Passing>(name, log);
  for (const Tensor& x : inputs) node->add_next_edge(gradient_edge(x));
  Tensor out = inputs.begin()->alias();
  set_history(out, node, node->add_output(out.spec()));
  return out;
}

// Another output of the node that made x.
Tensor another_output(const Tensor& x) {
  Tensor out = x.alias();
  const Ref<Node> node = grad_fn(x);
  set_history(out, node, node->add_output(out.spec()));
  return out;
}

// Gives no gradient for what it stands over.
class Blocking final : public Node {
 public:
  explicit Blocking(const Tensor& x) {
    add_output(x.spec());
    add_next_edge(gradient_edge(x));
  }
  std::string name() const override { return "Blocking"; }
  Tensors apply(Tensors) override { return Tensors(1); }
};

Tensor blocked(const Tensor& x) {
  Tensor out = x.alias();
  set_history(out, make_ref<Blocking>(x), 0);
  return out;
}

TEST(BackwardTest, AddsTheGradientToTheLeaves) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor y = leaf({4, 5, 6});
  backward(sum(mul(x, y)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(4, 5, 6));
  EXPECT_THAT(values(gradient(y)), ElementsAre(1, 2, 3));
  backward(sum(mul(x, 10)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(14, 15, 16));
}

TEST(BackwardTest, SumsWhatComesBySeveralPaths) {
  const Tensor x = leaf({3});
  const Tensor y = mul(x, x);
  backward(sum(add(mul(y, y), y)));  // x^4 + x^2
  EXPECT_THAT(values(gradient(x)), ElementsAre(4 * 27 + 6));
}

TEST(BackwardTest, OfALeafIsTheOutputGradient) {
  const Tensor x = leaf({1, 2});
  backward(x, Tensor::of<double>({5, 7}));
  EXPECT_THAT(values(gradient(x)), ElementsAre(5, 7));
}

TEST(BackwardTest, OfSeveralOutputsStartsANodeOnce) {
  std::vector<std::string> log;
  const Tensor x = leaf({2});
  const Tensor y = through("y", &log, {x});
  const std::vector<Tensor> outputs{y, another_output(y), y};
  const std::vector<Tensor> grads{Tensor::of<double>({3}), Tensor::of<double>({5}), Tensor::of<double>({11})};
  backward(outputs, grads);
  EXPECT_THAT(log, ElementsAre("y"));
  EXPECT_THAT(values(gradient(x)), ElementsAre(3 + 5 + 11));
}

TEST(BackwardTest, ARootThatAnotherRootLeadsToWaitsForIt) {
  for (const bool ancestor_first : {true, false}) {
    std::vector<std::string> log;
    const Tensor x = leaf({2});
    const Tensor early = through("early", &log, {x});
    const Tensor late = through("late", &log, {early});
    backward(ancestor_first ? std::vector<Tensor>{early, late} : std::vector<Tensor>{late, early});
    EXPECT_THAT(log, ElementsAre("late", "early"));
    EXPECT_THAT(values(gradient(x)), ElementsAre(2));
  }
}

// A leaf's accumulator goes before everything else that is ready: only the count of what it waits for holds it back.
TEST(BackwardTest, ALeafAmongTheRootsWaitsForTheOthersToo) {
  for (const bool leaf_first : {true, false}) {
    const Tensor x = leaf({2});
    int accumulated = 0;
    const HookHandle handle = register_post_accumulate_grad_hook(x, [&](const Tensor&) { ++accumulated; });
    const Tensor y = mul(x, 3);
    backward(leaf_first ? std::vector<Tensor>{x, y} : std::vector<Tensor>{y, x});
    EXPECT_THAT(values(gradient(x)), ElementsAre(1 + 3));
    EXPECT_EQ(accumulated, 1);
  }
}

TEST(BackwardTest, ALeafGivenTwiceIsAccumulatedOnce) {
  const Tensor x = leaf({2});
  int accumulated = 0;
  const HookHandle handle = register_post_accumulate_grad_hook(x, [&](const Tensor&) { ++accumulated; });
  const std::vector<Tensor> outputs{x, x};
  const std::vector<Tensor> grads{Tensor::of<double>({3}), Tensor::of<double>({5})};
  backward(outputs, grads);
  EXPECT_THAT(values(gradient(x)), ElementsAre(3 + 5));
  EXPECT_EQ(accumulated, 1);
}

TEST(BackwardTest, WhatNoGradientReachesIsLeftAlone) {
  const Tensor x = leaf({2});
  const Tensor y = mul(x, 3);
  int fired = 0;
  const auto count = [&](const Tensor&) {
    ++fired;
    return Tensor();
  };
  register_hook(x, count);
  register_hook(y, count);
  register_post_accumulate_grad_hook(x, [&](const Tensor&) { ++fired; });
  retain_grad(y);
  backward(blocked(y));
  EXPECT_EQ(fired, 0);
  EXPECT_FALSE(gradient(x).defined());
  EXPECT_FALSE(gradient(y).defined());
}

TEST(BackwardTest, ImplicitGradientsAreForScalars) {
  const Tensor x = leaf({1, 2});
  EXPECT_EQ(error_of([&] { backward(mul(x, 2)); }), "grad can be implicitly created only for scalar outputs");
  backward(mul(leaf({1}), 2));  // one element is as good as none
}

TEST(BackwardTest, WithoutHistoryIsAnError) {
  EXPECT_EQ(error_of([] { backward(Tensor::zeros({})); }),
            "element 0 of tensors does not require grad and does not have a grad_fn");
  const std::vector<Tensor> outputs{sum(leaf({1})), Tensor::zeros({})};
  EXPECT_EQ(error_of([&] { backward(outputs); }),
            "element 1 of tensors does not require grad and does not have a grad_fn");
  EXPECT_EQ(error_of([] { backward(Tensor()); }), "element 0 of tensors is none");
}

TEST(BackwardTest, OutputGradientsMustFit) {
  const Tensor y = sum(leaf({1, 2, 3}));
  EXPECT_EQ(error_of([&] { backward(y, Tensor::zeros({2}, DType::kFloat64)); }),
            "Mismatch in shape: grad_output[0] has a shape of [2] and output[0] has a shape of [].");
  EXPECT_THAT(error_of([&] { backward(y, Tensor::zeros({}, DType::kInt64)); }),
              HasSubstr("must be of a floating dtype"));
  const std::vector<Tensor> outputs{y};
  const std::vector<Tensor> grads{y, y};
  EXPECT_EQ(error_of([&] { backward(outputs, grads); }), "got 1 tensors and 2 gradients");
}

TEST(BackwardTest, OutputGradientsAreCast) {
  const Tensor x = leaf({1, 2});
  backward(mul(x, 2), Tensor::of<float>({1, 10}));
  EXPECT_EQ(gradient(x).dtype(), DType::kFloat64);
  EXPECT_THAT(values(gradient(x)), ElementsAre(2, 20));
}

TEST(BackwardTest, ASecondTimeIsAnErrorUnlessTheGraphIsRetained) {
  const Tensor x = leaf({2});
  const Tensor y = sum(mul(x, x));
  backward(y, {}, {.retain_graph = true});
  backward(y);
  EXPECT_THAT(values(gradient(x)), ElementsAre(8));
  try {
    backward(y);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(error.message(), HasSubstr(kSecondTime));
  }
}

TEST(BackwardTest, CreateGraphRetainsTheGraphUnlessToldNotTo) {
  const Tensor x = leaf({2});
  const Tensor y = sum(mul(x, x));
  backward(y, {}, {.create_graph = true});
  set_gradient(x, {});  // its history leads back to x
  EXPECT_THAT(values(grad({y}, {x}, {}, {.create_graph = true})[0]), ElementsAre(4));
  backward(y, {}, {.retain_graph = false, .create_graph = true});
  set_gradient(x, {});
  EXPECT_THAT(error_of([&] { backward(y); }), HasSubstr(kSecondTime));
}

TEST(BackwardTest, ASecondTimeIsFineWhereNothingWasSaved) {
  const Tensor x = leaf({2});
  const Tensor y = sum(add(x, x));
  backward(y);
  backward(y);
  EXPECT_THAT(values(gradient(x)), ElementsAre(4));
}

TEST(BackwardTest, RunsNodesByFallingSequenceNumber) {
  std::vector<std::string> log;
  const Tensor x = leaf({1});
  const Tensor a = through("a", &log, {x});
  const Tensor b = through("b", &log, {x});
  const Tensor c = through("c", &log, {a});
  const Tensor d = through("d", &log, {b});
  const Tensor e = through("e", &log, {a, c, d});
  backward(e);
  EXPECT_THAT(log, ElementsAre("e", "d", "c", "b", "a"));
}

TEST(BackwardTest, AccumulatesFirstOfAll) {
  std::vector<std::string> log;
  const Tensor x = leaf({1});
  const Tensor y = leaf({1});
  const HookHandle handle = register_post_accumulate_grad_hook(y, [&](const Tensor&) { log.push_back("y.grad"); });
  const Tensor early = through("early", &log, {x});
  const Tensor late = through("late", &log, {early, y});
  backward(late);
  // y is ready together with the node "early", and goes first.
  EXPECT_THAT(log, ElementsAre("late", "y.grad", "early"));
}

TEST(BackwardTest, InputsLimitWhereGradientsAccumulate) {
  const Tensor x = leaf({2});
  const Tensor y = leaf({3});
  const Tensor out = mul(x, y);
  const std::vector<Tensor> inputs{x};
  backward(std::span(&out, 1), {}, {}, inputs);
  EXPECT_THAT(values(gradient(x)), ElementsAre(3));
  EXPECT_FALSE(gradient(y).defined());
}

TEST(BackwardTest, InputsMayBeNonLeaves) {
  const Tensor x = leaf({2});
  const Tensor h = mul(x, 3);
  const Tensor out = mul(h, h);
  const std::vector<Tensor> inputs{h};
  backward(std::span(&out, 1), {}, {}, inputs);
  EXPECT_THAT(values(gradient(h)), ElementsAre(12));
  EXPECT_FALSE(gradient(x).defined());
}

TEST(BackwardTest, InputsLeaveOutNodesNobodyNeeds) {
  std::vector<std::string> log;
  const Tensor x = leaf({1});
  const Tensor y = leaf({1});
  const Tensor a = through("a", &log, {x});
  const Tensor b = through("b", &log, {y});
  const Tensor out = through("out", &log, {a, b});
  const std::vector<Tensor> inputs{x};
  backward(std::span(&out, 1), {}, {}, inputs);
  EXPECT_THAT(log, ElementsAre("out", "a"));
}

TEST(BackwardTest, AChainOfAMillionNodesTakesNoStack) {
  const Tensor x = leaf({1});
  {
    Tensor y = x;
    for (int i = 0; i < 1000000; ++i) y = neg(y);
    backward(y);
  }
  EXPECT_THAT(values(gradient(x)), ElementsAre(1));
}

TEST(BackwardTest, AChainOfAMillionNodesIsLetGoWithoutABackward) {
  const Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 1000000; ++i) y = mul(y, x);
  y = Tensor();
  EXPECT_FALSE(gradient(x).defined());
}

TEST(BackwardTest, StopsWhenCancelled) {
  const Tensor x = leaf({1});
  const Tensor y = mul(x, x);
  CancelToken token;
  const HookHandle handle = register_hook(y, [&](const Tensor&) {
    token.cancel();
    return Tensor();
  });
  const CancelScope scope(&token);
  try {
    backward(sum(y));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kCancelled);
  }
  EXPECT_FALSE(gradient(x).defined());
}

TEST(AccumulateTest, AGradientOfItsOwnIsTakenWithoutACopy) {
  const Tensor x = leaf({1, 2});
  const void* made = nullptr;
  {
    // The hook sees the tensor before it is accumulated and must not keep it.
    const HookHandle handle = register_hook(x, [&](const Tensor& g) {
      made = g.raw_data();
      return Tensor();
    });
    backward(sum(mul(x, x)));
  }
  EXPECT_EQ(gradient(x).raw_data(), made);
}

TEST(AccumulateTest, AGradientThatOthersSeeIsCopied) {
  const Tensor x = leaf({1, 2});
  Tensor seen;
  const HookHandle handle = register_hook(x, [&](const Tensor& g) {
    seen = g;
    return Tensor();
  });
  backward(sum(mul(x, x)));
  EXPECT_NE(gradient(x).raw_data(), seen.raw_data());

  const Tensor a = leaf({1, 2});
  const Tensor given = Tensor::of<double>({5, 7});
  backward(a, given);
  EXPECT_NE(gradient(a).raw_data(), given.raw_data());
  EXPECT_THAT(values(gradient(a)), ElementsAre(5, 7));
}

TEST(AccumulateTest, AGradientWhoseMemoryOthersSeeIsCopied) {
  const Tensor x = leaf({1, 2});
  Tensor seen;
  const HookHandle handle = register_hook(x, [&](const Tensor& g) {
    seen = detach(g);  // another tensor over the same bytes
    return Tensor();
  });
  backward(sum(mul(x, x)));
  EXPECT_NE(gradient(x).raw_data(), seen.raw_data());
  EXPECT_THAT(values(seen), ElementsAre(2, 4));
}

TEST(AccumulateTest, AGradientHoldsNoMoreMemoryThanItNeeds) {
  const Tensor x = leaf({1, 2});
  for (const int64_t first : {0, 2}) {
    const HookHandle handle =
        register_hook(x, [&](const Tensor&) { return Tensor::of<double>({1, 2, 3, 4}).alias({{2}, {1}, first}); });
    set_gradient(x, {});
    backward(sum(x));
    EXPECT_EQ(gradient(x).storage().size(), gradient(x).nbytes()) << first;
  }
}

TEST(AccumulateTest, ADyingAccumulatorLeavesAYoungerOneAlone) {
  const Tensor x = leaf({1});
  Edge old = gradient_edge(x);
  {
    // As when x takes another dtype while a tape of the old one lives.
    AutogradMeta& meta = autograd_meta(x);
    MutexLock lock(meta.mutex);
    meta.accumulator = nullptr;
  }
  const Edge young = gradient_edge(x);
  ASSERT_NE(young.node.get(), old.node.get());
  old = {};
  EXPECT_EQ(gradient_edge(x).node.get(), young.node.get());
}

TEST(AccumulateTest, LeavesThatShareAGradientDoNotShareItsMemory) {
  const Tensor x = leaf({1, 2});
  const Tensor y = leaf({1, 2});
  backward(sum(add(x, y)));
  EXPECT_NE(gradient(x).raw_data(), gradient(y).raw_data());
  EXPECT_TRUE(gradient(x).is_contiguous());  // and not the expanded scalar either
}

TEST(AccumulateTest, LaterGradientsAreAddedInPlace) {
  const Tensor x = leaf({1, 2});
  backward(sum(mul(x, x)));
  const Tensor first = gradient(x);
  const uint32_t version = first.version();
  backward(sum(mul(x, x)));
  EXPECT_TRUE(gradient(x).is_same(first));
  EXPECT_THAT(values(first), ElementsAre(4, 8));
  EXPECT_GT(first.version(), version);  // whoever saved it finds out
}

TEST(AccumulateTest, UnderCreateGraphTheyAreAddedOutOfPlace) {
  const Tensor x = leaf({3});
  backward(sum(mul(x, x)));
  const Tensor first = gradient(x);
  backward(sum(mul(x, x)), {}, {.create_graph = true});
  EXPECT_FALSE(gradient(x).is_same(first));
  EXPECT_THAT(values(first), ElementsAre(6));
  EXPECT_THAT(values(gradient(x)), ElementsAre(12));
  EXPECT_TRUE(gradient(x).requires_grad());
  EXPECT_THAT(values(grad({gradient(x)}, {x})[0]), ElementsAre(2));
  set_gradient(x, {});  // its history leads back to x: a circle, as in PyTorch
}

TEST(AccumulateTest, SetGradientChecksDtypeAndSizes) {
  const Tensor x = leaf({1, 2});
  EXPECT_THAT(error_of([&] { set_gradient(x, Tensor::zeros({2})); }),
              HasSubstr("assigned grad float32[2] to data float64[2]"));
  set_gradient(x, Tensor::of<double>({1, 1}));
  backward(sum(x));
  EXPECT_THAT(values(gradient(x)), ElementsAre(2, 2));
  set_gradient(x, {});
  EXPECT_FALSE(gradient(x).defined());
}

TEST(GradTest, ReturnsGradientsAndAccumulatesNothing) {
  const Tensor x = leaf({2});
  const Tensor y = leaf({5});
  const Tensors g = grad({mul(mul(x, x), y)}, {x, y});
  EXPECT_THAT(values(g[0]), ElementsAre(20));
  EXPECT_THAT(values(g[1]), ElementsAre(4));
  EXPECT_FALSE(gradient(x).defined());
}

TEST(GradTest, OfAnIntermediateDoesNotRunWhatLiesBelow) {
  std::vector<std::string> log;
  const Tensor x = leaf({2});
  const Tensor below = through("below", &log, {x});
  const Tensor above = through("above", &log, {below});
  EXPECT_THAT(values(grad({above}, {below})[0]), ElementsAre(1));
  EXPECT_THAT(log, ElementsAre("above"));
}

TEST(GradTest, OfAnOutputByItselfIsTheOutputGradient) {
  const Tensor y = mul(leaf({2}), 3);
  EXPECT_THAT(values(grad({y}, {y})[0]), ElementsAre(1));
}

TEST(GradTest, EachOutputOfANodeHasItsOwnGradient) {
  std::vector<std::string> log;
  const Tensor first = through("node", &log, {leaf({2})});
  const Tensor second = another_output(first);
  const Tensors g = grad({add(mul(first, 3), mul(second, 5))}, {second, first});
  EXPECT_THAT(values(g[0]), ElementsAre(5));
  EXPECT_THAT(values(g[1]), ElementsAre(3));
}

TEST(GradTest, TheSameInputTwiceGetsItsGradientTwice) {
  const Tensor x = leaf({2});
  const Tensors g = grad({mul(x, x)}, {x, x});
  EXPECT_THAT(values(g[0]), ElementsAre(4));
  EXPECT_THAT(values(g[1]), ElementsAre(4));
}

TEST(GradTest, AnUnusedInputIsAnErrorUnlessAllowed) {
  const Tensor x = leaf({2});
  const Tensor unused = leaf({3});
  EXPECT_EQ(
      error_of([&] { grad({sum(x)}, {x, unused}); }),
      "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this "
      "is the desired behavior.");
  const Tensors g = grad({sum(x)}, {x, unused}, {}, {.allow_unused = true});
  EXPECT_THAT(values(g[0]), ElementsAre(1));
  EXPECT_FALSE(g[1].defined());
}

TEST(GradTest, InputsMustBeThereAndRequireGrad) {
  EXPECT_EQ(error_of([] { grad({sum(leaf({1}))}, {}); }), "grad requires non-empty inputs.");
  EXPECT_EQ(error_of([] { grad({sum(leaf({1}))}, {Tensor::zeros({1})}); }),
            "One of the differentiated Tensors does not require grad");
}

TEST(GradTest, IsTakenAfterTheInputsTensorHooks) {
  const Tensor x = leaf({2});
  const HookHandle on_leaf = register_hook(x, [](const Tensor& g) { return mul(g, 10); });
  EXPECT_THAT(values(grad({mul(x, 3)}, {x})[0]), ElementsAre(30));
  const Tensor h = mul(x, 1);
  const HookHandle on_h = register_hook(h, [](const Tensor& g) { return mul(g, 100); });
  EXPECT_THAT(values(grad({mul(h, 3)}, {h})[0]), ElementsAre(300));
}

TEST(GradTest, WithCreateGraphCanBeDifferentiatedAgain) {
  const Tensor x = leaf({2});
  Tensor y = mul(mul(x, x), mul(x, x));
  const Tensor first = grad({y}, {x}, {}, {.create_graph = true})[0];
  EXPECT_THAT(values(first), ElementsAre(32));
  const Tensor second = grad({first}, {x}, {}, {.create_graph = true})[0];
  EXPECT_THAT(values(second), ElementsAre(48));
  EXPECT_THAT(values(grad({second}, {x})[0]), ElementsAre(48));
}

TEST(GradTest, WithoutCreateGraphResultsHaveNoHistory) {
  const Tensor x = leaf({2});
  EXPECT_FALSE(grad({mul(x, x)}, {x})[0].requires_grad());
}

TEST(GradTest, CreateGraphRetainsTheGraph) {
  const Tensor x = leaf({2});
  const Tensor y = mul(x, x);
  grad({y}, {x}, {}, {.create_graph = true});
  EXPECT_THAT(values(grad({y}, {x}, {}, {.retain_graph = false, .create_graph = true})[0]), ElementsAre(4));
  EXPECT_THAT(error_of([&] { grad({y}, {x}); }), HasSubstr(kSecondTime));
}

// A node that returns what it is told to.
class Returning final : public Node {
 public:
  explicit Returning(Tensors result) : result_(std::move(result)) {}
  std::string name() const override { return "ReturningBackward"; }
  Tensors apply(Tensors) override { return result_; }

 private:
  Tensors result_;
};

std::string error_of_returning(const Tensor& x, Tensors result) {
  const auto node = make_ref<Returning>(std::move(result));
  node->add_next_edge(gradient_edge(x));
  Tensor out = Tensor::zeros({}, DType::kFloat64);
  set_history(out, node, node->add_output(out.spec()));
  return error_of([&] { backward(out); });
}

TEST(ValidateTest, TheNumberOfGradientsMustMatch) {
  const Tensor x = leaf({1, 2});
  const Tensor g = Tensor::of<double>({1, 2});
  EXPECT_EQ(error_of_returning(x, {}),
            "Function ReturningBackward returned an invalid number of gradients - expected 1, but got 0");
  EXPECT_EQ(error_of_returning(x, {g, g}),
            "Function ReturningBackward returned an invalid number of gradients - expected 1, but got 2");
  EXPECT_EQ(error_of_returning(x, {g, Tensor()}), "no error");
}

TEST(ValidateTest, TheShapeMustBeCompatible) {
  EXPECT_EQ(
      error_of_returning(leaf({1, 2}), {Tensor::zeros({3}, DType::kFloat64)}),
      "Function ReturningBackward returned an invalid gradient at index 0 - got [3] but expected shape compatible "
      "with [2]");
}

TEST(ValidateTest, ABroadcastGradientIsSummed) {
  const Tensor x = leaf({1, 2}, {2, 1});
  EXPECT_EQ(error_of_returning(x, {Tensor::full({5, 2, 3}, 1, DType::kFloat64)}), "no error");
  EXPECT_THAT(gradient(x).sizes(), ElementsAre(2, 1));
  EXPECT_THAT(values(gradient(x)), ElementsAre(15, 15));
}

TEST(ValidateTest, TheDtypeIsCast) {
  const Tensor x = leaf({1});
  EXPECT_EQ(error_of_returning(x, {Tensor::of<float>({0.5f})}), "no error");
  EXPECT_EQ(gradient(x).dtype(), DType::kFloat64);
  EXPECT_EQ(error_of_returning(x, {Tensor::of<int64_t>({1})}),
            "Function ReturningBackward returned an invalid gradient at index 0 - got int64 but expected float64");
}

TEST(RequiresGradTest, IsForFloatingLeaves) {
  EXPECT_THAT(error_of([] { set_requires_grad(Tensor::zeros({2}, DType::kInt64)); }),
              HasSubstr("only Tensors of floating point dtype can require gradients"));
  const Tensor y = mul(leaf({1}), 2);
  EXPECT_THAT(error_of([&] { set_requires_grad(y, false); }),
              HasSubstr("you can only change requires_grad flags of leaf variables."));
  set_requires_grad(y, true);  // it does already
  const Tensor x = leaf({1});
  set_requires_grad(x, false);
  EXPECT_FALSE(mul(x, 2).requires_grad());
}

TEST(GradModeTest, NothingIsRecordedUnderNoGrad) {
  const Tensor x = leaf({1});
  {
    const NoGradGuard no_grad;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(mul(x, 2).requires_grad());
    const GradModeGuard again(true);
    EXPECT_TRUE(mul(x, 2).requires_grad());
  }
  EXPECT_TRUE(mul(x, 2).requires_grad());
}

TEST(GradModeTest, BackwardRecordsOnlyUnderCreateGraph) {
  const Tensor x = leaf({1});
  std::vector<bool> modes;
  const Tensor y = mul(x, x);
  const HookHandle handle = register_hook(y, [&](const Tensor&) {
    modes.push_back(grad_enabled());
    return Tensor();
  });
  backward(sum(y), {}, {.retain_graph = true});
  backward(sum(y), {}, {.create_graph = true});
  EXPECT_THAT(modes, ElementsAre(false, true));
  EXPECT_TRUE(grad_enabled());
  set_gradient(x, {});  // its history leads back to x
}

TEST(DetachTest, SharesStorageAndVersionButNotHistory) {
  const Tensor x = leaf({1, 2});
  const Tensor y = detach(x);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_TRUE(is_leaf(y));
  add_(y, 1);  // no view of a leaf: detach says that one knows what one does
  EXPECT_THAT(values(x), ElementsAre(2, 3));
  EXPECT_EQ(x.version(), 1u);
}

}  // namespace
}  // namespace tapewire
