#include <atomic>
#include <thread>

#include "core/autograd/engine.h"
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
