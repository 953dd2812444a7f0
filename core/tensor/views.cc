#include "core/tensor/views.h"

#include <algorithm>

namespace tapewire::views {
namespace {
int64_t dims_of(const Geometry& g) { return static_cast<int64_t>(g.sizes.size()); }
}  // namespace

Shape infer_size(std::string_view op, Ints sizes, int64_t numel) {
  Shape out(sizes.begin(), sizes.end());
  std::optional<size_t> unknown;
  int64_t extent = 1;  // of the known sizes but zeros: strides are built from them
  bool empty = false;
  bool overflow = false;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == -1) {
      if (unknown) fail(op, ": only one dimension can be inferred");
      unknown = i;
    } else if (out[i] < 0) {
      fail(op, ": invalid shape dimension ", out[i]);
    } else {
      overflow = overflow || __builtin_mul_overflow(extent, std::max<int64_t>(out[i], 1), &extent);
      empty = empty || out[i] == 0;
    }
  }
  const int64_t known = empty ? 0 : extent;
  if (!overflow && unknown && known > 0 && numel % known == 0) {
    out[*unknown] = numel / known;
    return out;
  }
  if (unknown && known == 0 && numel == 0) {
    fail(op, ": cannot reshape tensor of 0 elements into shape ", to_string(sizes),
         " because the unspecified dimension size -1 can be any value and is ambiguous");
  }
  if (overflow || unknown || known != numel) {
    fail(op, ": shape '", to_string(sizes), "' is invalid for input of size ", numel);
  }
  return out;
}

std::optional<Shape> view_strides(const Geometry& from, Ints sizes) {
  if (numel_of(from.sizes) == 0) {
    return std::ranges::equal(from.sizes, sizes) ? from.strides : contiguous_strides(sizes);
  }
  Shape strides(sizes.size());
  int64_t at = static_cast<int64_t>(sizes.size()) - 1;
  int64_t chunk_base = from.strides.empty() ? 1 : from.strides.back();
  int64_t tensor_numel = 1;
  int64_t view_numel = 1;
  for (int64_t d = dims_of(from) - 1; d >= 0; --d) {
    const auto i = static_cast<size_t>(d);
    tensor_numel *= from.sizes[i];
    // The end of a chunk of dimensions that lie back to back.
    if (d == 0 || (from.sizes[i - 1] != 1 && from.strides[i - 1] != tensor_numel * chunk_base)) {
      while (at >= 0 && (view_numel < tensor_numel || sizes[static_cast<size_t>(at)] == 1)) {
        strides[static_cast<size_t>(at)] = view_numel * chunk_base;
        view_numel *= sizes[static_cast<size_t>(at)];
        --at;
      }
      if (view_numel != tensor_numel) return std::nullopt;
      if (d > 0) {
        chunk_base = from.strides[i - 1];
        tensor_numel = 1;
        view_numel = 1;
      }
    }
  }
  if (from.sizes.empty()) {
    std::ranges::fill(strides, 1);
    at = -1;
  }
  if (at != -1) return std::nullopt;
  return strides;
}

Geometry view(const Geometry& from, Ints sizes) {
  Shape full = infer_size("view", sizes, numel_of(from.sizes));
  std::optional<Shape> strides = view_strides(from, full);
  if (!strides) {
    fail(
        "view: view size is not compatible with input tensor's size and stride (at least one dimension spans across "
        "two contiguous subspaces). Use .reshape(...) instead. Input ",
        to_string(from.sizes), " with strides ", to_string(from.strides), ", asked for ", to_string(sizes));
  }
  return {std::move(full), std::move(*strides), from.offset};
}

Geometry permute(const Geometry& from, Ints dims) {
  if (static_cast<int64_t>(dims.size()) != dims_of(from)) {
    fail(
        "permute: number of dimensions in the tensor input does not match the length of the desired ordering of "
        "dimensions i.e. input.dim() = ",
        dims_of(from), " is not equal to len(dims) = ", dims.size());
  }
  Geometry out{{}, {}, from.offset};
  Shape seen;
  for (const int64_t raw : dims) {
    const int64_t d = wrap_dim("permute", raw, dims_of(from));
    if (std::ranges::find(seen, d) != seen.end())
      fail("permute: duplicate dims are not allowed, got ", to_string(dims));
    seen.push_back(d);
    out.sizes.push_back(from.sizes[static_cast<size_t>(d)]);
    out.strides.push_back(from.strides[static_cast<size_t>(d)]);
  }
  return out;
}

Geometry transpose(const Geometry& from, int64_t dim0, int64_t dim1) {
  const auto a = static_cast<size_t>(wrap_dim("transpose", dim0, dims_of(from)));
  const auto b = static_cast<size_t>(wrap_dim("transpose", dim1, dims_of(from)));
  Geometry out = from;
  if (!out.sizes.empty()) {
    std::swap(out.sizes[a], out.sizes[b]);
    std::swap(out.strides[a], out.strides[b]);
  }
  return out;
}

Geometry expand(std::string_view op, const Geometry& from, Ints sizes) {
  if (sizes.size() < from.sizes.size()) {
    fail(op, ": the number of sizes provided (", sizes.size(),
         ") must be greater or equal to the number of dimensions in the tensor (", from.sizes.size(), ")");
  }
  Geometry out{Shape(sizes.size()), Shape(sizes.size()), from.offset};
  const size_t added = sizes.size() - from.sizes.size();
  for (size_t i = sizes.size(); i-- > 0;) {
    const int64_t size = i >= added ? from.sizes[i - added] : 1;
    int64_t target = sizes[i];
    if (target == -1) {
      if (i < added) {
        fail(op, ": The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension ", i);
      }
      target = size;
    }
    if (target < 0) fail(op, ": negative size ", target, " in ", to_string(sizes));
    if (target != size && size != 1) {
      fail(op, ": The expanded size of the tensor (", target, ") must match the existing size (", size,
           ") at non-singleton dimension ", i, ".  Target sizes: ", to_string(sizes),
           ".  Tensor sizes: ", to_string(from.sizes));
    }
    out.sizes[i] = target;
    if (i >= added) {
      out.strides[i] = target == size ? from.strides[i - added] : 0;
    } else {
      // A new dimension: it repeats, unless one long, where PyTorch gives it the stride it would have.
      out.strides[i] =
          target == 1 ? out.sizes[i + 1 < sizes.size() ? i + 1 : i] * (i + 1 < sizes.size() ? out.strides[i + 1] : 1)
                      : 0;
    }
  }
  return out;
}

Geometry unsqueeze(const Geometry& from, int64_t dim) {
  const int64_t d = wrap_dim("unsqueeze", dim, dims_of(from) + 1);
  const auto i = static_cast<size_t>(d);
  Geometry out = from;
  const int64_t stride = i < from.sizes.size() ? from.sizes[i] * from.strides[i] : 1;
  out.sizes.insert(out.sizes.begin() + d, 1);
  out.strides.insert(out.strides.begin() + d, stride);
  return out;
}

Geometry squeeze(const Geometry& from, std::optional<int64_t> dim) {
  if (dim) return squeeze(from, Ints(&*dim, 1));
  Geometry out{{}, {}, from.offset};
  for (size_t i = 0; i < from.sizes.size(); ++i) {
    if (from.sizes[i] == 1) continue;
    out.sizes.push_back(from.sizes[i]);
    out.strides.push_back(from.strides[i]);
  }
  return out;
}

Geometry squeeze(const Geometry& from, Ints dims) {
  // No dimensions mean none here, not all.
  const Shape dropped = dims.empty() ? Shape() : wrap_dims("squeeze", dims, dims_of(from));
  Geometry out{{}, {}, from.offset};
  for (size_t i = 0; i < from.sizes.size(); ++i) {
    if (from.sizes[i] == 1 && std::ranges::find(dropped, static_cast<int64_t>(i)) != dropped.end()) continue;
    out.sizes.push_back(from.sizes[i]);
    out.strides.push_back(from.strides[i]);
  }
  return out;
}

Geometry select(const Geometry& from, int64_t dim, int64_t index) {
  if (from.sizes.empty()) fail("select: cannot be applied to a 0-dim tensor");
  const int64_t d = wrap_dim("select", dim, dims_of(from));
  const auto i = static_cast<size_t>(d);
  const int64_t size = from.sizes[i];
  if (index < -size || index >= size) {
    fail("select: index ", index, " out of range for tensor of size ", to_string(from.sizes), " at dimension ", d);
  }
  Geometry out = from;
  out.offset += (index < 0 ? index + size : index) * from.strides[i];
  out.sizes.erase(out.sizes.begin() + d);
  out.strides.erase(out.strides.begin() + d);
  return out;
}

Geometry slice(const Geometry& from, int64_t dim, int64_t start, int64_t end, int64_t step) {
  if (from.sizes.empty()) fail("slice: cannot be applied to a 0-dim tensor");
  const auto i = static_cast<size_t>(wrap_dim("slice", dim, dims_of(from)));
  if (step <= 0) fail("slice: step must be greater than zero, got ", step);
  const int64_t size = from.sizes[i];
  const auto clamp = [size](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size); };
  const int64_t first = clamp(start);
  const int64_t last = std::max(clamp(end), first);
  Geometry out = from;
  out.offset += first * from.strides[i];
  out.sizes[i] = (last - first) / step + ((last - first) % step != 0 ? 1 : 0);
  out.strides[i] = size <= 1 ? from.strides[i] : from.strides[i] * std::min(step, size);
  return out;
}

Geometry narrow(std::string_view op, const Geometry& from, int64_t dim, int64_t start, int64_t length) {
  if (from.sizes.empty()) fail(op, ": narrow() cannot be applied to a 0-dim tensor.");
  const auto i = static_cast<size_t>(wrap_dim(op, dim, dims_of(from)));
  const int64_t size = from.sizes[i];
  if (length < 0) fail(op, ": narrow(): length must be non-negative.");
  if (start < -size || start > size) {
    fail(op, ": start out of range (expected to be in range of [", -size, ", ", size, "], but got ", start, ")");
  }
  const int64_t first = start < 0 ? start + size : start;
  if (length > size - first) {
    fail(op, ": start (", first, ") + length (", length, ") exceeds dimension size (", size, ").");
  }
  Geometry out = from;
  out.offset += first * from.strides[i];
  out.sizes[i] = length;
  return out;
}

Geometry diagonal(const Geometry& from, int64_t offset, int64_t dim1, int64_t dim2) {
  const auto a = static_cast<size_t>(wrap_dim("diagonal", dim1, dims_of(from)));
  const auto b = static_cast<size_t>(wrap_dim("diagonal", dim2, dims_of(from)));
  if (a == b) fail("diagonal: diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  const int64_t rows = from.sizes[a] + std::min<int64_t>(offset, 0);
  const int64_t columns = from.sizes[b] - std::max<int64_t>(offset, 0);
  const int64_t length = std::max<int64_t>(0, std::min(rows, columns));
  Geometry out = from;
  // An empty diagonal has no first element whose place could be said.
  if (length > 0) out.offset += offset >= 0 ? offset * from.strides[b] : -offset * from.strides[a];
  for (const size_t d : {std::max(a, b), std::min(a, b)}) {
    out.sizes.erase(out.sizes.begin() + static_cast<std::ptrdiff_t>(d));
    out.strides.erase(out.strides.begin() + static_cast<std::ptrdiff_t>(d));
  }
  out.sizes.push_back(length);
  out.strides.push_back(from.strides[a] + from.strides[b]);
  return out;
}

Geometry unfold(const Geometry& from, int64_t dim, int64_t size, int64_t step) {
  const auto i = static_cast<size_t>(wrap_dim("unfold", dim, dims_of(from)));
  const bool scalar = from.sizes.empty();
  const int64_t room = scalar ? 1 : from.sizes[i];
  if (size < 0) fail("unfold: size is ", size, " but must be >= 0");
  if (size > room) {
    fail("unfold: maximum size for tensor at dimension ", dim, " is ", room, " but size is ", size);
  }
  if (step <= 0) fail("unfold: step is ", step, " but must be > 0");
  Geometry out = from;
  out.sizes.push_back(size);
  out.strides.push_back(scalar ? 1 : from.strides[i]);
  if (scalar) return out;
  out.sizes[i] = (room - size) / step + 1;
  // A lone window has no next one; its step may be anything, even beyond what a stride can say.
  out.strides[i] = out.sizes[i] > 1 ? from.strides[i] * step : from.strides[i];
  return out;
}

}  // namespace tapewire::views
