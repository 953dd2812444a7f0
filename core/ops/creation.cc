#include "core/ops/creation.h"

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/creation.h"
#include "core/ops/op.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

constexpr std::array<InputDecl, 0> kNoInputs{};

// A float outside an integer dtype has no value there. Integers wrap, as in two's complement, where they fit at all.
void check_holds(std::string_view op, DType dtype, const Scalar& value) {
  if (is_floating(dtype) || dtype == DType::kBool) return;
  const auto refuse = [&](bool bad, const char* type) {
    if (bad) fail(op, ": value cannot be converted to type ", type, " without overflow");
  };
  const auto outside = [&](double low, double high) {
    const auto number = value.to<double>();
    return !(number >= low && number < high);
  };
  if (dtype == DType::kInt64) refuse(value.is_float() && outside(-0x1p63, 0x1p63), "int64_t");
  if (dtype == DType::kInt32) refuse(outside(-0x1p31, 0x1p31), "int");
  if (dtype == DType::kUInt8) refuse(outside(-255, 256), "uint8_t");
}

template <int kValue>
struct Constant {
  using Attrs = SizedAttrs;
  static constexpr auto name = kValue == 0 ? "zeros" : "ones";
  static constexpr auto doc = kValue == 0 ? "a tensor of zeros" : "a tensor of ones";
  static constexpr auto inputs = kNoInputs;
  static constexpr std::array<std::string_view, 1> order{"size"};
  static TensorSpecs infer(const Attrs& a, Specs) {
    return {{a.dtype.value_or(DType::kFloat32), checked_sizes(name, a.size)}};
  }
  static void eval(const Attrs&, Inputs, Outputs out) { kernels::fill(out[0], kValue); }
};

enum class Like { kZeros, kOnes, kEmpty };
template <Like kKind>
struct ConstantLike {
  using Attrs = LikeAttrs;
  static constexpr auto name = kKind == Like::kZeros ? "zeros_like" : kKind == Like::kOnes ? "ones_like" : "empty_like";
  static constexpr auto doc = kKind == Like::kZeros  ? "zeros of input's sizes"
                              : kKind == Like::kOnes ? "ones of input's sizes"
                                                     : "of input's sizes; its elements may be any numbers, here zeros";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 1> order{"input"};
  static TensorSpecs infer(const Attrs& a, Specs in) { return {{a.dtype.value_or(in[0].dtype), in[0].shape()}}; }
  static void eval(const Attrs&, Inputs, Outputs out) { kernels::fill(out[0], kKind == Like::kOnes ? 1 : 0); }
};

struct Full {
  using Attrs = FullAttrs;
  static constexpr auto name = "full";
  static constexpr auto doc = "a tensor of one number";
  static constexpr auto inputs = kNoInputs;
  static constexpr std::array<std::string_view, 2> order{"size", "fill_value"};
  static TensorSpecs infer(const Attrs& a, Specs) {
    const DType dtype = a.dtype.value_or(dtype_of(a.fill_value));
    check_holds(name, dtype, a.fill_value);
    return {{dtype, checked_sizes(name, a.size)}};
  }
  static void eval(const Attrs& a, Inputs, Outputs out) { kernels::fill(out[0], a.fill_value); }
};

struct FullLike {
  using Attrs = FullLikeAttrs;
  static constexpr auto name = "full_like";
  static constexpr auto doc = "one number, in input's sizes";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 2> order{"input", "fill_value"};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const DType dtype = a.dtype.value_or(in[0].dtype);
    check_holds(name, dtype, a.fill_value);
    return {{dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs, Outputs out) { kernels::fill(out[0], a.fill_value); }
};

struct Eye {
  using Attrs = EyeAttrs;
  static constexpr auto name = "eye";
  static constexpr auto doc = "ones on the diagonal, else zeros";
  static constexpr auto inputs = kNoInputs;
  static constexpr std::array<std::string_view, 2> order{"n", "m"};
  static TensorSpecs infer(const Attrs& a, Specs) {
    if (a.n < 0) fail("eye: n must be greater or equal to 0, got ", a.n);
    if (a.m && *a.m < 0) fail("eye: m must be greater or equal to 0, got ", *a.m);
    return {{a.dtype.value_or(DType::kFloat32), checked_sizes(name, Shape{a.n, a.m.value_or(a.n)})}};
  }
  static void eval(const Attrs&, Inputs, Outputs out) {
    const Tensor& y = out[0];
    kernels::fill(y, 0);
    const int64_t ones = std::min(y.size(0), y.size(1));
    kernels::fill(y.alias({Shape{ones}, Shape{y.strides()[0] + y.strides()[1]}, y.offset()}), 1);
  }
};

// The progression that an arange asks for; its errors are ATen's.
struct Progression {
  Scalar start;
  DType dtype;
  int64_t count;
};

int64_t progression_count(const Scalar& start, const Scalar& end, const Scalar& step, DType dtype) {
  const auto first = start.to<double>();
  const auto last = end.to<double>();
  if (!std::isfinite(first) || !std::isfinite(last)) fail("arange: unsupported range: ", first, " -> ", last);
  for (const Scalar* number : {&start, &end, &step}) check_holds("arange", dtype, *number);
  if (is_floating(dtype)) {
    const auto by = step.to<double>();
    if (!(by > 0 || by < 0)) fail("arange: step must be nonzero");
    if (!((by > 0 && last >= first) || (by < 0 && last <= first))) {
      fail("arange: upper bound and larger bound inconsistent with step sign");
    }
    const double count = std::ceil((last - first) / by);
    if (!(count >= 0 && count < 0x1p63)) fail("arange: invalid size, possible overflow?");
    return static_cast<int64_t>(count);
  }
  const auto from = start.to<int64_t>();
  const auto to = end.to<int64_t>();
  const auto by = step.to<int64_t>();
  if (by == 0) fail("arange: step must be nonzero");
  if (by > 0 ? to < from : to > from) fail("arange: upper bound and larger bound inconsistent with step sign");
  if (dtype != DType::kInt64) return static_cast<int64_t>(std::ceil((last - first) / step.to<double>()));
  // Without overflow: the distance and the step as unsigned numbers.
  const auto magnitude = [](uint64_t v, bool negative) { return negative ? 0 - v : v; };
  const uint64_t distance = magnitude(static_cast<uint64_t>(to) - static_cast<uint64_t>(from), by < 0);
  const uint64_t stride = magnitude(static_cast<uint64_t>(by), by < 0);
  const uint64_t count = distance / stride + (distance % stride != 0 ? 1 : 0);
  if (count > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    fail("arange: invalid size, possible overflow?");
  }
  return static_cast<int64_t>(count);
}

Progression progression(const ArangeAttrs& a) {
  if (!a.start && !a.end) fail("arange: missing argument 'end'");
  const Scalar start = a.end ? a.start.value_or(Scalar(0)) : Scalar(0);
  const Scalar end = a.end ? *a.end : *a.start;
  const bool any_float = start.is_float() || end.is_float() || a.step.is_float();
  const DType dtype = a.dtype.value_or(any_float ? DType::kFloat32 : DType::kInt64);
  if (dtype == DType::kBool) fail("arange: not implemented for dtype bool");
  return {start, dtype, progression_count(start, end, a.step, dtype)};
}

struct Arange {
  using Attrs = ArangeAttrs;
  static constexpr auto name = "arange";
  static constexpr auto doc = "start, start + step, ... before end";
  static constexpr auto inputs = kNoInputs;
  static constexpr std::array<std::string_view, 3> order{"start", "end", "step"};
  static TensorSpecs infer(const Attrs& a, Specs) {
    const Progression p = progression(a);
    return {{p.dtype, checked_sizes(name, Shape{p.count})}};
  }
  static void eval(const Attrs& a, Inputs, Outputs out) { kernels::arange(out[0], progression(a).start, a.step); }
};

struct Linspace {
  using Attrs = LinspaceAttrs;
  static constexpr auto name = "linspace";
  static constexpr auto doc = "steps numbers from start to end, evenly spaced";
  static constexpr auto inputs = kNoInputs;
  static constexpr std::array<std::string_view, 3> order{"start", "end", "steps"};
  static TensorSpecs infer(const Attrs& a, Specs) {
    if (a.steps < 0) fail("linspace: number of steps must be non-negative, got ", a.steps);
    const DType dtype = a.dtype.value_or(DType::kFloat32);
    if (dtype == DType::kBool) fail("linspace: not implemented for dtype bool");
    check_holds(name, dtype, a.start);
    check_holds(name, dtype, a.end);
    return {{dtype, checked_sizes(name, Shape{a.steps})}};
  }
  static void eval(const Attrs& a, Inputs, Outputs out) { kernels::linspace(out[0], a.start, a.end); }
};

const OpFamily kFamily{op_def<Constant<0>>(),
                       op_def<Constant<1>>(),
                       op_def<ConstantLike<Like::kZeros>>(),
                       op_def<ConstantLike<Like::kOnes>>(),
                       op_def<ConstantLike<Like::kEmpty>>(),
                       op_def<Full>(),
                       op_def<FullLike>(),
                       op_def<Eye>(),
                       op_def<Arange>(),
                       op_def<Linspace>()};

}  // namespace

Shape checked_sizes(std::string_view op, Ints sizes) {
  for (const int64_t size : sizes) {
    if (size < 0) {
      fail(op, ": Trying to create tensor with negative dimension ", size, ": ",
           sizes.size() <= static_cast<size_t>(kMaxDims) ? to_string(sizes) : std::string("[...]"));
    }
  }
  try {
    numel_of(sizes);
  } catch (const Error& error) {
    throw error.within(op);
  }
  return {sizes.begin(), sizes.end()};
}

Tensor zeros(const SizedAttrs& attrs) { return apply<Constant<0>>(attrs, {}); }
Tensor ones(const SizedAttrs& attrs) { return apply<Constant<1>>(attrs, {}); }
Tensor full(const FullAttrs& attrs) { return apply<Full>(attrs, {}); }
Tensor eye(const EyeAttrs& attrs) { return apply<Eye>(attrs, {}); }
Tensor arange(const ArangeAttrs& attrs) { return apply<Arange>(attrs, {}); }
Tensor linspace(const LinspaceAttrs& attrs) { return apply<Linspace>(attrs, {}); }
Tensor zeros_like(const Tensor& x, const LikeAttrs& attrs) { return apply<ConstantLike<Like::kZeros>>(attrs, {x}); }
Tensor ones_like(const Tensor& x, const LikeAttrs& attrs) { return apply<ConstantLike<Like::kOnes>>(attrs, {x}); }
Tensor full_like(const Tensor& x, const FullLikeAttrs& attrs) { return apply<FullLike>(attrs, {x}); }

}  // namespace tapewire
