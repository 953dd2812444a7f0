#include <atomic>
#include <thread>

#include "core/autograd/engine.h"
#include "core/autograd/engine_ops.h"
#include "core/base/mutex.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

template <class F>
void on_threads(int count, F&& f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&f, i] { f(i); });
  for (std::thread& thread : threads) thread.join();
}

TEST(ThreadsTest, DisjointTapesRunAtOnce) {
  on_threads(4, [](int i) {
    for (int repeat = 0; repeat < 200; ++repeat) {
      const Tensor x = leaf({1, 2, 3});
      backward(sum(mul(mul(x, x), static_cast<double>(i))));
      EXPECT_THAT(values(gradient(x)), ElementsAre(2 * i, 4 * i, 6 * i));
    }
  });
}

TEST(ThreadsTest, TapesThatShareALeafAddUp) {
  const Tensor x = leaf({1, 2});
  constexpr int kThreads = 4;
  constexpr int kRepeats = 100;
  on_threads(kThreads, [&](int) {
    for (int repeat = 0; repeat < kRepeats; ++repeat) backward(sum(mul(x, 3)));
  });
  EXPECT_THAT(values(gradient(x)), ElementsAre(3 * kThreads * kRepeats, 3 * kThreads * kRepeats));
}

TEST(ThreadsTest, ASharedTapeIsWalkedAtOnceWhenRetained) {
  const Tensor x = leaf({1, 2});
  const Tensor y = sum(exp(mul(tanh(x), x)));
  const std::vector<double> expected = values(grad({y}, {x}, {}, {.retain_graph = true})[0]);
  on_threads(4, [&](int) {
    for (int repeat = 0; repeat < 100; ++repeat) {
      EXPECT_EQ(values(grad({y}, {x}, {}, {.retain_graph = true})[0]), expected);
    }
  });
}

TEST(ThreadsTest, ASharedTapeAccumulatesEveryPass) {
  const Tensor x = leaf({1});
  const Tensor h = mul(x, 2);
  retain_grad(h);
  const Tensor y = mul(h, h);
  on_threads(4, [&](int) {
    for (int repeat = 0; repeat < 50; ++repeat) backward(y, {}, {.retain_graph = true});
  });
  EXPECT_THAT(values(gradient(x)), ElementsAre(8 * 200));
  EXPECT_THAT(values(gradient(h)), ElementsAre(4 * 200));
}

TEST(ThreadsTest, WithoutRetainOneWalksToTheEndTheOthersAreTold) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    const Tensor x = leaf({1, 2});
    const Tensor y = sum(exp(mul(exp(x), x)));
    std::atomic<int> ended{0};
    on_threads(4, [&](int) {
      const std::string message = error_of([&] { backward(y); });
      if (message == "no error") {
        ++ended;
      } else {
        EXPECT_THAT(message, testing::HasSubstr("a second time"));
      }
    });
    EXPECT_LE(ended, 1);
  }
}

bool is_free(Mutex& mutex) {
  bool free = false;
  std::thread([&] {
    if (!mutex.try_lock()) return;
    free = true;
    mutex.unlock();
  }).join();
  return free;
}

// Notes whether its lock is free while it applies.
class Watching final : public Node {
 public:
  explicit Watching(const Tensor& x) {
    add_output(x.spec());
    add_next_edge(gradient_edge(x));
  }
  std::string name() const override { return "Watching"; }
  Tensors apply(Tensors grads) override {
    was_free = is_free(mutex());
    return {grads[0]};
  }
  bool was_free = true;
};

TEST(ThreadsTest, ANodeAppliesUnderItsLockAndItsHooksRunOutside) {
  const Tensor x = leaf({1});
  const auto node = make_ref<Watching>(x);
  const Tensor y = x.alias();
  set_history(y, node, 0);
  std::vector<bool> free;
  register_hook(y, [&](const Tensor&) {
    free.push_back(is_free(node->mutex()));
    return Tensor();
  });
  node->add_pre_hook([&](const Tensors&) {
    free.push_back(is_free(node->mutex()));
    return Tensors();
  });
  node->add_post_hook([&](const Tensors&, const Tensors&) {
    free.push_back(is_free(node->mutex()));
    return Tensors();
  });
  backward(y);
  EXPECT_FALSE(node->was_free);
  EXPECT_THAT(free, ElementsAre(true, true, true));
}

// Replaces the op that retain_grad copies with, for a scope.
class WatchedClone {
 public:
  explicit WatchedClone(Mutex& mutex) : ops_(engine_ops()) {
    watched = &mutex;
    was_free = true;
    real_clone = ops_.clone;
    EngineOps watching = ops_;
    watching.clone = [](const Tensor& x) {
      was_free = is_free(*watched);
      return real_clone(x);
    };
    set_engine_ops(watching);
  }
  ~WatchedClone() { set_engine_ops(ops_); }
  WatchedClone(const WatchedClone&) = delete;
  WatchedClone& operator=(const WatchedClone&) = delete;

  static inline bool was_free = true;

 private:
  static inline Mutex* watched = nullptr;
  static inline decltype(EngineOps::clone) real_clone = nullptr;
  const EngineOps ops_;
};

TEST(ThreadsTest, AGradientIsRetainedUnderTheNodesLock) {
  const Tensor y = mul(leaf({1}), 2);
  retain_grad(y);
  const WatchedClone watch(grad_fn(y)->mutex());
  grad({mul(y, 3)}, {y});
  EXPECT_FALSE(WatchedClone::was_free);
  EXPECT_THAT(values(gradient(y)), ElementsAre(3));
}

TEST(ThreadsTest, AHookMayBeRemovedWhileItFires) {
  const Tensor x = leaf({1});
  const HookHandle first = register_post_accumulate_grad_hook(x, [](const Tensor&) {});  // only the first takes a turn
  std::atomic<bool> done{false};
  double walks = 0;
  std::thread walker([&] {
    for (; !done; ++walks) backward(mul(x, 1));
  });
  for (int i = 0; i < 200; ++i) {
    HookHandle handle = register_post_accumulate_grad_hook(x, [](const Tensor&) {});
    handle.remove();
  }
  done = true;
  walker.join();
  backward(mul(x, 1));
  EXPECT_THAT(values(gradient(x)), ElementsAre(walks + 1)) << "no walk was lost";
}

TEST(ThreadsTest, GraphsMayBeLetGoOnAnotherThread) {
  const Tensor x = leaf({1});
  std::vector<Tensor> tails(8);
  for (Tensor& tail : tails) {
    tail = x;
    for (int i = 0; i < 2000; ++i) tail = neg(tail);
  }
  on_threads(8, [&](int i) { tails[static_cast<size_t>(i)] = Tensor(); });
  backward(mul(x, 1));
  EXPECT_THAT(values(gradient(x)), ElementsAre(1));
}

}  // namespace
}  // namespace tapewire
