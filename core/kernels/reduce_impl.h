#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/functional/function_ref.h"
#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/elementwise_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {

/// A reduction of x: which of its dimensions are kept and which are folded, each group merged where strides allow.
struct ReducePlan {
  LoopNest kept;     // strides[0] of x, strides[1] of out
  LoopNest reduced;  // strides[0] of x
  int64_t outputs = 0;
  int64_t length = 0;    // elements folded into one output
  bool columns = false;  // neighbouring outputs are neighbours in x, so rows are folded element by element
  int64_t segments = 1;  // the outermost reduced dimension is cut into so many, merged in order
};

/// `out` has the shape that reduce.h speaks of. Throws INTERNAL when its count of elements is another.
ReducePlan plan_reduction(const Tensor& x, Ints dims, const Tensor& out);

/// Converts to the dtype of `out` and puts at an element offset from its first.
class OutputWriter {
 public:
  explicit OutputWriter(const Tensor& out) : data_(out.mutable_raw_data()), dtype_(out.dtype()) {}

  template <class Number>
  void put(int64_t offset, Number value) const {
    switch (dtype_) {
      case DType::kFloat32:
        static_cast<float*>(data_)[offset] = static_cast<float>(value);
        return;
      case DType::kFloat64:
        static_cast<double*>(data_)[offset] = static_cast<double>(value);
        return;
      case DType::kInt64:
        static_cast<int64_t*>(data_)[offset] = static_cast<int64_t>(value);
        return;
      case DType::kInt32:
        static_cast<int32_t*>(data_)[offset] = static_cast<int32_t>(value);
        return;
      case DType::kUInt8:
        static_cast<uint8_t*>(data_)[offset] = static_cast<uint8_t>(value);
        return;
      case DType::kBool:
        static_cast<bool*>(data_)[offset] = value != Number{0};
        return;
    }
  }

 private:
  void* data_;
  DType dtype_;
};

/// Columns handled together: their accumulators stay in the first cache.
inline constexpr int64_t kColumns = 128;

/// Where the elements of a merged nest lie, one index of all dims but the last at a time.
int64_t nest_offset(const LoopNest& nest, size_t operand, size_t dims, int64_t index);

/// Folds x over plan.reduced with a reducer R:
///   using Value = element type of x; using Acc = accumulator;
///   Acc init() const;
///   void run(const Value* x, int64_t n, Acc& acc) const;             folds n elements into one accumulator; of more
///                                                                    than 65,536, so many at a time
///   void row(const Value* x, int64_t n, Acc* acc, int64_t seen) const;  folds x[i] into acc[i], the seen-th of each
///   void merge(Acc& acc, const Acc& next) const;
/// and hands each output's accumulator to finish(output element offset, acc).
template <class R, class Finish>
void fold(const ReducePlan& plan, const typename R::Value* x, const R& reducer, const Finish& finish) {
  using T = typename R::Value;
  using Acc = typename R::Acc;
  if (plan.outputs == 0) return;
  const LoopNest& kept = plan.kept;
  const LoopNest& reduced = plan.reduced;
  const size_t kept_inner = kept.dims() - 1;
  const size_t inner = reduced.dims() - 1;
  const int64_t width = plan.columns ? kept.sizes[kept_inner] : 1;
  const int64_t blocks = (width + kColumns - 1) / kColumns;
  const int64_t items = plan.outputs / width * blocks;
  // With one reduced dimension the runs themselves are cut, else the outermost dimension.
  const int64_t outer = reduced.sizes[0];
  const int64_t step = (outer + plan.segments - 1) / plan.segments;
  const int64_t per_outer = plan.length / std::max<int64_t>(outer, 1);

  const auto fold_runs = [&](const T* base, int64_t from, int64_t to, Acc& acc) {
    T scratch[kChunk];
    const int64_t stride = reduced.strides[0][inner];
    const auto run = [&](const T* at, int64_t n) {
      count_work(n);
      if (stride == 1) {
        return in_pieces(n, [&](int64_t begin, int64_t end) { reducer.run(at + begin, end - begin, acc); });
      }
      for (int64_t done = 0; done < n; done += kChunk) {
        const int64_t count = std::min(kChunk, n - done);
        count_work(count);
        gather_strided(at + done * stride, stride, sizeof(T), count, scratch);
        reducer.run(scratch, count, acc);
      }
    };
    if (inner == 0) return run(base + from * stride, to - from);
    const int64_t row = reduced.sizes[inner];
    const int64_t rows = per_outer / row;
    for (int64_t r = from * rows; r < to * rows; ++r) run(base + nest_offset(reduced, 0, inner, r), row);
  };
  const auto fold_rows = [&](const T* base, int64_t columns, int64_t from, int64_t to, Acc* acc) {
    T scratch[kColumns];
    const int64_t stride = kept.strides[0][kept_inner];
    int64_t seen = 0;
    const int64_t row_stride = reduced.strides[0][inner];
    const int64_t inner_size = inner == 0 ? to - from : reduced.sizes[inner];
    const int64_t rows = inner == 0 ? 1 : per_outer / inner_size;
    const int64_t first = inner == 0 ? 0 : from * rows;
    const int64_t last = inner == 0 ? 1 : to * rows;
    for (int64_t r = first; r < last; ++r) {
      const T* at = inner == 0 ? base + from * row_stride : base + nest_offset(reduced, 0, inner, r);
      for (int64_t i = 0; i < inner_size; ++i, at += row_stride) {
        count_work(columns);
        const T* row = at;
        if (stride != 1) {
          gather_strided(at, stride, sizeof(T), columns, scratch);
          row = scratch;
        }
        reducer.row(row, columns, acc, ++seen);
      }
    }
  };

  CountedVector<Acc> partial;
  const bool cut = plan.segments > 1;
  if (cut) partial.assign(static_cast<size_t>(plan.outputs * plan.segments), reducer.init());
  const int64_t work = std::max<int64_t>(1, std::min(width, kColumns) * plan.length / plan.segments);
  parallel_for(items * plan.segments, std::max<int64_t>(1, kLightGrain / work), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t segment = task % plan.segments;
      const int64_t item = task / plan.segments;
      const int64_t from = std::min(outer, segment * step);
      const int64_t to = std::min(outer, from + step);
      const int64_t column = item % blocks * kColumns;
      const int64_t columns = std::min(kColumns, width - column);
      const int64_t output = item / blocks * width + column;
      Acc acc[kColumns];
      std::fill_n(acc, columns, reducer.init());
      const T* base = x + nest_offset(kept, 0, kept.dims(), output);
      if (plan.length > 0) {
        if (plan.columns) {
          fold_rows(base, columns, from, to, acc);
        } else {
          fold_runs(base, from, to, acc[0]);
        }
      }
      const int64_t place = nest_offset(kept, 1, kept.dims(), output);  // a block lies within the last kept dimension
      const int64_t place_step = kept.strides[1][kept_inner];
      for (int64_t c = 0; c < columns; ++c) {
        if (cut) {
          partial[static_cast<size_t>((output + c) * plan.segments + segment)] = acc[c];
        } else {
          finish(place + c * place_step, acc[c]);
        }
      }
    }
  });
  if (!cut) return;
  for (int64_t output = 0; output < plan.outputs; ++output) {
    Acc& acc = partial[static_cast<size_t>(output * plan.segments)];
    for (int64_t s = 1; s < plan.segments; ++s) reducer.merge(acc, (&acc)[s]);
    finish(nest_offset(kept, 1, kept.dims(), output), acc);
  }
}

}  // namespace tapewire::kernels
