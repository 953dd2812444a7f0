#include <functional>
#include <limits>

#include "core/autograd/engine.h"
#include "core/autograd/function.h"
#include "core/autograd/node.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/bound_call.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "core/tensor/allocator.h"
#include "gmock/gmock.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

// Bytes of tensors that live on after f: a reference cycle shows here.
int64_t left_by(const std::function<void()>& f) {
  const int64_t before = tensor_allocator().stats().live;
  f();
  return tensor_allocator().stats().live - before;
}

TEST(MemoryTest, AGraphGoesWithItsOutputs) {
  EXPECT_EQ(left_by([] {
              const Tensor x = leaf({1, 2});
              const Tensor y = sum(mul(exp(x), tanh(x)));
            }),
            0);
}

TEST(MemoryTest, AGraphGoesAfterBackwardToo) {
  EXPECT_EQ(left_by([] {
              const Tensor x = leaf({1, 2});
              const Tensor y = mul(exp(x), tanh(x));
              retain_grad(y);
              register_hook(y, [](const Tensor& g) { return g; });
              backward(sum(y), {}, {.retain_graph = true});
              backward(sum(y));
            }),
            0);
}

TEST(MemoryTest, SavedTensorsGoDuringBackward) {
  const Tensor x = leaf({1, 2});
  Tensor y = exp(x);
  for (int i = 0; i < 10; ++i) y = exp(mul(y, 0.1));
  const Tensor loss = sum(y);
  y = Tensor();
  const int64_t before = tensor_allocator().stats().live;
  backward(loss);
  EXPECT_LT(tensor_allocator().stats().live, before);
}

TEST(MemoryTest, AnOpThatSavesItsOwnOutputMakesNoCycle) {
  EXPECT_EQ(left_by([] {
              const Tensor y = exp(leaf({1, 2}));
              const Tensor z = sigmoid(leaf({1, 2}));
            }),
            0);
}

TEST(MemoryTest, InPlaceChangesMakeNoCycle) {
  EXPECT_EQ(left_by([] {
              const Tensor x = leaf({1, 2, 3, 4});
              const Tensor y = mul(x, 1);
              call_op("exp_", {y});
              mul_(y, x);
              relu_(y);
            }),
            0);
}

TEST(MemoryTest, InPlaceChangesOfViewsMakeNoCycle) {
  for (const bool run : {false, true}) {
    EXPECT_EQ(left_by([run] {
                const Tensor x = leaf({1, 2, 3, 4});
                const Tensor w = leaf({1, 2});
                const Tensor base = mul(x, 1);
                const Tensor part = as_strided(base, {{2}, {1}, 1});
                retain_grad(part);
                retain_grad(base);
                mul_(part, w);
                const Tensor other = view(base, {2, 2});
                add_(other, 1);
                call_op("exp_", {part});
                if (run) backward(sum(add(sum(other), sum(part))), {}, {.retain_graph = true});
              }),
              0);
  }
}

TEST(MemoryTest, CreateGraphMakesNoCycle) {
  EXPECT_EQ(left_by([] {
              const Tensor x = leaf({1, 2});
              const Tensor y = sum(exp(mul(x, x)));
              const Tensor g = grad({y}, {x}, {}, {.create_graph = true})[0];
              grad({sum(g)}, {x}, {}, {.create_graph = true});
            }),
            0);
}

struct SavesEverything : Function<SavesEverything> {
  static Tensors forward(FunctionContext& ctx, const Tensor& x) {
    const Tensor inner = exp(x);
    const Tensor out = mul(inner, x);
    ctx.save_for_backward({x, inner, out});
    return {out, x};
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    const Tensors saved = ctx.saved_tensors();
    return {add(mul(grads[0], add(saved[1], saved[2])), grads[1])};
  }
};

TEST(MemoryTest, CustomFunctionsMakeNoCycle) {
  for (const bool run : {false, true}) {
    EXPECT_EQ(left_by([run] {
                const Tensor x = leaf({1, 2});
                const Tensors out = SavesEverything::call(mul(x, 1));
                if (run) backward(sum(add(out[0], out[1])), {}, {.create_graph = false});
              }),
              0);
  }
}

TEST(MemoryTest, AnErrorInBackwardLeavesNothingBehind) {
  EXPECT_EQ(left_by([] {
              const Tensor x = leaf({1, 2});
              const Tensor y = exp(x);
              const Tensor z = mul(y, y);
              add_(y, 1);
              EXPECT_NE(error_of([&] { backward(sum(z)); }), "no error");
            }),
            0);
}

TEST(MemoryTest, NodesCountAndAreRefusedAtTheLimit) {
  const Tensor x = leaf({1});
  const auto chain = [&](int length) {
    Tensor y = x;
    for (int i = 0; i < length; ++i) y = neg(y);
    return y;
  };
  const int64_t before = tensor_allocator().stats().live;
  Tensor y = chain(100);
  EXPECT_GE(tensor_allocator().stats().live, before + 100 * static_cast<int64_t>(Node::kBytes));
  y = Tensor();
  EXPECT_EQ(tensor_allocator().stats().live, before);
  tensor_allocator().set_limit(before + 64 * static_cast<int64_t>(Node::kBytes), "tensor memory limit");
  EXPECT_THAT(error_of([&] { chain(100); }), testing::HasSubstr("out of tensor memory"));
  EXPECT_EQ(tensor_allocator().stats().live, before);
  tensor_allocator().set_limit(std::numeric_limits<int64_t>::max(), "tensor memory limit");
}

TEST(MemoryTest, SavedStoragesAreVisited) {
  const Tensor x = leaf({1, 2});
  const Tensor y = exp(x);
  size_t bytes = 0;
  grad_fn(y)->visit_saved([&](const Storage& storage) { bytes += storage.size(); });
  EXPECT_EQ(bytes, 16u);
  backward(sum(y));
  bytes = 0;
  grad_fn(y)->visit_saved([&](const Storage& storage) { bytes += storage.size(); });
  EXPECT_EQ(bytes, 0u);
}

}  // namespace
}  // namespace tapewire
