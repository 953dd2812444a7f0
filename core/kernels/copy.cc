#include "core/kernels/copy.h"

#include <algorithm>
#include <cstring>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_same_v<To, uint8_t>) {
    return static_cast<To>(static_cast<int64_t>(x));  // as ATen: negative numbers wrap
  } else {
    return static_cast<To>(x);
  }
}

constexpr int64_t kTile = 16;

template <class Word>
void transpose_block(const Word* from, int64_t from_stride, Word* to, int64_t to_stride, int64_t rows, int64_t cols) {
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    for (int64_t c0 = 0; c0 < cols; c0 += kTile) {
      count_work(kTile * kTile);
      const int64_t r1 = std::min(rows, r0 + kTile);
      const int64_t c1 = std::min(cols, c0 + kTile);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c) to[r * to_stride + c] = from[r + c * from_stride];
      }
    }
  }
}

// A copy whose source runs along another dimension than its destination, done in square tiles so that both sides use
// whole cache lines. False when the tensors are not such a pair.
template <class Word>
bool copy_transposed(const Tensor& src, const Tensor& dst) {
  Word* to = static_cast<Word*>(dst.mutable_raw_data());
  const Word* from = static_cast<const Word*>(src.raw_data());
  const Shape strides[] = {dst.strides(), broadcast_strides(src, dst.sizes())};
  const LoopNest nest = make_nest(dst.sizes(), strides, /*reorder=*/true);
  const size_t inner = nest.dims() - 1;
  const auto unit = std::ranges::find(nest.strides[1], 1);
  if (unit == nest.strides[1].end() || nest.strides[0][inner] != 1) return false;
  const size_t outer = static_cast<size_t>(unit - nest.strides[1].begin());
  if (outer == inner || nest.sizes[outer] < kTile || nest.sizes[inner] < kTile) return false;
  constexpr int64_t kRows = 4 * kTile;
  const int64_t blocks = (nest.sizes[outer] + kRows - 1) / kRows;
  int64_t planes = 1;
  for (size_t d = 0; d < inner; ++d) {
    if (d != outer) planes *= nest.sizes[d];
  }
  const int64_t grain = std::max<int64_t>(1, kLightGrain / (kRows * nest.sizes[inner]));
  parallel_for(planes * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t row = item % blocks * kRows;
      int64_t rest = item / blocks;
      int64_t to_offset = row * nest.strides[0][outer];
      int64_t from_offset = row;
      for (size_t d = inner; d-- > 0;) {
        if (d == outer) continue;
        to_offset += rest % nest.sizes[d] * nest.strides[0][d];
        from_offset += rest % nest.sizes[d] * nest.strides[1][d];
        rest /= nest.sizes[d];
      }
      transpose_block(from + from_offset, nest.strides[1][inner], to + to_offset, nest.strides[0][outer],
                      std::min(kRows, nest.sizes[outer] - row), nest.sizes[inner]);
    }
  });
  return true;
}

template <class Word>
void copy_same(const Tensor& src, const Tensor& dst) {
  if (!src.is_contiguous() && src.dim() > 1 && copy_transposed<Word>(src, dst)) return;
  const Tensor* outputs[] = {&dst};
  const Tensor* inputs[] = {&src};
  for_each_run(outputs, inputs, kLightGrain, [](int64_t n, void* const* p) {
    if (p[0] != p[1]) std::memcpy(p[0], p[1], static_cast<size_t>(n) * sizeof(Word));
  });
}

}  // namespace

void copy(const Tensor& src, const Tensor& dst) {
  if (dst.numel() == 0) return;
  if (src.dtype() == dst.dtype()) {
    switch (src.itemsize()) {
      case 1:
        return copy_same<uint8_t>(src, dst);
      case 4:
        return copy_same<uint32_t>(src, dst);
      default:
        return copy_same<uint64_t>(src, dst);
    }
  }
  dispatch_all(dst.dtype(), [&]<class To>(TypeTag<To>) {
    dispatch_all(src.dtype(), [&]<class From>(TypeTag<From>) {
      map<To, From>(kLightGrain, dst, [](From x) { return convert<To>(x); }, src);
    });
  });
}

void fill(const Tensor& dst, const Scalar& value) {
  dispatch_all(dst.dtype(), [&]<class T>(TypeTag<T>) {
    const T number = value.is_float() ? convert<T>(value.to<double>()) : convert<T>(value.to<int64_t>());
    elementwise<T>(kLightGrain, dst, [number](int64_t n, T* to) { std::fill_n(to, n, number); });
  });
}

Tensor contiguous(const Tensor& x) {
  if (x.is_contiguous()) return x;
  Tensor out = Tensor::empty(x.sizes(), x.dtype());
  copy(x, out);
  return out;
}

}  // namespace tapewire::kernels
