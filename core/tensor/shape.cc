#include "core/tensor/shape.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_join.h"

namespace tapewire {

int64_t numel_of(Ints sizes) {
  if (static_cast<int64_t>(sizes.size()) > kMaxDims) {
    fail("a tensor has at most ", kMaxDims, " dimensions, got ", sizes.size());
  }
  // An empty dimension makes the count zero, but the others must still be sane: strides are built from them.
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 8;
  int64_t count = 1;
  bool empty = false;
  for (const int64_t size : sizes) {
    if (size < 0) fail("negative dimension ", size, " in shape ", to_string(sizes));
    if (size == 0) {
      empty = true;
    } else if (count > kMost / size) {
      fail("shape ", to_string(sizes), " overflows the count of elements");
    } else {
      count *= size;
    }
  }
  return empty ? 0 : count;
}

Shape contiguous_strides(Ints sizes) {
  Shape strides(sizes.size());
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = step;
    step *= std::max<int64_t>(sizes[i], 1);
  }
  return strides;
}

bool is_contiguous(Ints sizes, Ints strides) {
  int64_t step = 1;
  bool contiguous = true;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == 0) return true;
    if (sizes[i] != 1) {
      contiguous = contiguous && strides[i] == step;
      step *= sizes[i];
    }
  }
  return contiguous;
}

Shape broadcast_shapes(std::string_view op, Ints a, Ints b) {
  const size_t dims = std::max(a.size(), b.size());
  Shape out(dims);
  for (size_t back = 1; back <= dims; ++back) {
    const int64_t x = back <= a.size() ? a[a.size() - back] : 1;
    const int64_t y = back <= b.size() ? b[b.size() - back] : 1;
    if (x != y && x != 1 && y != 1) {
      fail(op, ": The size of tensor a (", x, ") must match the size of tensor b (", y, ") at non-singleton dimension ",
           dims - back, " (shapes ", to_string(a), " and ", to_string(b), ")");
    }
    out[dims - back] = x == 1 ? y : x;
  }
  return out;
}

int64_t wrap_dim(std::string_view op, int64_t dim, int64_t dims) {
  const int64_t range = std::max<int64_t>(dims, 1);
  if (dim < -range || dim >= range) {
    fail(op, ": Dimension out of range (expected to be in range of [", -range, ", ", range - 1, "], but got ", dim,
         ")");
  }
  return dim < 0 ? dim + range : dim;
}

Shape wrap_dims(std::string_view op, Ints dim_list, int64_t dims) {
  Shape out;
  if (dim_list.empty()) {
    for (int64_t i = 0; i < dims; ++i) out.push_back(i);
    return out;
  }
  for (const int64_t dim : dim_list) {
    const int64_t wrapped = wrap_dim(op, dim, dims);
    if (std::ranges::find(out, wrapped) != out.end()) {
      fail(op, ": dim ", wrapped, " appears multiple times in the list of dims");
    }
    out.push_back(wrapped);
  }
  if (dims == 0) out.clear();
  return out;
}

std::string to_string(Ints sizes) { return str_cat("[", absl::StrJoin(sizes, ", "), "]"); }

std::string to_string(const TensorSpec& spec) { return str_cat(name_of(spec.dtype), to_string(spec.shape)); }

}  // namespace tapewire
