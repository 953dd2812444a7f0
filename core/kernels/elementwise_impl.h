#pragma once

#include <array>
#include <span>
#include <type_traits>
#include <utility>

#include "absl/functional/function_ref.h"
#include "core/tensor/tensor.h"

// For the .cc files of this room. Before a loop: its iterations do not depend on one another (operands are the same
// memory element for element, or apart), so it may be vectorised without a test for overlap.
#if defined(__clang__)
#define TW_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define TW_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace tapewire::kernels {

/// Elements a task should have at least: of memory-bound work, and of work that costs some nanoseconds an element.
inline constexpr int64_t kLightGrain = 65536;
inline constexpr int64_t kHeavyGrain = 8192;

/// The longest run handed out where an operand has to be gathered.
inline constexpr int64_t kChunk = 512;

/// The most operands of an elementwise kernel.
inline constexpr size_t kMaxOperands = 6;

using RunFn = absl::FunctionRef<void(int64_t n, void* const* operands)>;

/// Walks the elements of `outputs` with those of `inputs` broadcast to them and calls fn(n, pointers) over runs in
/// which each operand is contiguous (outputs first). Operands that are not are gathered into scratch, outputs scattered
/// from it, so fn is one loop over plain arrays. Runs are spread over threads, `grain` elements a task. With `updates`
/// fn also reads what the outputs hold.
void for_each_run(std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs, int64_t grain,
                  RunFn fn, bool updates = false);

/// Gathers n elements that lie `stride` elements apart into a plain array.
void gather_strided(const void* from, int64_t stride, size_t itemsize, int64_t n, void* to);
/// The other way.
void scatter_strided(const void* from, int64_t n, size_t itemsize, void* to, int64_t stride);

namespace detail {

template <class T>
const void* typed(const Tensor& tensor) {
  return tensor.data<T>();
}

template <class Out, class... In, class F, size_t... I>
void call_run(const F& f, int64_t n, void* const* p, std::index_sequence<I...>) {
  f(n, static_cast<Out*>(p[0]), static_cast<const In*>(p[I + 1])...);
}

}  // namespace detail

/// out[i] = ... over inputs broadcast to out's shape: f(n, Out* out, const In*... in) is called over contiguous runs.
template <class Out, class... In, class F, class... Inputs>
void elementwise(int64_t grain, const Tensor& out, const F& f, const Inputs&... inputs) {
  static_assert(sizeof...(In) == sizeof...(Inputs));
  const int64_t n = out.numel();
  if (n == 0) return;
  constexpr auto kSequence = std::index_sequence_for<In...>{};
  if (n <= grain && out.is_contiguous() && ((inputs.numel() == n && inputs.is_contiguous()) && ...)) {
    Out* to = out.mutable_data<Out>();  // first: a shared buffer is detached
    void* pointers[] = {to, const_cast<void*>(detail::typed<In>(inputs))...};
    detail::call_run<Out, In...>(f, n, pointers, kSequence);
    return;
  }
  const Tensor* outputs[] = {&out};
  const std::array<const Tensor*, sizeof...(Inputs)> ins{&inputs...};
  static_cast<void>(out.mutable_data<Out>());
  (static_cast<void>(detail::typed<In>(inputs)), ...);
  for_each_run(outputs, ins, grain,
               [&](int64_t count, void* const* p) { detail::call_run<Out, In...>(f, count, p, kSequence); });
}

/// elementwise() of one expression: out[i] = f(in[i]...), vectorised by the compiler.
template <class Out, class... In, class F, class... Inputs>
void map(int64_t grain, const Tensor& out, const F& f, const Inputs&... inputs) {
  elementwise<Out, In...>(
      grain, out,
      [&f](int64_t n, Out* to, const In*... from) {
        TW_INDEPENDENT
        for (int64_t i = 0; i < n; ++i) to[i] = f(from[i]...);
      },
      inputs...);
}

// Sums, differences and products that wrap for integers, as PyTorch's do.
template <class T>
T add(T x, T y) {
  if constexpr (std::is_floating_point_v<T>) {
    return x + y;
  } else {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(x) + static_cast<U>(y));
  }
}
template <class T>
T subtract(T x, T y) {
  if constexpr (std::is_floating_point_v<T>) {
    return x - y;
  } else {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(x) - static_cast<U>(y));
  }
}
template <class T>
T multiply(T x, T y) {
  if constexpr (std::is_floating_point_v<T>) {
    return x * y;
  } else {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(x) * static_cast<U>(y));
  }
}

/// Dimensions of one or more operands with the needless ones merged away, outermost first.
struct LoopNest {
  Shape sizes;
  std::array<Shape, kMaxOperands> strides;  // in elements

  size_t dims() const { return sizes.size(); }
};

/// The walk over `sizes` for operands whose strides are given for each of these dimensions; dimensions are sorted by
/// the first operand's strides when `reorder`, one-long ones dropped and neighbours merged where all operands allow it.
/// There is always at least one dimension.
LoopNest make_nest(Ints sizes, std::span<const Shape> strides, bool reorder);

/// The strides of `tensor` broadcast to `sizes`: 0 where it is repeated. Throws INTERNAL when it does not broadcast.
Shape broadcast_strides(const Tensor& tensor, Ints sizes);

}  // namespace tapewire::kernels
