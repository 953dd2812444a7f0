#include "core/kernels/sort.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/reduce_impl.h"
#include "core/tensor/allocator.h"
#include "core/tensor/buffer.h"

namespace tapewire::kernels {
namespace {

template <class T>
struct Item {
  T key;
  int64_t index;
};

template <class T, bool kDescending>
bool precedes(const Item<T>& a, const Item<T>& b) {
  const bool a_nan = a.key != a.key;
  const bool b_nan = b.key != b.key;
  if (a_nan || b_nan) return kDescending ? a_nan && !b_nan : b_nan && !a_nan;
  return kDescending ? a.key > b.key : a.key < b.key;
}

enum class Rank { kStable, kAny, kFirst };

template <class T, class Before>
void rank_items(Item<T>* first, int64_t length, int64_t kept, Rank rank, const Before& before) {
  Item<T>* const last = first + length;
  if (rank == Rank::kStable) {
    std::stable_sort(first, last, before);
  } else if (rank == Rank::kAny) {
    std::sort(first, last, before);
  } else if (kept <= length / 64) {
    std::partial_sort(first, first + kept, last, before);
  } else {
    std::nth_element(first, first + kept - 1, last, before);
    std::sort(first, first + kept - 1, before);
  }
}

// Short lines are counted whole. Within long ones the token is checked each time that the left side of a comparison
// lies in one of so many places in memory: every algorithm here walks over them again and again, and a counter that all
// comparisons wait for would cost a third of the time.
constexpr uintptr_t kPlaces = 16'384;

template <class T, bool kDescending>
void rank_line(Item<T>* first, int64_t length, int64_t kept, Rank rank) {
  if (length <= kPieceElements) {
    count_work(8 * length);
    return rank_items(first, length, kept, rank,
                      [](const Item<T>& a, const Item<T>& b) { return precedes<T, kDescending>(a, b); });
  }
  rank_items(first, length, kept, rank, [](const Item<T>& a, const Item<T>& b) {
    if (reinterpret_cast<uintptr_t>(&a) / sizeof a % kPlaces == kPlaces / 2) check_cancelled();
    return precedes<T, kDescending>(a, b);
  });
}

template <class T, bool kDescending>
void order(const Tensor& x, int64_t dim, Rank rank, const Tensor& values, const Tensor& indices) {
  T* value_data = values.mutable_data<T>();
  int64_t* index_data = indices.mutable_data<int64_t>();
  const T* data = x.data<T>();
  if (values.numel() == 0) return;
  const auto along = static_cast<size_t>(dim);
  const bool scalar = x.dim() == 0;
  const int64_t length = scalar ? 1 : x.sizes()[along];
  const int64_t kept = scalar ? 1 : values.sizes()[along];
  Shape sizes(x.sizes());
  Shape strides[] = {x.strides(), values.strides(), indices.strides()};
  int64_t step[3] = {};
  if (!scalar) {
    sizes.erase(sizes.begin() + dim);
    for (size_t i = 0; i < 3; ++i) {
      step[i] = strides[i][along];
      strides[i].erase(strides[i].begin() + dim);
    }
  }
  const LoopNest nest = make_nest(sizes, strides, /*reorder=*/true);
  const int64_t lines = numel_of(nest.sizes);
  parallel_for(lines, std::max<int64_t>(1, kHeavyGrain / length), [&](int64_t begin, int64_t end) {
    // Counted like tensors: it is several times as large as its line.
    const auto bytes = sizeof(Item<T>) * static_cast<size_t>(length);
    const Ref<Buffer> scratch = Buffer::allocate(bytes);
    AdoptedCount merging;  // std::stable_sort's own
    if (rank == Rank::kStable) merging.add(bytes / 2);
    auto* const items = reinterpret_cast<Item<T>*>(scratch->data());
    for (int64_t line = begin; line < end; ++line) {
      const T* from = data + nest_offset(nest, 0, nest.dims(), line);
      in_pieces(length, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) items[i] = {from[i * step[0]], i};
      });
      rank_line<T, kDescending>(items, length, kept, rank);
      T* value = value_data + nest_offset(nest, 1, nest.dims(), line);
      int64_t* index = index_data + nest_offset(nest, 2, nest.dims(), line);
      in_pieces(kept, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {
          value[i * step[1]] = items[i].key;
          index[i * step[2]] = items[i].index;
        }
      });
    }
  });
}

void order_any(const Tensor& x, int64_t dim, bool descending, Rank rank, const Tensor& values, const Tensor& indices) {
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    descending ? order<T, true>(x, dim, rank, values, indices) : order<T, false>(x, dim, rank, values, indices);
  });
}

}  // namespace

void sort(const Tensor& x, int64_t dim, bool descending, bool stable, const Tensor& values, const Tensor& indices) {
  order_any(x, dim, descending, stable ? Rank::kStable : Rank::kAny, values, indices);
}

void topk(const Tensor& x, int64_t dim, bool largest, const Tensor& values, const Tensor& indices) {
  order_any(x, dim, largest, Rank::kFirst, values, indices);
}

}  // namespace tapewire::kernels
