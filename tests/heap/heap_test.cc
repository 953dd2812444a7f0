// What an op allocates: its outputs and one node, and nothing else.

#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/product.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"

namespace {

thread_local int64_t allocations = 0;

void* counted(std::size_t bytes) {
  ++allocations;
  if (void* p = std::malloc(bytes == 0 ? 1 : bytes)) return p;
  throw std::bad_alloc();
}

void* counted_aligned(std::size_t bytes, std::align_val_t alignment) {
  ++allocations;
  const auto a = static_cast<std::size_t>(alignment);
  if (void* p = std::aligned_alloc(a, (bytes + a - 1) / a * a)) return p;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return counted_aligned(bytes, alignment); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return counted_aligned(bytes, alignment); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace tapewire {
namespace {

// The allocations of one call, once caches are warm.
template <class F>
int64_t allocations_of(const F& f) {
  for (int i = 0; i < 3; ++i) f();
  const int64_t before = allocations;
  const auto kept = f();
  return allocations - before;
}

int64_t of_a_tensor() {
  return allocations_of([] { return Tensor::empty({3, 3}); });
}

struct OpCase {
  std::string name;
  std::function<Tensor(const Tensor& x, const Tensor& y)> call;
  friend void PrintTo(const OpCase& c, std::ostream* out) { *out << c.name; }
};

class HeapTest : public testing::TestWithParam<OpCase> {
 protected:
  const Tensor x_ = set_requires_grad(Tensor::full({3, 3}, 0.5));
  const Tensor y_ = set_requires_grad(Tensor::full({3, 3}, 2.0));
};

TEST_P(HeapTest, AnOpAllocatesItsOutputAndOneNode) {
  // The leaves' accumulators live as long as some tape uses them: keep one.
  const Tensor tape = add(x_, y_);
  EXPECT_EQ(allocations_of([&] { return GetParam().call(x_, y_); }), of_a_tensor() + 1);
}

TEST_P(HeapTest, WithoutGradItAllocatesItsOutput) {
  const NoGradGuard no_grad;
  EXPECT_EQ(allocations_of([&] { return GetParam().call(x_, y_); }), of_a_tensor());
}

INSTANTIATE_TEST_SUITE_P(
    Ops, HeapTest,
    testing::Values(OpCase{"add", [](const Tensor& x, const Tensor& y) { return add(x, y); }},
                    OpCase{"mul", [](const Tensor& x, const Tensor& y) { return mul(x, y); }},
                    OpCase{"div", [](const Tensor& x, const Tensor& y) { return div(x, y); }},
                    OpCase{"maximum", [](const Tensor& x, const Tensor& y) { return maximum(x, y); }},
                    OpCase{"exp", [](const Tensor& x, const Tensor&) { return exp(x); }},
                    OpCase{"relu", [](const Tensor& x, const Tensor&) { return relu(x); }},
                    OpCase{"sigmoid", [](const Tensor& x, const Tensor&) { return sigmoid(x); }},
                    OpCase{"softmax", [](const Tensor& x, const Tensor&) { return softmax(x, {.dim = 1}); }},
                    OpCase{"mm", [](const Tensor& x, const Tensor& y) { return mm(x, y); }},
                    OpCase{"linear", [](const Tensor& x, const Tensor& y) { return linear(x, y); }},
                    OpCase{"sum", [](const Tensor& x, const Tensor&) { return sum(x); }},
                    OpCase{"mean", [](const Tensor& x, const Tensor&) { return mean(x); }},
                    OpCase{"clone", [](const Tensor& x, const Tensor&) { return clone(x); }}),
    [](const testing::TestParamInfo<OpCase>& c) { return c.param.name; });

TEST(HeapOfAViewTest, AViewAllocatesItsHandleItsViewRecordAndOneNode) {
  const Tensor x = set_requires_grad(Tensor::full({3, 3}, 0.5));
  const Tensor tape = add(x, x);
  EXPECT_EQ(allocations_of([&] { return transpose(x, 0, 1); }), 3);
}

}  // namespace
}  // namespace tapewire
