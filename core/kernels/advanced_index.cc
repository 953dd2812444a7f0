#include "core/kernels/advanced_index.h"

#include <algorithm>
#include <cstring>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

// Runs of the innermost dimension of a walk over three operands, from element `begin` to `end`.
template <class F>
void for_each_row(const LoopNest& nest, int64_t begin, int64_t end, const F& f) {
  const size_t inner = nest.dims() - 1;
  const int64_t row = nest.sizes[inner];
  while (begin < end) {
    std::array<int64_t, 3> offset{};
    int64_t rest = begin;
    for (size_t d = nest.dims(); d-- > 0;) {
      const int64_t at = rest % nest.sizes[d];
      rest /= nest.sizes[d];
      for (size_t o = 0; o < 3; ++o) offset[o] += at * nest.strides[o][d];
    }
    const int64_t n = std::min({end - begin, row - begin % row, kPieceElements});
    count_work(n);
    f(n, offset);
    begin += n;
  }
}

// The operands are indexed alike: each has out's shape, or is broadcast to it.
LoopNest nest_of(const Tensor& first, const Tensor& second, const Tensor& third) {
  const Shape strides[] = {broadcast_strides(first, third.sizes()), broadcast_strides(second, third.sizes()),
                           broadcast_strides(third, third.sizes())};
  return make_nest(third.sizes(), strides, /*reorder=*/false);
}

template <class T>
T sum_of(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x || y;
  } else {
    return add(x, y);
  }
}

}  // namespace

void index_offsets(std::span<const DimensionIndex> indices, const Tensor& out) {
  fill(out, 0);
  for (const DimensionIndex& one : indices) {
    elementwise<int64_t, int64_t, int64_t>(
        kLightGrain, out,
        [&one](int64_t n, int64_t* to, const int64_t* before, const int64_t* index) {
          for (int64_t i = 0; i < n; ++i) {
            const int64_t at = index[i];
            if (at < -one.size || at >= one.size) {
              fail("index ", at, " is out of bounds for dimension ", one.dim, " with size ", one.size);
            }
            to[i] = before[i] + (at < 0 ? at + one.size : at) * one.stride;
          }
        },
        out, one.index);
  }
}

void read_at(const Tensor& x, const Tensor& offsets, const Tensor& out) {
  if (out.numel() == 0) return;
  const LoopNest nest = nest_of(x, offsets, out);
  const size_t inner = nest.dims() - 1;
  const int64_t x_step = nest.strides[0][inner];
  const int64_t at_step = nest.strides[1][inner];
  const int64_t out_step = nest.strides[2][inner];
  const auto* at = offsets.data<int64_t>();
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    const T* from = x.data<T>();
    parallel_for(out.numel(), kLightGrain, [&](int64_t begin, int64_t end) {
      for_each_row(nest, begin, end, [&](int64_t n, const std::array<int64_t, 3>& offset) {
        T* row = to + offset[2];
        const int64_t* places = at + offset[1];
        const T* source = from + offset[0];
        if (at_step == 0 && x_step == 1 && out_step == 1) {
          std::memcpy(row, source + *places, static_cast<size_t>(n) * sizeof(T));
          return;
        }
        for (int64_t i = 0; i < n; ++i) row[i * out_step] = source[i * x_step + places[i * at_step]];
      });
    });
  });
}

void write_at(const Tensor& dst, const Tensor& offsets, const Tensor& values, bool accumulate) {
  if (dst.numel() == 0) return;
  const LoopNest nest = nest_of(offsets, values, dst);
  const size_t inner = nest.dims() - 1;
  const int64_t at_step = nest.strides[0][inner];
  const int64_t value_step = nest.strides[1][inner];
  const auto* at = offsets.data<int64_t>();
  // The walk is dst's, whose strides may be 0 where an index chooses.
  const int64_t dst_step = nest.strides[2][inner];
  dispatch_all(dst.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = dst.mutable_data<T>();
    const T* from = values.data<T>();
    for_each_row(nest, 0, dst.numel(), [&](int64_t n, const std::array<int64_t, 3>& offset) {
      T* row = to + offset[2];
      const int64_t* places = at + offset[0];
      const T* source = from + offset[1];
      for (int64_t i = 0; i < n; ++i) {
        T& place = row[i * dst_step + places[i * at_step]];
        const T value = source[i * value_step];
        place = accumulate ? sum_of(place, value) : value;
      }
    });
  });
}

std::vector<Tensor> nonzero(const Tensor& mask) {
  if (mask.dtype() != DType::kBool && mask.dtype() != DType::kUInt8) {
    fail_internal("nonzero: a mask of ", name_of(mask.dtype()));
  }
  const Tensor plain = contiguous(mask);
  const auto* set = static_cast<const uint8_t*>(plain.raw_data());  // a bool is a byte, too
  const int64_t total = plain.numel();
  int64_t count = 0;
  in_pieces(total,
            [&](int64_t begin, int64_t end) { count += end - begin - std::count(set + begin, set + end, uint8_t{0}); });
  const Shape sizes = mask.dim() == 0 ? Shape{1} : mask.sizes();
  std::vector<Tensor> out;
  int64_t inner = total;
  for (const int64_t size : sizes) {
    const Tensor indices = Tensor::empty({count}, DType::kInt64);
    auto* to = indices.mutable_data<int64_t>();
    if (size > 0) inner /= size;
    in_pieces(total, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (set[i] != 0) *to++ = i / inner % size;
      }
    });
    out.push_back(indices);
  }
  return out;
}

}  // namespace tapewire::kernels
