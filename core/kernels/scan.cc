#include "core/kernels/scan.h"

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/reduce_impl.h"

namespace tapewire::kernels {
namespace {

// The lines of tensors of one shape along a dimension.
struct Lines {
  LoopNest nest;  // all other dimensions
  int64_t length = 0;
  std::array<int64_t, 3> step{};  // of each operand, along the line
};

Lines lines_along(int64_t dim, std::initializer_list<const Tensor*> operands) {
  const Shape& all = (*operands.begin())->sizes();
  Lines lines;
  const bool scalar = all.empty();
  lines.length = scalar ? 1 : all[static_cast<size_t>(dim)];
  std::array<Shape, 3> strides;
  size_t count = 0;
  for (const Tensor* x : operands) {
    strides[count] = x->strides();
    if (!scalar) {
      lines.step[count] = x->strides()[static_cast<size_t>(dim)];
      strides[count].erase(strides[count].begin() + dim);
    }
    ++count;
  }
  Shape sizes(all);
  if (!scalar) sizes.erase(sizes.begin() + dim);
  lines.nest = make_nest(sizes, std::span<const Shape>(strides).first(count), /*reorder=*/true);
  return lines;
}

// Calls f(offsets of the operands' first elements, columns) for blocks of neighbouring lines, spread over threads.
template <class F>
void for_each_block(const Lines& lines, size_t operands, const F& f) {
  const LoopNest& nest = lines.nest;
  const int64_t width = nest.sizes.back();
  const int64_t blocks = (width + kColumns - 1) / kColumns;
  const int64_t items = numel_of(nest.sizes) / width * blocks;
  const int64_t work = std::max<int64_t>(1, lines.length * std::min(width, kColumns));
  parallel_for(items, std::max<int64_t>(1, kLightGrain / work), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t column = item % blocks * kColumns;
      const int64_t line = item / blocks * width + column;
      std::array<int64_t, 3> offsets{};
      for (size_t i = 0; i < operands; ++i) offsets[i] = nest_offset(nest, i, nest.dims(), line);
      f(offsets, std::min(kColumns, width - column));
    }
  });
}

template <class From, class To, class Step>
void scan(const Tensor& x, int64_t dim, bool reverse, const Tensor& out, const Step& step) {
  using Acc = std::conditional_t<std::is_floating_point_v<From>, double, int64_t>;
  To* to = out.mutable_data<To>();
  const From* from = x.data<From>();
  if (out.numel() == 0) return;
  const Lines lines = lines_along(dim, {&x, &out});
  const int64_t in_column = lines.nest.strides[0].back();
  const int64_t out_column = lines.nest.strides[1].back();
  for_each_block(lines, 2, [&](const std::array<int64_t, 3>& at, int64_t columns) {
    Acc acc[kColumns];
    const auto run = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t r = reverse ? lines.length - 1 - i : i;
        const From* in = from + at[0] + r * lines.step[0];
        To* result = to + at[1] + r * lines.step[1];
        for (int64_t c = 0; c < columns; ++c) {
          const Acc value = static_cast<Acc>(in[c * in_column]);
          acc[c] = i == 0 ? value : step(acc[c], value);
          result[c * out_column] = static_cast<To>(acc[c]);
        }
      }
    };
    in_pieces(lines.length, run, columns);
  });
}

template <class Step>
void scan_any(const char* op, const Tensor& x, int64_t dim, bool reverse, const Tensor& out, const Step& step) {
  dispatch_all(x.dtype(), [&]<class From>(TypeTag<From>) {
    dispatch_all(out.dtype(), [&]<class To>(TypeTag<To>) {
      constexpr bool kFloats = std::is_floating_point_v<From>;
      if constexpr (std::is_same_v<From, To> || (!kFloats && std::is_same_v<To, int64_t>)) {
        scan<From, To>(x, dim, reverse, out, step);
      } else {
        fail_internal(op, " of ", name_of(x.dtype()), " does not give ", name_of(out.dtype()));
      }
    });
  });
}

}  // namespace

void cumsum(const Tensor& x, int64_t dim, const Tensor& out, bool reverse) {
  scan_any("cumsum", x, dim, reverse, out, [](auto a, auto b) { return add(a, b); });
}

void cumprod(const Tensor& x, int64_t dim, const Tensor& out) {
  scan_any("cumprod", x, dim, /*reverse=*/false, out, [](auto a, auto b) { return multiply(a, b); });
}

void linear_recurrence(const Tensor& a, const Tensor& b, int64_t dim, bool reverse, const Tensor& out) {
  dispatch_floating("linear_recurrence", out.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    const T* factor = a.data<T>();
    const T* term = b.data<T>();
    if (out.numel() == 0) return;
    const Lines lines = lines_along(dim, {&a, &b, &out});
    const int64_t a_column = lines.nest.strides[0].back();
    const int64_t b_column = lines.nest.strides[1].back();
    const int64_t out_column = lines.nest.strides[2].back();
    for_each_block(lines, 3, [&](const std::array<int64_t, 3>& at, int64_t columns) {
      double acc[kColumns] = {};
      const auto run = [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t r = reverse ? lines.length - 1 - i : i;
          // The factor between r and the one before it in this order; the first has none.
          const int64_t between = reverse && i > 0 ? r + 1 : r;
          const T* link = factor + at[0] + between * lines.step[0];
          const T* in = term + at[1] + r * lines.step[1];
          T* result = to + at[2] + r * lines.step[2];
          for (int64_t c = 0; c < columns; ++c) {
            const double carried = i == 0 ? 0.0 : static_cast<double>(link[c * a_column]) * acc[c];
            acc[c] = static_cast<double>(in[c * b_column]) + carried;
            result[c * out_column] = static_cast<T>(acc[c]);
          }
        }
      };
      in_pieces(lines.length, run, columns);
    });
  });
}

}  // namespace tapewire::kernels
