#include <memory>
#include <string>
#include <vector>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/nn/linear.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "core/tensor/allocator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Events = std::vector<std::string>;

// y = scale * x, or an error; and (y, "text", x * 2) when asked for more.
class Scale final : public Module {
 public:
  Scale() { scale_ = register_parameter("scale", Tensor::of<double>({3.0})); }
  std::string_view type() const override { return "Scale"; }
  Value forward(const Args& args) override {
    if (events != nullptr) events->push_back("forward");
    if (fails) fail("forward failed");
    const Tensor& x = args.positional[0].tensor();
    const Tensor y = mul(scale_, x);
    if (!several) return y;
    return Tuple{y, "text", mul(x, 2.0)};
  }
  const Tensor& scale() const { return scale_; }

  Events* events = nullptr;
  bool fails = false;
  bool several = false;

 private:
  Tensor scale_;
};

Tensor leaf(std::initializer_list<double> values, bool requires_grad = true) {
  const Tensor x = Tensor::of<double>(values);
  if (requires_grad) set_requires_grad(x);
  return x;
}

struct HookTest : testing::Test {
  HookTest() { module->events = &events; }

  std::shared_ptr<Scale> module = std::make_shared<Scale>();
  Events events;
};

TEST_F(HookTest, FireInTheOrderOfPyTorch) {
  const auto log_pre = [&](const char* name) {
    return [this, name](Module&, const Args&) -> std::optional<Args> {
      events.push_back(name);
      return {};
    };
  };
  const auto log_post = [&](const char* name) {
    return [this, name](Module&, const Args&, const Value&) -> std::optional<Value> {
      events.push_back(name);
      return {};
    };
  };
  const auto log_backward_pre = [&](const char* name) {
    return [this, name](Module&, const Tensors&) -> std::optional<Tensors> {
      events.push_back(name);
      return {};
    };
  };
  const auto log_backward = [&](const char* name) {
    return [this, name](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
      events.push_back(name);
      return {};
    };
  };
  module->register_forward_pre_hook(log_pre("pre 1"));
  module->register_forward_pre_hook(log_pre("pre 0"), true);
  module->register_forward_hook(log_post("post 1"));
  module->register_forward_hook(log_post("post 0"), true);
  module->register_full_backward_pre_hook(log_backward_pre("backward pre 1"));
  module->register_full_backward_pre_hook(log_backward_pre("backward pre 0"), true);
  module->register_full_backward_hook(log_backward("backward 1"));
  module->register_full_backward_hook(log_backward("backward 0"), true);
  const Tensor x = leaf({2});
  register_hook(x, [&](const Tensor&) -> Tensor {
    events.push_back("input");
    return {};
  });
  register_hook(module->scale(), [&](const Tensor&) -> Tensor {
    events.push_back("scale");
    return {};
  });
  const Tensor y = (*module)(x);
  register_hook(y, [&](const Tensor&) -> Tensor {
    events.push_back("output");
    return {};
  });
  EXPECT_THAT(events, ElementsAre("pre 0", "pre 1", "forward", "post 0", "post 1"));
  events.clear();
  backward(sum(y));
  EXPECT_THAT(events,
              ElementsAre("output", "backward pre 0", "backward pre 1", "scale", "backward 0", "backward 1", "input"));
}

// Of a real layer; between the parameters themselves the order is the engine's.
TEST(LayerHookTest, RunAfterTheParametersGradients) {
  const auto fc = std::make_shared<Linear>(2, 2);
  Events events;
  const auto log = [&](const char* name) {
    return [&events, name](const Tensor&) -> Tensor {
      events.push_back(name);
      return {};
    };
  };
  fc->register_full_backward_pre_hook([&](Module&, const Tensors&) -> std::optional<Tensors> {
    events.push_back("backward pre");
    return {};
  });
  fc->register_full_backward_hook([&](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
    events.push_back("backward");
    return {};
  });
  register_hook(fc->weight(), log("weight"));
  register_hook(fc->bias(), log("bias"));
  const Tensor x = Tensor::full({1, 2}, 1.0);
  set_requires_grad(x);
  register_hook(x, log("input"));
  backward(sum((*fc)(x)));
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0], "backward pre");
  EXPECT_THAT((Events{events[1], events[2]}), testing::UnorderedElementsAre("bias", "weight"));
  EXPECT_EQ(events[3], "backward");
  EXPECT_EQ(events[4], "input");
}

TEST_F(HookTest, AForwardPreHookReplacesTheArguments) {
  module->register_forward_pre_hook(
      [](Module&, const Args& args) -> std::optional<Args> { return Args{mul(args.positional[0].tensor(), 10.0)}; });
  module->register_forward_pre_hook(
      [](Module&, const Args& args) -> std::optional<Args> { return Args{add(args.positional[0].tensor(), 1.0)}; });
  EXPECT_EQ((*module)(leaf({2})).item<double>(), 63);
}

TEST_F(HookTest, AForwardHookReplacesTheOutput) {
  module->register_forward_hook(
      [](Module&, const Args&, const Value& y) -> std::optional<Value> { return Value(add(y.tensor(), 1.0)); });
  module->register_forward_hook([](Module&, const Args& args, const Value& y) -> std::optional<Value> {
    return Value(mul(y.tensor(), args.positional[0].tensor()));
  });
  EXPECT_EQ((*module)(leaf({2})).item<double>(), 14);
}

TEST_F(HookTest, BackwardHooksSeeAndReplaceGradients) {
  module->register_full_backward_pre_hook([](Module&, const Tensors& grads) -> std::optional<Tensors> {
    EXPECT_THAT(grads[0].to_vector<double>(), ElementsAre(1, 1));
    return Tensors{mul(grads[0], 2.0)};
  });
  module->register_full_backward_hook([](Module& m, const Tensors& in, const Tensors& out) -> std::optional<Tensors> {
    EXPECT_EQ(m.type(), "Scale");
    EXPECT_THAT(out[0].to_vector<double>(), ElementsAre(2, 2));
    EXPECT_THAT(in[0].to_vector<double>(), ElementsAre(6, 6));
    return Tensors{add(in[0], 1.0)};
  });
  const Tensor x = leaf({4, 5});
  backward(sum((*module)(x)));
  EXPECT_THAT(gradient(x).to_vector<double>(), ElementsAre(7, 7));
  EXPECT_THAT(gradient(module->scale()).to_vector<double>(), ElementsAre(18));
}

TEST_F(HookTest, GradientsHaveThePlacesOfArgumentsAndResults) {
  module->several = true;
  Tensors seen_in;
  Tensors seen_out;
  module->register_full_backward_hook([&](Module&, const Tensors& in, const Tensors& out) -> std::optional<Tensors> {
    seen_in = in;
    seen_out = out;
    return {};
  });
  const Tensor x = leaf({4});
  Args args{x, 3, leaf({1}, false)};
  args.named.emplace_back("extra", leaf({2}));
  const Value out = (*module)(args);
  backward(out.tuple()[0].tensor());
  ASSERT_EQ(seen_in.size(), 4u);
  EXPECT_EQ(seen_in[0].item<double>(), 3);
  EXPECT_FALSE(seen_in[1].defined());
  EXPECT_FALSE(seen_in[2].defined());
  EXPECT_FALSE(seen_in[3].defined());
  ASSERT_EQ(seen_out.size(), 3u);
  EXPECT_EQ(seen_out[0].item<double>(), 1);
  EXPECT_FALSE(seen_out[1].defined());
  EXPECT_FALSE(seen_out[2].defined());
}

TEST_F(HookTest, AWrongNumberOfGradientsIsAnError) {
  const Tensor x = leaf({1});
  HookHandle pre = module->register_full_backward_pre_hook(
      [](Module&, const Tensors& g) -> std::optional<Tensors> { return Tensors{g[0], g[0]}; });
  EXPECT_EQ(error_of([&] { backward((*module)(x)); }),
            "Backward pre hook returned an invalid number of grad_output, got 2, but expected 1");
  pre.remove();
  module->register_full_backward_hook(
      [](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> { return Tensors(2); });
  EXPECT_EQ(error_of([&] { backward((*module)(x)); }),
            "Backward hook returned an invalid number of grad_input, got 2, but expected 1");
}

TEST_F(HookTest, WithoutAGradientAtTheInputTheHookFiresAtTheOutput) {
  int calls = 0;
  bool replaces = false;
  module->register_full_backward_hook([&](Module&, const Tensors& in, const Tensors& out) -> std::optional<Tensors> {
    ++calls;
    EXPECT_EQ(in.size(), 1u);
    EXPECT_FALSE(in[0].defined());
    EXPECT_EQ(out[0].item<double>(), 1);
    if (replaces) return Tensors{out[0]};
    return Tensors{Tensor()};
  });
  const Tensor x = leaf({4}, false);
  backward((*module)(x));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(gradient(module->scale()).item<double>(), 4);
  replaces = true;
  EXPECT_THAT(error_of([&] { backward((*module)(x)); }),
              HasSubstr("where no input requires gradient should always return None"));
}

TEST_F(HookTest, WithoutAnyGradientBackwardHooksAreSilent) {
  module->register_full_backward_hook([](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
    ADD_FAILURE();
    return {};
  });
  NoGradGuard no_grad;
  EXPECT_FALSE((*module)(leaf({1})).requires_grad());
}

TEST_F(HookTest, InPlaceOnAHookedModulesInputOrOutputIsAnError) {
  const auto nothing = [](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> { return {}; };
  module->register_full_backward_hook(nothing);
  const Tensor y = (*module)(leaf({1}));
  EXPECT_THAT(error_of([&] { add_(y, 1.0); }),
              HasSubstr("Output 0 of BackwardHookFunctionBackward is a view and is being modified inplace."));
  const auto relu = std::make_shared<ReLU>(InplaceOptions{true});
  relu->register_full_backward_hook(nothing);
  EXPECT_THAT(error_of([&] { (*relu)(mul(leaf({1}), 2.0)); }), HasSubstr("is a view and is being modified inplace."));
}

TEST_F(HookTest, AlwaysCalledHooksRunWhenForwardThrows) {
  Events calls;
  const auto note = [&](const char* name) {
    return [&calls, name](Module&, const Args&, const Value& out) -> std::optional<Value> {
      calls.push_back(str_cat(name, " ", out.is_none() ? "none" : "output"));
      return {};
    };
  };
  module->register_forward_hook(note("usual"));
  HookHandle always = module->register_forward_hook(note("always"), false, true);
  module->register_forward_hook(
      [](Module&, const Args&, const Value& out) -> std::optional<Value> {
        if (out.is_none()) fail("a second error");
        return {};
      },
      false, true);
  (*module)(leaf({1}));
  EXPECT_THAT(calls, ElementsAre("usual output", "always output"));
  calls.clear();
  module->fails = true;
  EXPECT_EQ(error_of([&] { (*module)(leaf({1})); }), "forward failed");
  EXPECT_THAT(calls, ElementsAre("always none"));
  calls.clear();
  always.remove();
  EXPECT_EQ(error_of([&] { (*module)(leaf({1})); }), "forward failed");
  EXPECT_THAT(calls, ElementsAre());
}

TEST_F(HookTest, AlwaysCalledHooksRunOnceWhenALaterHookThrows) {
  Events calls;
  const auto note = [&](const char* name) {
    return [&calls, name](Module&, const Args&, const Value& out) -> std::optional<Value> {
      calls.push_back(str_cat(name, " ", out.is_none() ? "none" : "output"));
      return {};
    };
  };
  module->register_forward_hook(note("first"), false, true);
  module->register_forward_hook(
      [](Module&, const Args&, const Value&) -> std::optional<Value> { fail("hook failed"); });
  module->register_forward_hook(note("last"), false, true);
  EXPECT_EQ(error_of([&] { (*module)(leaf({1})); }), "hook failed");
  EXPECT_THAT(calls, ElementsAre("first output", "last output"));
}

// torch: called in the order of the hooks themselves, a prepended one first, and those alone that are always called.
TEST_F(HookTest, AlwaysCalledHooksKeepTheirOrderWhenForwardThrows) {
  Events calls;
  const auto add = [&](const char* name, bool prepend, bool always_call) {
    module->register_forward_hook(
        [&calls, name](Module&, const Args&, const Value& out) -> std::optional<Value> {
          calls.push_back(str_cat(name, " ", out.is_none() ? "none" : "output"));
          return {};
        },
        prepend, always_call);
  };
  add("always 1", false, true);
  add("usual", false, false);
  add("always 2", false, true);
  add("prepended usual", true, false);
  add("prepended always", true, true);
  add("prepended last", true, true);
  (*module)(leaf({1}));
  EXPECT_THAT(calls, ElementsAre("prepended last output", "prepended always output", "prepended usual output",
                                 "always 1 output", "usual output", "always 2 output"));
  calls.clear();
  module->fails = true;
  EXPECT_EQ(error_of([&] { (*module)(leaf({1})); }), "forward failed");
  EXPECT_THAT(calls, ElementsAre("prepended last none", "prepended always none", "always 1 none", "always 2 none"));
}

// The hooks before the one that fails ran already; those after it see the output, and a prepended one is among the
// first.
TEST_F(HookTest, AfterAHookThatThrowsOnlyTheAlwaysCalledOnesThatHaveNotRunAreCalled) {
  Events calls;
  const auto add = [&](const char* name, bool prepend, bool always_call, bool fails) {
    module->register_forward_hook(
        [&calls, name, fails](Module&, const Args&, const Value&) -> std::optional<Value> {
          calls.push_back(name);
          if (fails) fail(name, " failed");
          return {};
        },
        prepend, always_call);
  };
  add("fails", false, false, true);
  add("never", false, false, false);
  add("later", false, true, false);
  add("before", true, true, false);
  EXPECT_EQ(error_of([&] { (*module)(leaf({1})); }), "fails failed");
  EXPECT_THAT(calls, ElementsAre("before", "fails", "later"));
}

TEST_F(HookTest, WhatAnAlwaysCalledHookMakesOfAFailedCallTheNextOneSees) {
  Events calls;
  module->fails = true;
  module->register_forward_hook(
      [](Module&, const Args&, const Value&) -> std::optional<Value> { return Value("instead"); }, false, true);
  module->register_forward_hook(
      [&](Module&, const Args&, const Value& out) -> std::optional<Value> {
        calls.push_back(out.is_none() ? "none" : out.string());
        return {};
      },
      false, true);
  EXPECT_EQ(error_of([&] { (*module)(leaf({1})); }), "forward failed") << "the call fails all the same";
  EXPECT_THAT(calls, ElementsAre("instead"));
}

TEST_F(HookTest, RemovalIsIdempotentAndSafeAfterTheModuleDied) {
  int calls = 0;
  HookHandle handle = module->register_forward_pre_hook([&](Module&, const Args&) -> std::optional<Args> {
    ++calls;
    return {};
  });
  HookHandle other = module->register_forward_pre_hook([](Module&, const Args&) -> std::optional<Args> { return {}; });
  EXPECT_GT(other.id(), handle.id());
  (*module)(leaf({1}));
  handle.remove();
  handle.remove();
  (*module)(leaf({1}));
  EXPECT_EQ(calls, 1);
  module.reset();
  other.remove();
}

TEST_F(HookTest, AHookMayRemoveItselfWhileItRuns) {
  int calls = 0;
  HookHandle handle;
  handle = module->register_forward_pre_hook([&](Module&, const Args&) -> std::optional<Args> {
    ++calls;
    handle.remove();
    return {};
  });
  (*module)(leaf({1}));
  (*module)(leaf({1}));
  EXPECT_EQ(calls, 1);
}

TEST_F(HookTest, BackwardHooksAreThoseOfTheForward) {
  int calls = 0;
  HookHandle handle =
      module->register_full_backward_hook([&](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
        ++calls;
        return {};
      });
  const Tensor y = (*module)(leaf({1}));
  handle.remove();
  backward(y);
  EXPECT_EQ(calls, 1);
  backward((*module)(leaf({1})));
  EXPECT_EQ(calls, 1);
}

TEST_F(HookTest, ATapeOutlivesItsModule) {
  const Tensor x = leaf({2});
  module->register_full_backward_hook([](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
    ADD_FAILURE();
    return {};
  });
  const Tensor y = (*module)(x);
  module.reset();
  backward(y);
  EXPECT_EQ(gradient(x).item<double>(), 3);
}

TEST_F(HookTest, AGradientKeptForTheInputEndsWithThePass) {
  const int64_t before = tensor_allocator().stats().live;
  const auto use = [](const std::shared_ptr<Module>& scaled) {
    int calls = 0;
    scaled->register_full_backward_hook([&](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
      ++calls;
      return {};
    });
    const Tensor y = mul((*scaled)(leaf({2})), 1.0);
    const Tensor squared = mul(y, y);  // so that its gradient has a tape
    const Tensor weight = static_cast<const Scale&>(*scaled).scale();
    // The pass shows the hooks the gradient at the output, and never comes to the input.
    const Tensor g = grad({squared}, {weight}, {}, {.create_graph = true})[0];
    EXPECT_EQ(g.item<double>(), 24);
    EXPECT_EQ(calls, 0);
  };
  use(std::make_shared<Scale>());
  EXPECT_EQ(tensor_allocator().stats().live, before) << "the gradient keeps the tape that keeps it";
}

TEST_F(HookTest, ARetainedTapeFiresHooksOnEachPass) {
  int calls = 0;
  module->register_full_backward_hook([&](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
    ++calls;
    return {};
  });
  const Tensor x = leaf({2});
  const Tensor y = (*module)(x);
  backward(y, {}, {.retain_graph = true});
  backward(y);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(gradient(x).item<double>(), 6);
}

// Keeps 2x aside, where no hook of the module sees what comes of it.
class KeepsAside final : public TensorModule {
 public:
  std::string_view type() const override { return "KeepsAside"; }
  Tensor forward(const Tensor& x) override {
    aside = mul(x, 2.0);
    return mul(x, 3.0);
  }
  Tensor aside;
};

TEST(KeptAsideTest, AGradientThatDidNotPassTheOutputIsNoneOfTheHooks) {
  const auto module = std::make_shared<KeepsAside>();
  int calls = 0;
  module->register_full_backward_hook([&](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
    ++calls;
    return {};
  });
  const Tensor x = leaf({1});
  const Tensor y = (*module)(x);
  backward(module->aside, {}, {.retain_graph = true});
  EXPECT_EQ(calls, 0) << "before a pass through the output";
  backward(y, {}, {.retain_graph = true});
  EXPECT_EQ(calls, 1);
  backward(module->aside);
  EXPECT_EQ(calls, 1) << "and after one";
  EXPECT_EQ(gradient(x).item<double>(), 2 + 3 + 2);
}

TEST(NestedHookTest, ChildrenFireInsideTheirParents) {
  const auto net = std::make_shared<Sequential>(Modules{std::make_shared<Tanh>(), std::make_shared<Sigmoid>()});
  Events events;
  for (const NamedModule& m : net->named_modules()) {
    m.module->register_forward_pre_hook([&events, name = m.name](Module&, const Args&) -> std::optional<Args> {
      events.push_back("> " + name);
      return {};
    });
    m.module->register_forward_hook(
        [&events, name = m.name](Module&, const Args&, const Value&) -> std::optional<Value> {
          events.push_back("< " + name);
          return {};
        });
    m.module->register_full_backward_hook(
        [&events, name = m.name](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
          events.push_back("b " + name);
          return {};
        });
  }
  backward(sum((*net)(leaf({1, 2}))));
  EXPECT_THAT(events, ElementsAre("> ", "> 0", "< 0", "> 1", "< 1", "< ", "b 1", "b 0", "b "));
}

}  // namespace
}  // namespace tapewire
