#include "core/ops/rearrange.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/kernels/copy.h"
#include "core/ops/call_support.h"
#include "core/ops/index_ops.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

struct Flip {
  using Attrs = FlipAttrs;
  static constexpr auto name = "flip";
  static constexpr auto doc = "dimensions in reverse order";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    wrapped(a, in[0].dim());
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (out[0].numel() == 0) return;
    Geometry backwards = in[0].geometry();
    for (const int64_t dim : wrapped(a, in[0].dim())) {
      const auto d = static_cast<size_t>(dim);
      if (d >= backwards.sizes.size()) continue;  // the only element of a scalar
      backwards.offset += (backwards.sizes[d] - 1) * backwards.strides[d];
      backwards.strides[d] = -backwards.strides[d];
    }
    kernels::copy(in[0].alias(std::move(backwards)), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {flip(v.grad(), a.dims)}; }

 private:
  // No dims mean none, not all.
  static Shape wrapped(const Attrs& a, int64_t dims) {
    return a.dims.empty() ? Shape() : wrap_dims(name, a.dims, dims);
  }
};

struct Fliplr {
  using Attrs = NoAttrs;
  static constexpr auto name = "fliplr";
  static constexpr auto doc = "the second dimension in reverse order";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs&, Inputs in) {
    if (in[0].dim() < 2) fail("fliplr: Input must be >= 2-d.");
    return flip(in[0], Shape{1});
  }
};

struct Flipud {
  using Attrs = NoAttrs;
  static constexpr auto name = "flipud";
  static constexpr auto doc = "the first dimension in reverse order";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs&, Inputs in) {
    if (in[0].dim() < 1) fail("flipud: Input must be >= 1-d.");
    return flip(in[0], Shape{0});
  }
};

struct Rot90 {
  using Attrs = Rot90Attrs;
  static constexpr auto name = "rot90";
  static constexpr auto doc = "a plane turned by k quarters";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (a.dims.size() != 2) fail("rot90: expected total rotation dims == 2, but got dims = ", a.dims.size());
    if (x.dim() < 2) fail("rot90: expected total dims >= 2, but got total dims = ", x.dim());
    const int64_t from = place(a.dims[0], 0, x.dim());
    const int64_t to = place(a.dims[1], 1, x.dim());
    if (from == to) {
      fail("rot90: expected rotation dims to be different, but got dim0 = ", a.dims[0], " and dim1 = ", a.dims[1]);
    }
    switch ((a.k % 4 + 4) % 4) {
      case 1:
        return transpose(flip(x, Shape{to}), from, to);
      case 2:
        return flip(x, Shape{from, to});
      case 3:
        return transpose(flip(x, Shape{from}), from, to);
      default:
        return clone(x);
    }
  }

 private:
  static int64_t place(int64_t dim, int which, int64_t dims) {
    if (dim < -dims || dim >= dims) fail("rot90: Rotation dim", which, " out of range, dim", which, " = ", dim);
    return dim < 0 ? dim + dims : dim;
  }
};

struct Roll {
  using Attrs = RollAttrs;
  static constexpr auto name = "roll";
  static constexpr auto doc = "elements moved on along dimensions, from the end back to the start";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (a.shifts.empty()) fail("roll: `shifts` required");
    if (!a.dims.empty() || a.shifts.size() != 1) {
      if (a.shifts.size() != a.dims.size()) {
        fail("roll: shifts and dimensions must align. shifts: ", a.shifts.size(), ", dims:", a.dims.size());
      }
      if (in[0].sizes.empty()) fail("roll: Dimension specified as ", a.dims[0], " but tensor has no dimensions");
      for (const int64_t dim : a.dims) wrap_dim(name, dim, in[0].dim());
    }
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (out[0].numel() == 0) return;
    if (a.dims.empty()) {
      const Tensor plain = kernels::contiguous(in[0]);
      const int64_t n = plain.numel();
      roll_along(plain.alias({{n}, {1}, plain.offset()}), 0, a.shifts[0], out[0].alias({{n}, {1}, out[0].offset()}));
      return;
    }
    Tensor x = in[0];
    // Of a dimension that is named several times, however often, the shifts add up.
    Shape dims;
    Shape shifts(x.sizes().size(), 0);
    for (size_t i = 0; i < a.dims.size(); ++i) {
      const int64_t dim = wrap_dim(name, a.dims[i], x.dim());
      int64_t& shift = shifts[static_cast<size_t>(dim)];
      shift = (shift + a.shifts[i] % x.size(dim)) % x.size(dim);
      if (std::ranges::find(dims, dim) == dims.end()) dims.push_back(dim);
    }
    for (const int64_t dim : dims) {
      const Tensor to = dim == dims.back() ? out[0] : Tensor::empty(x.sizes(), x.dtype());
      roll_along(x, dim, shifts[static_cast<size_t>(dim)], to);
      x = to;
    }
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Shape& sizes = v.sizes(0);
    Shape back;
    for (size_t i = 0; i < a.shifts.size(); ++i) {
      const auto d = a.dims.empty() ? 0 : wrap_dim(name, a.dims[i], static_cast<int64_t>(sizes.size()));
      const int64_t size = a.dims.empty() ? numel_of(sizes) : sizes[static_cast<size_t>(d)];
      // The remainder first: the most negative shift has no opposite.
      back.push_back(size == 0 ? 0 : -(a.shifts[i] % size));
    }
    return {roll(v.grad(), back, a.dims)};
  }

 private:
  static void roll_along(const Tensor& x, int64_t dim, int64_t shift, const Tensor& out) {
    const int64_t size = x.size(dim);
    const int64_t on = (shift % size + size) % size;
    const auto move = [&](int64_t from, int64_t to, int64_t length) {
      kernels::copy(x.alias(views::narrow(name, x.geometry(), dim, from, length)),
                    out.alias(views::narrow(name, out.geometry(), dim, to, length)));
    };
    move(0, on, size - on);
    move(size - on, 0, on);
  }
};

struct Repeat {
  using Attrs = RepeatAttrs;
  static constexpr auto name = "repeat";
  static constexpr auto doc = "input side by side, several times in each dimension";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    if (static_cast<int64_t>(a.repeats.size()) < in[0].dim()) {
      fail("repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor");
    }
    const size_t added = a.repeats.size() - in[0].sizes().size();
    // Each repeated dimension gets one in front of it, which is expanded and then merged with it.
    Shape apart;
    Shape spread;
    Shape merged;
    for (size_t i = 0; i < a.repeats.size(); ++i) {
      const int64_t times = a.repeats[i];
      const int64_t size = i < added ? 1 : in[0].sizes()[i - added];
      int64_t together = 0;
      if (times < 0)
        fail("repeat: Trying to create tensor with negative dimension ", times, ": ", to_string(a.repeats));
      if (__builtin_mul_overflow(times, size, &together)) fail("repeat: ", to_string(a.repeats), " times overflows");
      merged.push_back(together);
      if (times != 1 && size != 1) {
        apart.push_back(1);
        spread.push_back(times);
      }
      apart.push_back(size);
      spread.push_back(size == 1 ? times : size);
    }
    return tapewire::view(clone(expand(tapewire::reshape(in[0], apart), spread)), merged);
  }
};

struct Tile {
  using Attrs = TileAttrs;
  static constexpr auto name = "tile";
  static constexpr auto doc = "repeat; missing repeats in front are ones";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    Shape repeats = a.dims;
    if (repeats.size() < in[0].sizes().size())
      repeats.insert(repeats.begin(), in[0].sizes().size() - repeats.size(), 1);
    return repeat(in[0], repeats);
  }
};

// 0 as often as repeats[0] says, then 1, ...
Tensor repeated_indices(const Tensor& repeats) {
  if (repeats.dim() != 1 || !(repeats.dtype() == DType::kInt64 || repeats.dtype() == DType::kInt32)) {
    fail("repeat_interleave: repeats must be a vector of Long or Int, got ", to_string(repeats.spec()));
  }
  const Tensor counts = Tensor::empty(repeats.sizes(), DType::kInt64);
  kernels::copy(repeats, counts);
  const auto* count = counts.data<int64_t>();
  int64_t total = 0;
  for (int64_t i = 0; i < counts.numel(); ++i) {
    count_work(1);
    if (count[i] < 0) fail("repeat_interleave: repeats can not be negative");
    if (__builtin_add_overflow(total, count[i], &total)) fail("repeat_interleave: the repeats overflow");
  }
  const Tensor out = Tensor::empty({total}, DType::kInt64);
  auto* to = out.mutable_data<int64_t>();
  for (int64_t i = 0; i < counts.numel(); ++i) {
    count_work(1 + count[i]);
    in_pieces(count[i], [&](int64_t begin, int64_t end) { to = std::fill_n(to, end - begin, i); });
  }
  return out;
}

struct RepeatInterleaveAttrs {
  Value repeats;
  std::optional<int64_t> dim;
  std::optional<int64_t> output_size;
  static constexpr auto fields() {
    return std::tuple{
        field("repeats", &RepeatInterleaveAttrs::repeats,
              "how often: an int, or an integer tensor; none: input has it"),
        field("dim", &RepeatInterleaveAttrs::dim, "none: of the flat input"),
        field("output_size", &RepeatInterleaveAttrs::output_size, "the sum of the repeats, where it is known")};
  }
};

struct RepeatInterleave {
  using Attrs = RepeatInterleaveAttrs;
  static constexpr auto name = "repeat_interleave";
  static constexpr auto doc = "each slice of a dimension several times in a row; of repeats alone, the indices";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 3> order{"input", "repeats", "dim"};
  static constexpr bool differentiable = true;
  static Value call(const AttributeMap& all) {
    const CallArguments arguments(name, all);
    const Tensor& x = arguments.tensor("input");
    const Value& repeats = arguments.value("repeats");
    std::optional<int64_t> dim;
    if (arguments.given("dim")) dim = arguments.integer("dim", 0);
    Tensor out;
    if (repeats.is_none()) {
      out = repeated_indices(x);
    } else if (repeats.is_tensor()) {
      out = tapewire::repeat_interleave(x, repeats.tensor(), dim);
    } else {
      const Shape times = arguments.ints("repeats");
      out = times.size() == 1 ? tapewire::repeat_interleave(x, times[0], dim)
                              : tapewire::repeat_interleave(
                                    x, Tensor::of<int64_t>(times, Shape{static_cast<int64_t>(times.size())}), dim);
    }
    const int64_t along = out.dim() == 0 ? 1 : out.size(repeats.is_none() ? 0 : dim.value_or(0));
    if (arguments.integer("output_size", along) != along) {
      fail("repeat_interleave: allocated size does not match required size");
    }
    return out;
  }
};

// The tensor whose slices are repeated: without a dimension the flat one.
Tensor interleaved(const Tensor& x, std::optional<int64_t> dim) {
  if (!dim) return ravel(x);
  if (x.dim() == 0) fail("repeat_interleave: Dimension specified as ", *dim, " but tensor has no dimensions");
  return x;
}

const OpFamily kFamily{op_def<Flip>(), op_def<Fliplr>(), op_def<Flipud>(), op_def<Rot90>(),
                       op_def<Roll>(), op_def<Repeat>(), op_def<Tile>(),   op_def<RepeatInterleave>()};

}  // namespace

Tensor flip(const Tensor& x, Ints dims) { return apply<Flip>({Shape(dims.begin(), dims.end())}, {x}); }
Tensor fliplr(const Tensor& x) { return apply<Fliplr>({}, {x}); }
Tensor flipud(const Tensor& x) { return apply<Flipud>({}, {x}); }
Tensor rot90(const Tensor& x, const Rot90Attrs& attrs) { return apply<Rot90>(attrs, {x}); }
Tensor roll(const Tensor& x, Ints shifts, Ints dims) {
  return apply<Roll>({Shape(shifts.begin(), shifts.end()), Shape(dims.begin(), dims.end())}, {x});
}
Tensor repeat(const Tensor& x, Ints repeats) { return apply<Repeat>({Shape(repeats.begin(), repeats.end())}, {x}); }
Tensor tile(const Tensor& x, Ints dims) { return apply<Tile>({Shape(dims.begin(), dims.end())}, {x}); }

Tensor repeat_interleave(const Tensor& input, int64_t repeats, std::optional<int64_t> dim) {
  if (repeats < 0) fail("repeat_interleave: repeats can not be negative");
  const Tensor x = interleaved(input, dim);
  const int64_t d = wrap_dim("repeat_interleave", dim.value_or(0), x.dim());
  Shape spread = x.sizes();
  Shape merged = x.sizes();
  int64_t& size = merged[static_cast<size_t>(d)];
  if (__builtin_mul_overflow(size, repeats, &size)) fail("repeat_interleave: ", repeats, " repeats overflow");
  spread.insert(spread.begin() + d + 1, repeats);
  return view(clone(expand(unsqueeze(x, d + 1), spread)), merged);
}

Tensor repeat_interleave(const Tensor& input, const Tensor& repeats, std::optional<int64_t> dim) {
  const Tensor x = interleaved(input, dim);
  const int64_t d = wrap_dim("repeat_interleave", dim.value_or(0), x.dim());
  if (repeats.dim() > 1) fail("repeat_interleave: repeats must be 0-dim or 1-dim tensor");
  if (repeats.numel() == 1) {
    return index_select(x, d, repeated_indices(expand(reshape(repeats, {1}), {x.size(d)})));
  }
  if (repeats.numel() != x.size(d)) {
    fail("repeat_interleave: repeats must have the same size as input along dim, got ", repeats.numel(), " for ",
         x.size(d));
  }
  return index_select(x, d, repeated_indices(repeats));
}

}  // namespace tapewire
