#include "core/ops/shape_ops.h"

#include <algorithm>
#include <cmath>

#include "core/base/cancel.h"
#include "core/kernels/binary.h"
#include "core/kernels/copy.h"
#include "core/kernels/reduce.h"
#include "core/kernels/unary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/call_support.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

// The part of the elements, in a row-major tensor, that a strided view covers; throws when it reaches outside.
void check_bounds(std::string_view op, const AsStridedAttrs& a, int64_t numel) {
  if (a.size.size() != a.stride.size()) fail(op, ": mismatch in length of strides and shape");
  const bool empty = numel_of(a.size) == 0;
  int64_t last = a.storage_offset;
  for (size_t i = 0; i < a.size.size(); ++i) {
    if (a.stride[i] < 0)
      fail(op, ": Negative strides are not supported at the moment, got strides: ", to_string(a.stride));
    if (empty) continue;
    int64_t reach = 0;
    if (__builtin_mul_overflow(a.size[i] - 1, a.stride[i], &reach) || __builtin_add_overflow(last, reach, &last)) {
      fail(op, ": strides ", to_string(a.stride), " overflow");
    }
  }
  if (a.storage_offset < 0 || last > numel || (last == numel && !empty)) {
    fail(op, ": size ", to_string(a.size), " with strides ", to_string(a.stride), " and offset ", a.storage_offset,
         " reaches outside the ", numel, " elements of input");
  }
}

Geometry strided(const AsStridedAttrs& a) { return {a.size, a.stride, a.storage_offset}; }

struct AsStridedBackwardAttrs : AsStridedAttrs {
  Shape input_size;
  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{field("input_size", &AsStridedBackwardAttrs::input_size, "of as_strided's input")},
        std::tuple{field("size", &AsStridedBackwardAttrs::size, "sizes of the view"),
                   field("stride", &AsStridedBackwardAttrs::stride, "strides in elements"),
                   field("storage_offset", &AsStridedBackwardAttrs::storage_offset, "elements after input's first")});
  }
};

struct AsStridedBackward {
  using Attrs = AsStridedBackwardAttrs;
  static constexpr auto name = "as_strided_backward";
  static constexpr auto doc = "adds a view's gradient to where its elements lie in the input";
  static constexpr std::array inputs{input("grad")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_bounds(name, a, numel_of(a.input_size));
    if (!std::ranges::equal(in[0].sizes, a.size)) {
      fail("as_strided_backward: grad has sizes ", to_string(in[0].sizes), ", expected ", to_string(a.size));
    }
    return {{in[0].dtype, a.input_size}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::fill(out[0], 0.0);
    if (in[0].numel() == 0) return;  // its other dimensions may be of any length
    const Tensor place = out[0].alias(strided(a));
    bool overlaps = false;
    for (size_t i = 0; i < a.size.size(); ++i) overlaps = overlaps || (a.size[i] > 1 && a.stride[i] == 0);
    if (numel_of(a.size) <= out[0].numel() && !overlaps && is_injective(a)) {
      kernels::copy(in[0], place);
      return;
    }
    dispatch_floating(name, in[0].dtype(), [&]<class E>(TypeTag<E>) {
      const E* grad = in[0].data<E>();
      E* sum = out[0].mutable_data<E>() + a.storage_offset;
      const auto walk = [&](auto&& self, size_t d, int64_t from, int64_t at) -> void {
        if (d == a.size.size()) {
          sum[at] += grad[from];
          return;
        }
        for (int64_t i = 0; i < a.size[d]; ++i) {
          count_work(4);
          self(self, d + 1, from + i * in[0].strides()[d], at + i * a.stride[d]);
        }
      };
      walk(walk, 0, 0, 0);
    });
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {as_strided(contiguous(v.grad()), a)}; }

  // True when no element is covered twice: sorted by stride, each dimension starts beyond the reach of the smaller.
  static bool is_injective(const AsStridedAttrs& a) {
    absl::InlinedVector<std::pair<int64_t, int64_t>, 6> dims;
    for (size_t i = 0; i < a.size.size(); ++i) {
      if (a.size[i] > 1) dims.emplace_back(a.stride[i], a.size[i]);
    }
    std::ranges::sort(dims);
    int64_t reach = 0;
    for (const auto& [stride, size] : dims) {
      if (stride <= reach) return false;
      reach += stride * (size - 1);
    }
    return true;
  }
};

struct AsStrided {
  using Attrs = AsStridedAttrs;
  static constexpr auto name = "as_strided";
  static constexpr auto doc = "a view with any sizes and strides over a row-major input's elements";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) {
    if (!x.is_contiguous()) fail("as_strided: expects a row-major input, got strides ", to_string(x.strides()));
    check_bounds(name, a, x.numel());
    Geometry geometry = strided(a);
    geometry.offset += x.offset();
    return geometry;
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    AsStridedBackwardAttrs back;
    static_cast<AsStridedAttrs&>(back) = a;
    back.input_size = v.sizes(0);
    return {apply<AsStridedBackward>(back, {v.grad()})};
  }
};

struct AsStridedScatter {
  using Attrs = AsStridedAttrs;
  static constexpr auto name = "as_strided_scatter";
  static constexpr auto doc = "a copy of input in which that strided view holds src";
  static constexpr std::array inputs{input("input"), input("src")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_bounds(name, a, in[0].numel());
    if (!std::ranges::equal(in[1].sizes, a.size)) {
      fail("as_strided_scatter: src has sizes ", to_string(in[1].sizes), ", expected ", to_string(a.size));
    }
    if (in[0].dtype != in[1].dtype) fail("as_strided_scatter: input and src must be of one dtype");
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::copy(in[0], out[0]);
    kernels::copy(in[1], out[0].alias(strided(a)));
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = contiguous(v.grad());
    Tensors out(2);
    if (v.needs(0)) out[0] = apply<AsStridedScatter>(a, {g, Tensor::zeros(a.size, g.dtype())});
    if (v.needs(1)) out[1] = as_strided(g, a);
    return out;
  }
};

struct Clone {
  using Attrs = NoAttrs;
  static constexpr auto name = "clone";
  static constexpr auto doc = "a copy";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::copy(in[0], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {v.grad()}; }
};

struct Contiguous {
  using Attrs = NoAttrs;
  static constexpr auto name = "contiguous";
  static constexpr auto doc = "input itself when row-major, else a copy that is";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs&, Inputs in) { return in[0].is_contiguous() ? in[0] : clone(in[0]); }
};

struct CastTo {
  using Attrs = ToAttrs;
  static constexpr auto name = "cast";
  static constexpr auto doc = "a copy of another dtype";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) { return {{a.dtype, in[0].shape()}}; }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::copy(in[0], out[0]); }
  // The engine casts a gradient to its input's dtype.
  static Tensors vjp(const Attrs&, const Vjp& v) { return {v.grad()}; }
};

struct To {
  using Attrs = ToAttrs;
  static constexpr auto name = "to";
  static constexpr auto doc = "input itself when of that dtype, else converted";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    return in[0].dtype() == a.dtype ? in[0] : apply<CastTo>(a, {in[0]});
  }
};

// "size" gives numbers, not tensors: size() a tuple, size(dim) an int.
struct Size {
  using Attrs = OptionalDimAttrs;
  static constexpr auto name = "size";
  static constexpr auto doc = "the sizes as a tuple, or one of them";
  static constexpr std::array inputs{input("input")};
  static Value call(const AttributeMap& all) {
    const CallArguments arguments(name, all);
    const Tensor& x = arguments.tensor("input");
    if (arguments.given("dim")) return x.size(arguments.integer("dim", 0));
    return Tuple(x.sizes().begin(), x.sizes().end());
  }
};

const OpFamily kFamily{op_def<AsStrided>(),
                       op_def<AsStridedBackward>(),
                       op_def<AsStridedScatter>(),
                       op_def<Clone>(),
                       op_def<Contiguous>(),
                       op_def<CastTo>(),
                       op_def<To>(),
                       op_def<Size>()};

AsStridedAttrs attrs_of(const Geometry& g) { return {g.sizes, g.strides, g.offset}; }

// What the engine itself computes with.
const bool kEngineOpsSet = [] {
  EngineOps ops{};
  ops.add = [](const Tensor& a, const Tensor& b) { return add(a, b); };
  ops.accumulate = [](const Tensor& a, const Tensor& b) {
    a.mutable_raw_data();  // a copy of bytes that are shared: may fail
    check_cancelled();
    const CancelScope shield(nullptr);  // a gradient is never half added
    kernels::binary(kernels::BinaryOp::kAdd, a, b, a);
  };
  ops.clone = &clone;
  ops.sum_to = &sum_to;
  ops.cast = &to;
  ops.as_strided = [](const Tensor& x, const Geometry& g) { return as_strided(contiguous(x), attrs_of(g)); };
  ops.as_strided_backward = [](const Tensor& grad, const Geometry& g, Ints sizes) {
    return view_backward(grad, g, sizes);
  };
  ops.as_strided_scatter = [](const Tensor& base, const Tensor& src, const Geometry& g) {
    return apply<AsStridedScatter>(attrs_of(g), {base, src});
  };
  ops.has_nan = [](const Tensor& x) {
    if (!is_floating(x.dtype())) return false;
    const Tensor nans = Tensor::empty(x.sizes(), DType::kBool);
    kernels::unary(kernels::UnaryOp::kIsnan, x, nans);
    const Tensor any = Tensor::empty(Ints{}, DType::kBool);
    kernels::any(nans, {}, any);
    return any.item<bool>();
  };
  set_engine_ops(ops);
  return true;
}();

}  // namespace

Tensor as_strided(const Tensor& x, const AsStridedAttrs& attrs) { return apply<AsStrided>(attrs, {x}); }
Tensor clone(const Tensor& x) { return apply<Clone>({}, {x}); }
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }
Tensor to(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : apply<CastTo>({dtype}, {x}); }

void check_representable(std::string_view op, const Scalar& value, DType dtype) {
  if (!is_integral(dtype) || value.is_bool()) return;
  // Negative numbers may wrap around in uint8, but once.
  const int bits = dtype == DType::kInt64 ? 63 : dtype == DType::kInt32 ? 31 : 8;
  const double end = std::ldexp(1.0, bits);
  const double low = dtype == DType::kUInt8 ? 1 - end : -end;
  bool fits = true;
  if (value.is_float()) {
    fits = value.to<double>() < end && value.to<double>() >= low;
  } else if (dtype != DType::kInt64) {
    fits = value.to<int64_t>() < static_cast<int64_t>(end) && value.to<int64_t>() >= static_cast<int64_t>(low);
  }
  if (!fits) fail(op, ": value cannot be converted to type ", name_of(dtype), " without overflow");
}

Geometry row_major(Ints sizes) { return {Shape(sizes.begin(), sizes.end()), contiguous_strides(sizes), 0}; }

Tensor view_backward(const Tensor& grad, const Geometry& place, Ints sizes) {
  AsStridedBackwardAttrs attrs;
  static_cast<AsStridedAttrs&>(attrs) = attrs_of(place);
  // A view of nothing may stand anywhere, even behind the end.
  if (numel_of(place.sizes) == 0) attrs.storage_offset = 0;
  attrs.input_size.assign(sizes.begin(), sizes.end());
  return apply<AsStridedBackward>(attrs, {grad});
}

Tensor sum_to(const Tensor& x, Ints sizes) {
  if (std::ranges::equal(x.sizes(), sizes)) return x;
  const size_t leading = x.sizes().size() - sizes.size();
  Shape dims;
  for (size_t i = 0; i < x.sizes().size(); ++i) {
    if (i < leading || (sizes[i - leading] == 1 && x.sizes()[i] != 1)) dims.push_back(static_cast<int64_t>(i));
  }
  if (dims.empty()) return view(x, sizes);
  const Tensor kept = sum(x, {.dim = dims, .keepdim = true});
  return leading > 0 ? view(kept, sizes) : kept;
}

}  // namespace tapewire
