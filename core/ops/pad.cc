#include "core/ops/pad.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/pad.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"
#include "core/tensor/allocator.h"

namespace tapewire {
namespace {

// What is taken and added at one dimension's ends.
struct Ends {
  int64_t left = 0;
  int64_t right = 0;
};

// Of dimension d out of `dims`: the pairs count from the last one.
Ends ends_of(Ints pad, size_t d, size_t dims) {
  const size_t at = 2 * (dims - 1 - d);
  return at + 1 < pad.size() ? Ends{pad[at], pad[at + 1]} : Ends{};
}

void check_length(std::string_view op, Ints pad, size_t dims) {
  if (pad.size() % 2 != 0) fail(op, ": Padding length must be divisible by 2");
  if (pad.size() > 2 * dims) {
    fail(op,
         ": Padding length too large: it should be less than or equal to two times the input dimension but got "
         "padding length ",
         pad.size(), " and input of dimension ", dims);
  }
}

// `crops`: what is taken away must exist, which a mode that has a source for every element does not ask.
Shape padded_sizes(std::string_view op, Ints sizes, Ints pad, bool crops) {
  Shape out;
  for (size_t d = 0; d < sizes.size(); ++d) {
    const Ends ends = ends_of(pad, d, sizes.size());
    int64_t size = 0;
    if (__builtin_add_overflow(sizes[d], ends.left, &size) || __builtin_add_overflow(size, ends.right, &size)) {
      fail(op, ": padding ", ends.left, " and ", ends.right, " overflows dimension ", d);
    }
    const bool gone =
        size < 0 || (crops && (ends.left < -sizes[d] || ends.right < -sizes[d] ||
                               sizes[d] + std::min<int64_t>(0, ends.left) + std::min<int64_t>(0, ends.right) < 0));
    if (gone) {
      fail(op, ": The input size ", sizes[d], ", plus negative padding ", ends.left, " and ", ends.right,
           " resulted in a negative output size, which is invalid. Check dimension ", d, " of your input.");
    }
    out.push_back(size);
  }
  return out;
}

struct ConstantPadAttrs {
  Shape pad;
  Scalar value = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("pad", &ConstantPadAttrs::pad, "as in pad"),
                      field("value", &ConstantPadAttrs::value, "of what is added")};
  }
};

struct ConstantPad {
  using Attrs = ConstantPadAttrs;
  static constexpr auto name = "constant_pad_nd";
  static constexpr auto doc = "a constant added at the ends of dimensions, or elements taken away";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_length(name, a.pad, in[0].sizes.size());
    check_representable(name, a.value, in[0].dtype);
    return {{in[0].dtype, padded_sizes(name, in[0].sizes, a.pad, true)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::fill(out[0], a.value);
    Geometry from = in[0].geometry();
    Geometry to = out[0].geometry();
    for (size_t d = 0; d < from.sizes.size(); ++d) {
      const Ends ends = ends_of(a.pad, d, from.sizes.size());
      const int64_t dropped = std::max<int64_t>(0, -ends.left);
      const int64_t kept = from.sizes[d] - dropped + std::min<int64_t>(0, ends.right);
      const auto dim = static_cast<int64_t>(d);
      from = views::narrow(name, from, dim, dropped, kept);
      to = views::narrow(name, to, dim, std::max<int64_t>(0, ends.left), kept);
    }
    kernels::copy(in[0].alias(std::move(from)), out[0].alias(std::move(to)));
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    Shape back;
    for (const int64_t n : a.pad) back.push_back(-n);
    return {apply<ConstantPad>({back, 0}, {v.grad()})};
  }
};

// The source of each element of a padded dimension.
CountedVector<int64_t> source_of(PadMode mode, int64_t size, const Ends& ends) {
  const int64_t dropped = std::max<int64_t>(0, -ends.left);
  const int64_t kept = size - dropped + std::min<int64_t>(0, ends.right);
  CountedVector<int64_t> map(static_cast<size_t>(size + ends.left + ends.right));
  for (size_t i = 0; i < map.size(); ++i) {
    count_work(8);
    int64_t at = static_cast<int64_t>(i) - ends.left;
    if (mode == PadMode::kReplicate) {
      at = std::clamp<int64_t>(at, 0, size - 1);
    } else if (mode == PadMode::kReflect) {
      at = at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at;
    } else {
      // What is taken away at an end does not come round again.
      at = dropped + ((at - dropped) % kept + kept) % kept;
    }
    map[i] = at;
  }
  return map;
}

std::vector<CountedVector<int64_t>> maps_of(PadMode mode, Ints sizes, Ints pad) {
  std::vector<CountedVector<int64_t>> maps;
  for (size_t d = sizes.size() - pad.size() / 2; d < sizes.size(); ++d) {
    maps.push_back(source_of(mode, sizes[d], ends_of(pad, d, sizes.size())));
  }
  return maps;
}

// The sizes of a border-padded input; throws where a mode has no source for an element.
Shape border_sizes(std::string_view op, PadMode mode, Ints sizes, Ints pad) {
  const size_t dims = sizes.size();
  check_length(op, pad, dims);
  const size_t padded = pad.size() / 2;
  if (mode == PadMode::kConstant) fail(op, ": takes the modes of borders, not 'constant'");
  if (padded < 1 || padded > 3 || (dims != padded + 1 && dims != padded + 2)) {
    fail(op, ": Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now");
  }
  for (size_t d = dims - padded - (dims == padded + 1 ? 1 : 0); d < dims; ++d) {
    if (sizes[d] == 0) {
      fail(op, ": Expected ", padded + 1, "D or ", padded + 2,
           "D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ",
           to_string(sizes));
    }
  }
  for (size_t d = dims - padded; d < dims; ++d) {
    const Ends ends = ends_of(pad, d, dims);
    const int64_t most = mode == PadMode::kReflect ? sizes[d] - 1 : sizes[d];
    if (mode == PadMode::kReflect && (ends.left > most || ends.right > most)) {
      fail(op, ": Padding size should be less than the corresponding input dimension, but got: padding (", ends.left,
           ", ", ends.right, ") at dimension ", d, " of input ", to_string(sizes));
    }
    if (mode == PadMode::kCircular && (ends.left > most || ends.right > most)) {
      fail(op, ": Padding value causes wrapping around more than once.");
    }
  }
  Shape out = padded_sizes(op, sizes, pad, mode == PadMode::kCircular);
  bool empty = true;
  for (size_t d = dims - padded; d < dims; ++d) {
    const Ends ends = ends_of(pad, d, dims);
    const int64_t kept = sizes[d] + std::min<int64_t>(0, ends.left) + std::min<int64_t>(0, ends.right);
    if (mode == PadMode::kCircular && kept < 1 && out[d] > 0) {
      fail(op, ": Negative padding value leaves nothing of dimension ", d, " of input ", to_string(sizes),
           " to go round in");
    }
    empty = empty && out[d] < 1;
  }
  if (empty) {
    fail(op, ": input ", to_string(sizes), " is too small. Calculated output size: ", to_string(out));
  }
  return out;
}

struct BorderPadAttrs {
  Shape pad;
  PadMode mode = PadMode::kReflect;
  static constexpr auto fields() {
    return std::tuple{required_field("pad", &BorderPadAttrs::pad, "as in pad"),
                      required_field("mode", &BorderPadAttrs::mode, "'reflect', 'replicate' or 'circular'")};
  }
};
struct BorderPadBackwardAttrs {
  Shape size;
  Shape pad;
  PadMode mode = PadMode::kReflect;
  static constexpr auto fields() {
    return std::tuple{required_field("size", &BorderPadBackwardAttrs::size, "of the input that was padded"),
                      required_field("pad", &BorderPadBackwardAttrs::pad, "as in pad"),
                      required_field("mode", &BorderPadBackwardAttrs::mode, "'reflect', 'replicate' or 'circular'")};
  }
};

// Each is the other's gradient.
struct BorderPad {
  using Attrs = BorderPadAttrs;
  static constexpr auto name = "border_pad";
  static constexpr auto doc = "pad with elements of the input";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    return {{in[0].dtype, border_sizes("pad", a.mode, in[0].sizes, a.pad)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (out[0].numel() == 0) return;
    kernels::pad_by_maps(in[0], maps_of(a.mode, in[0].sizes(), a.pad), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};
struct BorderPadBackward {
  using Attrs = BorderPadBackwardAttrs;
  static constexpr auto name = "border_pad_backward";
  static constexpr auto doc = "adds the elements of a padded tensor to where they came from";
  static constexpr std::array inputs{input("grad")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    numel_of(a.size);
    const Shape sizes = border_sizes(name, a.mode, a.size, a.pad);
    if (in[0].shape() != sizes || !is_floating(in[0].dtype)) {
      fail(name, ": grad is ", to_string(in[0]), ", expected floats of ", to_string(sizes));
    }
    return {{in[0].dtype, a.size}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    // Of an empty gradient a dimension may be longer than any map could be.
    if (in[0].numel() == 0) return kernels::fill(out[0], 0);
    kernels::pad_by_maps_backward(in[0], maps_of(a.mode, a.size, a.pad), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {apply<BorderPad>({a.pad, a.mode}, {v.grad()})}; }
};
Tensors BorderPad::vjp(const Attrs& a, const Vjp& v) {
  return {apply<BorderPadBackward>({v.sizes(0), a.pad, a.mode}, {v.grad()})};
}

struct Pad {
  using Attrs = PadAttrs;
  static constexpr auto name = "pad";
  static constexpr auto doc = "elements added at the ends of dimensions, or taken away";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    check_length(name, a.pad, in[0].sizes().size());
    if (a.mode == PadMode::kConstant) return apply<ConstantPad>({a.pad, a.value.value_or(0)}, {in[0]});
    if (a.value && !(*a.value == Scalar(0)) && !(*a.value == Scalar(0.0))) {
      fail("pad: Padding mode \"", EnumNames<PadMode>::names[static_cast<size_t>(a.mode)],
           "\" doesn't take in value argument");
    }
    return apply<BorderPad>({a.pad, a.mode}, {in[0]});
  }
};

const OpFamily kFamily{op_def<ConstantPad>(), op_def<BorderPad>(), op_def<BorderPadBackward>(), op_def<Pad>()};

}  // namespace

Tensor pad(const Tensor& x, const PadAttrs& attrs) { return apply<Pad>(attrs, {x}); }

}  // namespace tapewire
