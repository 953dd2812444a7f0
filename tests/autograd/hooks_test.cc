#include "core/autograd/hooks.h"

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "core/ops/split.h"
#include "tests/autograd/removes_itself.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Log = std::vector<std::string>;

std::function<TensorHook> noting(Log& log, std::string what) {
  return [&log, what = std::move(what)](const Tensor&) {
    log.push_back(what);
    return Tensor();
  };
}

TEST(NodeHooksTest, RunInOrderAroundTheNode) {
  Log log;
  const Tensor x = leaf({1});
  const Tensor y = mul(x, x);
  retain_grad(y);
  const Ref<Node> node = grad_fn(y);
  node->add_post_hook([&](const Tensors& grad_inputs, const Tensors& grad_outputs) {
    log.push_back(str_cat("post ", grad_inputs.size(), " ", grad_outputs.size()));
    return Tensors();
  });
  node->add_pre_hook([&](const Tensors& grads) {
    // What retain_grad keeps is known by now: it comes after the tensor's hooks.
    const std::string retained = gradient(y).defined() ? str_cat(gradient(y).item<double>()) : "nothing";
    log.push_back(str_cat("pre ", grads[0].item<double>(), " retained ", retained));
    return Tensors();
  });
  register_hook(y, [&](const Tensor& g) {
    log.push_back(str_cat("tensor, retained ", gradient(y).defined() ? "before" : "after"));
    return mul(g, 2);
  });
  backward(sum(y));
  EXPECT_THAT(log, ElementsAre("tensor, retained after", "pre 2 retained 2", "post 2 1"));
  EXPECT_THAT(values(gradient(x)), ElementsAre(4));
}

TEST(NodeHooksTest, APreHookReplacesOutputGradientsAPostHookInputGradients) {
  const Tensor x = leaf({3});
  const Tensor y = mul(x, x);
  grad_fn(y)->add_pre_hook([](const Tensors& grads) { return Tensors{mul(grads[0], 10)}; });
  grad_fn(y)->add_post_hook(
      [](const Tensors& inputs, const Tensors&) { return Tensors{inputs[0], mul(inputs[1], 0.0)}; });
  backward(sum(y));
  EXPECT_THAT(values(gradient(x)), ElementsAre(30));
}

TEST(NodeHooksTest, EachSeesWhatTheOneBeforeMade) {
  const Tensor x = leaf({3});
  const Tensor y = mul(x, 2);
  const Ref<Node> node = grad_fn(y);
  node->add_pre_hook([](const Tensors& grads) { return Tensors{add(grads[0], 1)}; });
  node->add_pre_hook([](const Tensors& grads) { return Tensors{mul(grads[0], 10)}; });
  node->add_pre_hook([](const Tensors&) { return Tensors(); });
  node->add_post_hook([](const Tensors& inputs, const Tensors& outputs) {
    EXPECT_THAT(values(outputs[0]), ElementsAre(20));
    EXPECT_THAT(values(inputs[0]), ElementsAre(40));
    return Tensors{add(inputs[0], 1), inputs[1]};
  });
  node->add_post_hook([](const Tensors& inputs, const Tensors&) { return Tensors{mul(inputs[0], 10), inputs[1]}; });
  backward(sum(y));
  EXPECT_THAT(values(gradient(x)), ElementsAre(410));
}

TEST(NodeHooksTest, AHooksResultMustHaveTheRightLength) {
  const Tensor x = leaf({3});
  const Tensor y = mul(x, x);
  HookHandle handle = grad_fn(y)->add_pre_hook([](const Tensors& g) { return Tensors{g[0], g[0]}; });
  EXPECT_EQ(error_of([&] { backward(sum(y), {}, {.retain_graph = true}); }),
            "MulBackward0: a pre-hook returned 2 gradients, expected 1");
  handle.remove();
  grad_fn(y)->add_post_hook([](const Tensors& g, const Tensors&) { return Tensors{g[0]}; });
  EXPECT_EQ(error_of([&] { backward(sum(y)); }), "MulBackward0: a post-hook returned 1 gradients, expected 2");
}

TEST(TensorHooksTest, FireInOrderAndChain) {
  const Tensor x = leaf({1});
  const Tensor y = mul(x, 1);
  register_hook(y, [](const Tensor& g) { return add(g, 1); });
  register_hook(y, [](const Tensor& g) { return mul(g, 10); });
  register_hook(y, [](const Tensor&) { return Tensor(); });
  backward(y);
  EXPECT_THAT(values(gradient(x)), ElementsAre(20));
}

TEST(TensorHooksTest, BelongToOneOutputOfANode) {
  Log log;
  const Tensor x = leaf({1, 2});
  const Tensors parts = unbind(x);
  register_hook(parts[1], [&](const Tensor& g) {
    log.push_back(str_cat("second ", g.item<double>()));
    return Tensor();
  });
  register_hook(parts[0], [&](const Tensor& g) {
    log.push_back(str_cat("first ", g.item<double>()));
    return mul(g, 10);
  });
  backward(add(mul(parts[0], 3), mul(parts[1], 5)));
  EXPECT_THAT(log, testing::UnorderedElementsAre("first 3", "second 5"));
  EXPECT_THAT(values(gradient(x)), ElementsAre(30, 5));
}

TEST(TensorHooksTest, KeepTypeAndSize) {
  const Tensor x = leaf({1, 2});
  HookHandle handle = register_hook(x, [](const Tensor& g) { return to(g, DType::kFloat32); });
  EXPECT_EQ(error_of([&] { backward(sum(x)); }), "hook: the gradient has type float64, the hook returned float32");
  handle.remove();
  register_hook(x, [](const Tensor& g) { return sum(g); });
  EXPECT_EQ(error_of([&] { backward(sum(x)); }), "hook: the gradient has size [2], the hook returned []");
}

TEST(TensorHooksTest, NeedATensorThatRequiresGrad) {
  EXPECT_EQ(error_of([] { register_hook(Tensor::zeros({1}), [](const Tensor& g) { return g; }); }),
            "cannot register a hook on a tensor that doesn't require gradient");
}

TEST(TensorHooksTest, FireForACapturedNodeThatDoesNotRunNodeHooksDoNot) {
  Log log;
  const Tensor x = leaf({1});
  const Tensor y = mul(x, x);
  const Tensor z = mul(y, 2);
  register_hook(y, noting(log, "tensor"));
  grad_fn(y)->add_pre_hook([&](const Tensors&) {
    log.push_back("node");
    return Tensors();
  });
  grad({z}, {y});
  EXPECT_THAT(log, ElementsAre("tensor"));
}

TEST(TensorHooksTest, OnALeafFireBeforeAccumulation) {
  Log log;
  const Tensor x = leaf({1});
  register_hook(x, [&](const Tensor& g) {
    log.push_back(gradient(x).defined() ? "after" : "before");
    return mul(g, 7);
  });
  register_post_accumulate_grad_hook(
      x, [&](const Tensor& p) { log.push_back(str_cat("post-accumulate ", gradient(p).item<double>())); });
  gradient_edge(x).node->add_post_hook([&](const Tensors&, const Tensors&) {
    log.push_back("never: the node went with its last user");
    return Tensors();
  });
  const Tensor y = mul(x, 1);
  gradient_edge(x).node->add_post_hook([&](const Tensors&, const Tensors&) {
    log.push_back("post");
    return Tensors();
  });
  backward(y);
  EXPECT_THAT(log, ElementsAre("before", "post-accumulate 7", "post"));
}

TEST(TensorHooksTest, ALeafsFireWhateverTapeItIsOn) {
  Log log;
  const Tensor x = leaf({1});
  register_hook(x, noting(log, "hook"));
  backward(mul(x, 1));
  backward(mul(x, 2));
  EXPECT_THAT(log, ElementsAre("hook", "hook"));
}

TEST(TensorHooksTest, PostAccumulateHooksAreForLeaves) {
  EXPECT_EQ(error_of([] { register_post_accumulate_grad_hook(mul(leaf({1}), 2), [](const Tensor&) {}); }),
            "post accumulate grad hooks cannot be registered on non-leaf tensors");
  EXPECT_EQ(error_of([] { register_post_accumulate_grad_hook(Tensor::zeros({1}), [](const Tensor&) {}); }),
            "cannot register a hook on a tensor that doesn't require gradient");
}

TEST(TensorHooksTest, PostAccumulateHooksDoNotFireForGrad) {
  Log log;
  const Tensor x = leaf({1});
  register_post_accumulate_grad_hook(x, [&](const Tensor&) { log.push_back("post"); });
  grad({mul(x, 2)}, {x});
  EXPECT_THAT(log, IsEmpty());
}

TEST(TensorHooksTest, APostAccumulateHookMayStartABackwardOfItsOwn) {
  const Tensor x = leaf({1});
  bool again = true;
  register_post_accumulate_grad_hook(x, [&](const Tensor& p) {
    const GradModeGuard recording(true);
    if (std::exchange(again, false)) backward(mul(p, 100));
  });
  backward(mul(x, 1));
  EXPECT_THAT(values(gradient(x)), ElementsAre(101));
}

TEST(TensorHooksTest, AHookMayWalkTheGraphItIsOn) {
  const Tensor x = leaf({3});
  const Tensor y = mul(x, x);
  const Tensor loss = sum(y);
  double inner = 0;
  bool once = true;
  register_hook(y, [&](const Tensor&) {
    if (std::exchange(once, false)) inner = grad({loss}, {x}, {}, {.retain_graph = true})[0].item<double>();
    return Tensor();
  });
  backward(loss);
  EXPECT_EQ(inner, 6);
  EXPECT_THAT(values(gradient(x)), ElementsAre(6));
}

TEST(TensorHooksTest, AHookMayAddAndRemoveHooks) {
  Log log;
  const Tensor x = leaf({1});
  const Tensor y = mul(x, x);
  HookHandle self;
  self = register_hook(y, [&](const Tensor&) {
    log.push_back("first");
    self.remove();
    for (int i = 0; i < 20; ++i) register_hook(y, noting(log, "added"));
    return Tensor();
  });
  register_hook(y, noting(log, "second"));
  backward(sum(y), {}, {.retain_graph = true});
  EXPECT_THAT(log, ElementsAre("first", "second"));
  log.clear();
  backward(sum(y));
  EXPECT_EQ(log.size(), 21u);
}

TEST(TensorHooksTest, AnErrorInAHookEndsTheBackward) {
  const Tensor x = leaf({1});
  register_hook(x, [](const Tensor&) -> Tensor { fail("the hook says no"); });
  EXPECT_EQ(error_of([&] { backward(mul(x, 1)); }), "the hook says no");
  EXPECT_FALSE(gradient(x).defined());
}

TEST(TensorHooksTest, AnInPlaceChangeLeavesThemBehind) {
  Log log;
  const Tensor x = leaf({1});
  const Tensor y = mul(x, 1);
  register_hook(y, [&](const Tensor& g) {
    log.push_back(str_cat("old ", g.item<double>()));
    return Tensor();
  });
  mul_(y, 5);
  register_hook(y, [&](const Tensor& g) {
    log.push_back(str_cat("new ", g.item<double>()));
    return Tensor();
  });
  backward(sum(y));
  EXPECT_THAT(log, ElementsAre("new 1", "old 5"));
}

TEST(RetainGradTest, KeepsTheGradientOfANonLeaf) {
  const Tensor x = leaf({1});
  const Tensor y = mul(x, 3);
  EXPECT_FALSE(gradient(y).defined());
  retain_grad(y);
  retain_grad(y);  // again is fine
  backward(mul(y, 2), {}, {.retain_graph = true});
  EXPECT_THAT(values(gradient(y)), ElementsAre(2));
  backward(mul(y, 2));
  EXPECT_THAT(values(gradient(y)), ElementsAre(4));
}

TEST(RetainGradTest, AgainAfterABackwardForgetsNothing) {
  const Tensor y = mul(leaf({1}), 3);
  retain_grad(y);
  backward(mul(y, 2), {}, {.retain_graph = true});
  retain_grad(y);
  EXPECT_THAT(values(gradient(y)), ElementsAre(2));
  backward(mul(y, 2));
  EXPECT_THAT(values(gradient(y)), ElementsAre(4));
}

TEST(RetainGradTest, IsACopyOfTheGradient) {
  const Tensor y = mul(leaf({1}), 3);
  retain_grad(y);
  const Tensor given = Tensor::of<double>({5});
  backward(y, given);
  EXPECT_NE(gradient(y).raw_data(), given.raw_data());
  EXPECT_THAT(values(gradient(y)), ElementsAre(5));
}

TEST(RetainGradTest, MayBeReplacedAndCleared) {
  const Tensor y = mul(leaf({1}), 3);
  retain_grad(y);
  set_gradient(y, Tensor::of<double>({100}));
  EXPECT_THAT(values(gradient(y)), ElementsAre(100));
  backward(y, {}, {.retain_graph = true});
  EXPECT_THAT(values(gradient(y)), ElementsAre(101));
  set_gradient(y, {});
  EXPECT_FALSE(gradient(y).defined());
  backward(y);
  EXPECT_THAT(values(gradient(y)), ElementsAre(1));
}

TEST(RetainGradTest, SeesWhatTensorHooksMade) {
  const Tensor y = mul(leaf({1}), 3);
  retain_grad(y);
  register_hook(y, [](const Tensor& g) { return mul(g, 10); });
  backward(y);
  EXPECT_THAT(values(gradient(y)), ElementsAre(10));
}

TEST(RetainGradTest, MovesAlongWithAnInPlaceChange) {
  const Tensor y = mul(leaf({1}), 3);
  retain_grad(y);
  mul_(y, 5);
  backward(mul(y, 7));
  EXPECT_THAT(values(gradient(y)), ElementsAre(7));
}

TEST(RetainGradTest, OfABaseMovesAlongWithAChangeOfItsView) {
  const Tensor base = mul(leaf({1, 2, 3, 4}), 1);
  retain_grad(base);
  const Tensor part = as_strided(base, {{2}, {1}, 0});
  retain_grad(part);
  mul_(part, 5);
  backward(sum(mul(base, 3)));
  EXPECT_THAT(values(gradient(base)), ElementsAre(3, 3, 3, 3));
  EXPECT_FALSE(gradient(part).defined());  // nothing used the view itself
}

TEST(RetainGradTest, OfAViewMovesAlongWithAChangeOfItsBase) {
  const Tensor base = mul(leaf({1, 2, 3, 4}), 1);
  const Tensor part = as_strided(base, {{2}, {1}, 0});
  retain_grad(part);
  mul_(base, 5);
  backward(sum(mul(part, 3)));
  EXPECT_THAT(values(gradient(part)), ElementsAre(3, 3));
}

TEST(RetainGradTest, OfALeafDoesNothingOfAConstantIsAnError) {
  const Tensor x = leaf({1});
  retain_grad(x);
  backward(mul(x, 2));
  EXPECT_THAT(values(gradient(x)), ElementsAre(2));
  EXPECT_EQ(error_of([] { retain_grad(Tensor::zeros({1})); }),
            "can't retain_grad on Tensor that has requires_grad=False");
}

TEST(RetainGradTest, ACapturedGradientIsRetainedToo) {
  const Tensor y = mul(leaf({1}), 3);
  retain_grad(y);
  grad({mul(y, 2)}, {y});
  EXPECT_THAT(values(gradient(y)), ElementsAre(2));
}

TEST(HookHandleTest, IdsAreGlobalAndRise) {
  const Tensor x = leaf({1});
  const Tensor y = leaf({1});
  const auto id = [](const Tensor& t) { return register_hook(t, [](const Tensor& g) { return g; }).id(); };
  const uint64_t first = id(x);
  const uint64_t second = id(y);
  EXPECT_GT(second, first);
  EXPECT_GT(id(x), second);
}

TEST(HookHandleTest, RemoveIsIdempotentAndSafeAfterTheTensorDied) {
  Log log;
  const Tensor x = leaf({1});
  HookHandle handle = register_hook(x, noting(log, "hook"));
  HookHandle copy = handle;
  handle.remove();
  handle.remove();
  copy.remove();
  backward(mul(x, 1));
  EXPECT_THAT(log, IsEmpty());
  HookHandle late;
  {
    const Tensor gone = mul(leaf({1}), 2);
    late = register_hook(gone, noting(log, "hook"));
  }
  late.remove();
  HookHandle().remove();
}

TEST(HookTableTest, AHookThatRemovesItselfStaysWholeWhileItRuns) {
  const Tensor x = leaf({1});
  const Tensor y = mul(x, x);
  RemovesItself leaf_hook, accumulated, tensor, pre, post;
  leaf_hook.add([&](auto fire) {
    return register_hook(x, [fire](const Tensor&) {
      fire();
      return Tensor();
    });
  });
  accumulated.add([&](auto fire) { return register_post_accumulate_grad_hook(x, [fire](const Tensor&) { fire(); }); });
  tensor.add([&](auto fire) {
    return register_hook(y, [fire](const Tensor&) {
      fire();
      return Tensor();
    });
  });
  pre.add([&](auto fire) {
    return grad_fn(y)->add_pre_hook([fire](const Tensors&) {
      fire();
      return Tensors();
    });
  });
  post.add([&](auto fire) {
    return grad_fn(y)->add_post_hook([fire](const Tensors&, const Tensors&) {
      fire();
      return Tensors();
    });
  });
  backward(y);
  for (const RemovesItself* hook : {&leaf_hook, &accumulated, &tensor, &pre, &post}) {
    EXPECT_TRUE(hook->fired());
    EXPECT_TRUE(hook->stayed_whole());
  }
}

TEST(HookTableTest, PrependPutsAHookFirst) {
  HookTable<void()> table;
  EXPECT_TRUE(table.empty());
  Log log;
  table.add([&] { log.push_back("a"); });
  table.add([&] { log.push_back("b"); });
  HookHandle first = table.add([&] { log.push_back("c"); }, true);
  for (const auto& entry : *table.snapshot()) entry.hook();
  EXPECT_THAT(log, ElementsAre("c", "a", "b"));
  first.remove();
  EXPECT_EQ(table.snapshot()->size(), 2u);
}

}  // namespace
}  // namespace tapewire
