#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Hooks that note a name, and leave alone what they are given.
class Log {
 public:
  std::function<ForwardPreHook> pre(const char* name) {
    return [this, name](Module&, const Args&) -> std::optional<Args> {
      events.emplace_back(name);
      return {};
    };
  }
  std::function<ForwardHook> post(const char* name) {
    return [this, name](Module&, const Args&, const Value& out) -> std::optional<Value> {
      events.push_back(out.is_none() ? str_cat(name, " without output") : std::string(name));
      return {};
    };
  }
  std::function<BackwardPreHook> backward_pre(const char* name) {
    return [this, name](Module&, const Tensors&) -> std::optional<Tensors> {
      events.emplace_back(name);
      return {};
    };
  }
  std::function<BackwardHook> backward(const char* name) {
    return [this, name](Module&, const Tensors&, const Tensors&) -> std::optional<Tensors> {
      events.emplace_back(name);
      return {};
    };
  }

  std::vector<std::string> events;
};

class Fails final : public TensorModule {
 public:
  std::string_view type() const override { return "Fails"; }
  Tensor forward(const Tensor&) override { fail("forward failed"); }
};

Tensor leaf() { return set_requires_grad(Tensor::of<double>({1, 2})); }

struct GlobalHookTest : testing::Test {
  std::shared_ptr<Tanh> module = std::make_shared<Tanh>();
  GlobalModuleHooks global;
  Log log;
};

TEST_F(GlobalHookTest, RunBeforeTheModulesOwnAndAPrependedHookIsFirstOfTheLatter) {
  module->register_forward_pre_hook(log.pre("own pre"));
  module->register_forward_pre_hook(log.pre("first own pre"), true);
  module->register_forward_hook(log.post("own post"));
  module->register_forward_hook(log.post("first own post"), true);
  module->register_full_backward_pre_hook(log.backward_pre("own backward pre"));
  module->register_full_backward_pre_hook(log.backward_pre("first own backward pre"), true);
  module->register_full_backward_hook(log.backward("own backward"));
  module->register_full_backward_hook(log.backward("first own backward"), true);
  global.register_module_forward_pre_hook(log.pre("global pre"));
  global.register_module_forward_pre_hook(log.pre("second global pre"));
  global.register_module_forward_hook(log.post("global post"));
  global.register_module_full_backward_pre_hook(log.backward_pre("global backward pre"));
  global.register_module_full_backward_hook(log.backward("global backward"));
  const GlobalModuleHooksScope scope(global);
  backward(sum((*module)(leaf())));
  EXPECT_THAT(log.events, ElementsAre("global pre", "second global pre", "first own pre", "own pre", "global post",
                                      "first own post", "own post", "global backward pre", "first own backward pre",
                                      "own backward pre", "global backward", "first own backward", "own backward"));
}

TEST_F(GlobalHookTest, MeetEveryModuleOfATree) {
  const auto net = std::make_shared<Sequential>(Modules{module, std::make_shared<Sigmoid>()});
  std::vector<std::string> types;
  global.register_module_forward_hook([&](Module& m, const Args&, const Value&) -> std::optional<Value> {
    types.emplace_back(m.type());
    return {};
  });
  global.register_module_full_backward_hook([&](Module& m, const Tensors&, const Tensors&) -> std::optional<Tensors> {
    types.push_back(str_cat("backward ", m.type()));
    return {};
  });
  const GlobalModuleHooksScope scope(global);
  backward(sum((*net)(leaf())));
  EXPECT_THAT(types,
              ElementsAre("Tanh", "Sigmoid", "Sequential", "backward Sigmoid", "backward Tanh", "backward Sequential"));
}

TEST_F(GlobalHookTest, ReplaceWhatTheyAreGiven) {
  global.register_module_forward_pre_hook(
      [](Module&, const Args& args) -> std::optional<Args> { return Args{add(args.positional[0].tensor(), -1.0)}; });
  global.register_module_forward_hook(
      [](Module&, const Args&, const Value& out) -> std::optional<Value> { return Value(add(out.tensor(), 5.0)); });
  global.register_module_full_backward_hook(
      [](Module&, const Tensors& in, const Tensors&) -> std::optional<Tensors> { return Tensors{add(in[0], 7.0)}; });
  const Tensor x = leaf();
  const GlobalModuleHooksScope scope(global);
  const Tensor y = (*module)(x);
  EXPECT_EQ(y.to_vector<double>()[0], 5);  // tanh(1 - 1) + 5
  backward(sum(y));
  EXPECT_EQ(gradient(x).to_vector<double>()[0], 8);  // 1 - tanh(0)^2 + 7
}

TEST_F(GlobalHookTest, AreThoseOfTheScopeAndTheThread) {
  GlobalModuleHooks inner;
  global.register_module_forward_hook(log.post("outer"));
  inner.register_module_forward_hook(log.post("inner"));
  (*module)(leaf());
  EXPECT_THAT(log.events, IsEmpty());
  {
    const GlobalModuleHooksScope scope(global);
    {
      const GlobalModuleHooksScope nested(inner);
      (*module)(leaf());
    }
    (*module)(leaf());
    std::thread([] { (*std::make_shared<Tanh>())(leaf()); }).join();
  }
  (*module)(leaf());
  EXPECT_THAT(log.events, ElementsAre("inner", "outer"));
}

TEST_F(GlobalHookTest, FireInTheBackwardPassOfTheirCallsAfterTheScope) {
  Tensor y;
  {
    GlobalModuleHooks passing;
    passing.register_module_full_backward_pre_hook(log.backward_pre("backward pre"));
    const GlobalModuleHooksScope scope(passing);
    y = (*module)(leaf());
  }
  std::thread([&] { backward(sum(y)); }).join();
  EXPECT_THAT(log.events, ElementsAre("backward pre"));
}

TEST_F(GlobalHookTest, AlwaysCalledOnesRunWhenForwardThrows) {
  const auto fails = std::make_shared<Fails>();
  fails->register_forward_hook(log.post("own always"), false, true);
  fails->register_forward_hook(log.post("own"));
  global.register_module_forward_hook(log.post("global always"), true);
  global.register_module_forward_hook(log.post("global"));
  const GlobalModuleHooksScope scope(global);
  EXPECT_EQ(error_of([&] { (*fails)(leaf()); }), "forward failed");
  EXPECT_THAT(log.events, ElementsAre("global always without output", "own always without output"));
}

TEST_F(GlobalHookTest, AnAlwaysCalledOneRunsOnceWhenAPreHookThrows) {
  HookHandle always = global.register_module_forward_hook(log.post("always"), true);
  HookHandle throws =
      module->register_forward_pre_hook([](Module&, const Args&) -> std::optional<Args> { fail("pre hook failed"); });
  const GlobalModuleHooksScope scope(global);
  EXPECT_EQ(error_of([&] { (*module)(leaf()); }), "pre hook failed");
  EXPECT_THAT(log.events, ElementsAre("always without output"));
  throws.remove();
  (*module)(leaf());
  EXPECT_THAT(log.events, ElementsAre("always without output", "always"));
  always.remove();
  always.remove();
  (*module)(leaf());
  EXPECT_EQ(log.events.size(), 2u);
}

TEST_F(GlobalHookTest, AHandleMayOutliveItsTable) {
  HookHandle handle;
  {
    GlobalModuleHooks passing;
    handle = passing.register_module_forward_pre_hook(log.pre("never"));
  }
  handle.remove();
  EXPECT_THAT(log.events, IsEmpty());
}

TEST_F(GlobalHookTest, OneTableServesManyThreadsWhileHooksComeAndGo) {
  std::atomic<int> calls{0};
  const auto work = [&] {
    const GlobalModuleHooksScope scope(global);
    const auto own = std::make_shared<Tanh>();
    for (int i = 0; i < 50; ++i) {
      HookHandle handle = global.register_module_forward_hook([&](Module&, const Args&, const Value&) {
        calls.fetch_add(1);
        return std::optional<Value>();
      });
      (*own)(leaf());
      handle.remove();
    }
  };
  std::thread first(work);
  std::thread second(work);
  first.join();
  second.join();
  EXPECT_GE(calls.load(), 100);  // each call meets at least the hook of its own thread
}

}  // namespace
}  // namespace tapewire
