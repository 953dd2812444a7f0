#include "core/kernels/index.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

[[noreturn]] void fail_index(int64_t index, int64_t dim, int64_t size) {
  fail("index ", index, " is out of bounds for dimension ", dim, " with size ", size);
}

// Calls f(offset of each operand) for elements [begin, end) of a walk in its order.
template <size_t kOperands, class F>
void walk(const LoopNest& nest, int64_t begin, int64_t end, const F& f) {
  const size_t inner = nest.dims() - 1;
  const int64_t row = nest.sizes[inner];
  while (begin < end) {
    std::array<int64_t, kOperands> offset{};
    int64_t rest = begin;
    for (size_t d = nest.dims(); d-- > 0;) {
      const int64_t at = rest % nest.sizes[d];
      rest /= nest.sizes[d];
      for (size_t o = 0; o < kOperands; ++o) offset[o] += at * nest.strides[o][d];
    }
    const int64_t stop = std::min({end, begin + row - begin % row, begin + kPieceElements});
    count_work(stop - begin);
    for (; begin < stop; ++begin) {
      f(offset);
      for (size_t o = 0; o < kOperands; ++o) offset[o] += nest.strides[o][inner];
    }
  }
}

// The walk over an index tensor and what is addressed through it: operands are the index, the tensor that has index's
// shape (or its leading part), and the indexed one, whose dimension `dim` the index replaces.
LoopNest indexed_walk(const char* op, const Tensor& index, const Tensor& direct, const Tensor& indexed, int64_t dim) {
  const size_t rank = index.sizes().size();
  const bool ranks_agree = direct.sizes().size() == rank && indexed.sizes().size() == rank;
  Shape steps(ranks_agree ? indexed.strides() : Shape(rank, 0));
  for (size_t d = 0; d < rank; ++d) {
    const bool along = static_cast<int64_t>(d) == dim;
    if (!ranks_agree || direct.sizes()[d] < index.sizes()[d] || (!along && indexed.sizes()[d] < index.sizes()[d])) {
      fail_internal(op, ": index ", to_string(index.sizes()), " with ", to_string(indexed.sizes()), " and ",
                    to_string(direct.sizes()), " along ", dim);
    }
    if (along) steps[d] = 0;
  }
  const Shape strides[] = {index.strides(), direct.strides(), steps};
  return make_nest(index.sizes(), strides, /*reorder=*/false);
}

struct Along {
  int64_t size;
  int64_t stride;
};

Along along(const Tensor& x, int64_t dim) {
  if (x.dim() == 0) return {1, 1};
  return {x.sizes()[static_cast<size_t>(dim)], x.strides()[static_cast<size_t>(dim)]};
}

template <class T, class Put>
void scatter_with(const char* op, const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src,
                  const Put& put) {
  if (index.numel() == 0) return;
  T* to = dst.mutable_data<T>();
  const T* from = src.data<T>();
  const int64_t* at = index.data<int64_t>();
  const Along target = along(dst, dim);
  const LoopNest nest = indexed_walk(op, index, src, dst, dim);
  // One after the other: indices may repeat.
  walk<3>(nest, 0, index.numel(), [&](const std::array<int64_t, 3>& offset) {
    const int64_t i = at[offset[0]];
    if (i < 0 || i >= target.size) fail_index(i, dim, target.size);
    put(to[offset[2] + i * target.stride], from[offset[1]]);
  });
}

template <class T>
T accumulate(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x || y;
  } else {
    return add(x, y);
  }
}

template <class T>
T product(T x, T y) {
  if constexpr (std::is_same_v<T, bool>) {
    return x && y;
  } else {
    return multiply(x, y);
  }
}

// The elements of an index tensor in order.
class IndexList {
 public:
  explicit IndexList(const Tensor& index)
      : plain_(contiguous(index)), list_(plain_.data<int64_t>(), static_cast<size_t>(plain_.numel())) {}
  /// Throws for one outside [0, size).
  IndexList(const Tensor& index, int64_t dim, int64_t size) : IndexList(index) {
    in_pieces(this->size(), [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) {
        const int64_t i = (*this)[at];
        if (i < 0 || i >= size) fail_index(i, dim, size);
      }
    });
  }

  int64_t size() const { return static_cast<int64_t>(list_.size()); }
  int64_t operator[](int64_t i) const { return list_[static_cast<size_t>(i)]; }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }

 private:
  Tensor plain_;
  std::span<const int64_t> list_;
};

// put(place, value) for each element of src, whose slice i along `dim` belongs to dst's slice index[i]. One after the
// other: indices may repeat.
template <class T, class Put>
void put_slices(const char* op, const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src,
                const Put& put) {
  const IndexList list(index, dim, along(dst, dim).size);
  const int64_t count = list.size();
  const size_t rank = dst.sizes().size();
  bool fits = src.sizes().size() == rank && along(src, dim).size == count;
  for (size_t d = 0; fits && d < rank; ++d) {
    fits = static_cast<int64_t>(d) == dim || src.sizes()[d] == dst.sizes()[d];
  }
  if (!fits) {
    fail_internal(op, ": ", to_string(src.sizes()), " to ", to_string(dst.sizes()), " at ", count, " places");
  }
  if (src.numel() == 0) return;
  T* to = dst.mutable_data<T>();
  const T* from = src.data<T>();
  const int64_t step = along(dst, dim).stride;
  Shape dst_steps(dst.strides());
  Shape list_steps(rank, 0);
  if (rank > 0) {
    dst_steps[static_cast<size_t>(dim)] = 0;
    list_steps[static_cast<size_t>(dim)] = 1;
  }
  const Shape strides[] = {src.strides(), dst_steps, list_steps};
  const LoopNest nest = make_nest(src.sizes(), strides, /*reorder=*/false);
  walk<3>(nest, 0, src.numel(),
          [&](const std::array<int64_t, 3>& offset) { put(to[offset[1] + list[offset[2]] * step], from[offset[0]]); });
}

}  // namespace

void gather(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& out) {
  if (index.sizes() != out.sizes()) fail_internal("gather: the output differs in shape from the index");
  if (index.numel() == 0) return;
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    const T* from = x.data<T>();
    const int64_t* at = index.data<int64_t>();
    const Along source = along(x, dim);
    const LoopNest nest = indexed_walk("gather", index, out, x, dim);
    parallel_for(index.numel(), kLightGrain, [&](int64_t begin, int64_t end) {
      walk<3>(nest, begin, end, [&](const std::array<int64_t, 3>& offset) {
        const int64_t i = at[offset[0]];
        if (i < 0 || i >= source.size) fail_index(i, dim, source.size);
        to[offset[1]] = from[offset[2] + i * source.stride];
      });
    });
  });
}

void scatter(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src) {
  dispatch_all(dst.dtype(), [&]<class T>(TypeTag<T>) {
    scatter_with<T>("scatter", dst, dim, index, src, [](T& to, T value) { to = value; });
  });
}

void scatter_add(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src) {
  dispatch_all(dst.dtype(), [&]<class T>(TypeTag<T>) {
    scatter_with<T>("scatter_add", dst, dim, index, src, [](T& to, T value) { to = accumulate(to, value); });
  });
}

void scatter_multiply(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src) {
  dispatch_all(dst.dtype(), [&]<class T>(TypeTag<T>) {
    scatter_with<T>("scatter_multiply", dst, dim, index, src, [](T& to, T value) { to = product(to, value); });
  });
}

void index_select(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& out) {
  const int64_t size = along(x, dim).size;
  const IndexList list(index, dim, size);
  const int64_t count = list.size();
  Shape expected(x.sizes());
  if (x.dim() > 0) expected[static_cast<size_t>(dim)] = count;
  if (out.sizes() != expected || out.dtype() != x.dtype()) {
    fail_internal("index_select: ", to_string(x.spec()), " into ", to_string(out.spec()));
  }
  if (out.numel() == 0) return;
  const Tensor result = out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype());
  std::byte* to = static_cast<std::byte*>(result.mutable_raw_data());
  const Tensor plain = contiguous(x);
  const std::byte* from = static_cast<const std::byte*>(plain.raw_data());
  int64_t inner = static_cast<int64_t>(x.itemsize());
  for (size_t d = static_cast<size_t>(dim) + 1; d < x.sizes().size(); ++d) inner *= x.sizes()[d];
  const int64_t rows = static_cast<int64_t>(out.nbytes()) / inner;
  parallel_for(rows, std::max<int64_t>(1, 4 * kLightGrain / inner), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t source = r / count * size + list[r % count];
      constexpr int64_t kMost = 1 << 20;  // bytes between two looks at the token
      for (int64_t done = 0; done < inner; done += kMost) {
        if (inner > kMost) check_cancelled();
        std::memcpy(to + r * inner + done, from + source * inner + done,
                    static_cast<size_t>(std::min(kMost, inner - done)));
      }
    }
  });
  if (!result.is_same(out)) copy(result, out);
}

void index_add(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src, const Scalar& alpha) {
  dispatch_all(dst.dtype(), [&]<class T>(TypeTag<T>) {
    const T scale = alpha.to<T>();
    put_slices<T>("index_add", dst, dim, index, src,
                  [scale](T& place, T value) { place = accumulate(place, product(scale, value)); });
  });
}

void index_copy(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src) {
  dispatch_all(dst.dtype(), [&]<class T>(TypeTag<T>) {
    put_slices<T>("index_copy", dst, dim, index, src, [](T& place, T value) { place = value; });
  });
}

void index_fill(const Tensor& dst, int64_t dim, const Tensor& index, const Scalar& value) {
  const int64_t size = along(dst, dim).size;
  const IndexList list(index);
  for (const int64_t i : list) {
    count_work(1);
    if (i < -size || i >= size) fail_index(i, dim, size);
  }
  if (dst.numel() == 0) return;
  // Once each: the same slice over and over could take a time that neither tensor's size tells.
  CountedVector<bool> filled(static_cast<size_t>(size));
  for (const int64_t i : list) {
    count_work(1 + dst.numel() / size);
    const int64_t at = i < 0 ? i + size : i;
    if (filled[static_cast<size_t>(at)]) continue;
    filled[static_cast<size_t>(at)] = true;
    if (dst.dim() == 0) {
      fill(dst, value);
      continue;
    }
    Geometry slice = dst.geometry();
    slice.offset += at * slice.strides[static_cast<size_t>(dim)];
    slice.sizes[static_cast<size_t>(dim)] = 1;
    fill(dst.alias(std::move(slice)), value);
  }
}

void masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value, const Tensor& out) {
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    const T number = value.to<T>();
    map<T, T, bool>(kLightGrain, out, [number](T v, bool m) { return m ? number : v; }, x, mask);
  });
}

void embedding(const Tensor& table, const Tensor& index, const Tensor& out) {
  if (table.dim() != 2 || out.dim() != index.dim() + 1) {
    fail_internal("embedding: ", to_string(table.sizes()), " at ", to_string(index.sizes()));
  }
  const Tensor rows = contiguous(index);
  const Tensor flat_index = rows.alias({Shape{rows.numel()}, Shape{1}, rows.offset()});
  const int64_t width = table.sizes()[1];
  const Tensor result = out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype());
  const Tensor flat = result.alias({Shape{rows.numel(), width}, Shape{width, 1}, result.offset()});
  index_select(table, 0, flat_index, flat);
  if (!result.is_same(out)) copy(result, out);
}

void embedding_backward(const Tensor& grad, const Tensor& index, int64_t padding_idx, const Tensor& grad_table) {
  const int64_t rows = grad_table.dim() == 2 ? grad_table.sizes()[0] : -1;
  const int64_t width = grad_table.dim() == 2 ? grad_table.sizes()[1] : -1;
  if (rows < 0 || grad.numel() != index.numel() * width) {
    fail_internal("embedding_backward: ", to_string(grad.sizes()), " to ", to_string(grad_table.sizes()));
  }
  const IndexList list(index, 0, rows);
  const Tensor result = grad_table.is_contiguous() ? grad_table : Tensor::empty(grad_table.sizes(), grad_table.dtype());
  fill(result, 0);
  dispatch_floating("embedding_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(grad);
    const T* from = plain.data<T>();
    // Cut by columns: within one the gradients are added in the order of the indices.
    const int64_t grain = std::max<int64_t>(16, kLightGrain / std::max<int64_t>(1, index.numel()));
    parallel_for(width, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < list.size(); ++i) {
        if (list[i] == padding_idx) continue;
        T* row = to + list[i] * width;
        const T* g = from + i * width;
        count_work(end - begin);
        TW_INDEPENDENT
        for (int64_t c = begin; c < end; ++c) row[c] += g[c];
      }
    });
  });
  if (!result.is_same(grad_table)) copy(result, grad_table);
}

}  // namespace tapewire::kernels
