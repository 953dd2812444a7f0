#include "core/ops/random.h"

#include <limits>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/kernels/copy.h"
#include "core/kernels/random.h"
#include "core/ops/call_support.h"
#include "core/ops/op.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

constexpr std::array<InputDecl, 0> kNoInputs{};

DType floating(std::string_view op, DType dtype) {
  if (!is_floating(dtype)) fail(op, ": expects float32 or float64, got ", name_of(dtype));
  return dtype;
}

template <bool kNormal>
void draw(const Tensor& out) {
  if constexpr (kNormal) {
    kernels::normal(out, 0, 1, current_generator());
  } else {
    kernels::uniform(out, 0, 1, current_generator());
  }
}

template <bool kNormal>
struct Rand {
  using Attrs = SizedAttrs;
  static constexpr auto name = kNormal ? "randn" : "rand";
  static constexpr auto doc = kNormal ? "standard normal numbers" : "uniform numbers of [0, 1)";
  static constexpr auto inputs = kNoInputs;
  static constexpr std::array<std::string_view, 1> order{"size"};
  static constexpr bool random = true;
  static TensorSpecs infer(const Attrs& a, Specs) {
    return {{floating(name, a.dtype.value_or(DType::kFloat32)), checked_sizes(name, a.size)}};
  }
  static void eval(const Attrs&, Inputs, Outputs out) { draw<kNormal>(out[0]); }
};

template <bool kNormal>
struct RandLike {
  using Attrs = LikeAttrs;
  static constexpr auto name = kNormal ? "randn_like" : "rand_like";
  static constexpr auto doc =
      kNormal ? "standard normal numbers in input's sizes" : "uniform numbers of [0, 1) in input's sizes";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 1> order{"input"};
  static constexpr bool random = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    return {{floating(name, a.dtype.value_or(in[0].dtype)), in[0].shape()}};
  }
  static void eval(const Attrs&, Inputs, Outputs out) { draw<kNormal>(out[0]); }
};

// low .. high - 1 have to be numbers of the dtype.
void check_range(std::string_view op, int64_t low, int64_t high, DType dtype) {
  if (low >= high) {
    fail(op, ": random_ expects 'from' to be less than 'to', but got from=", low, " >= to=", high);
  }
  const auto within = [&](int64_t least, int64_t most, const char* type) {
    if (low < least || low > most) fail(op, ": from is out of bounds for ", type);
    if (high - 1 < least || high - 1 > most) fail(op, ": to - 1 is out of bounds for ", type);
  };
  if (dtype == DType::kInt32) {
    within(std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max(), "int");
  } else if (dtype == DType::kUInt8) {
    within(0, 255, "unsigned char");
  } else if (dtype == DType::kBool) {
    within(0, 1, "bool");
  }
}

struct RandomIntegers {
  using Attrs = RandintAttrs;
  static constexpr auto name = "random_integers";
  static constexpr auto doc = "integers of [low, high)";
  static constexpr auto inputs = kNoInputs;
  static constexpr bool random = true;
  static TensorSpecs infer(const Attrs& a, Specs) {
    const DType dtype = a.dtype.value_or(DType::kInt64);
    check_range("randint", a.low, a.high, dtype);
    return {{dtype, checked_sizes("randint", a.size)}};
  }
  static void eval(const Attrs& a, Inputs, Outputs out) {
    kernels::randint(out[0], a.low, a.high, current_generator());
  }
};

// One bound is high, and low is 0. A list in high's place is what comes after it.
AttributeMap with_both_bounds(std::string_view op, const AttributeMap& arguments) {
  AttributeMap out = arguments;
  if (const Value high = CallArguments(op, out).value("high"); high.is_tuple()) {
    if (out.contains("size")) fail(op, ": argument 'size' is given twice");
    out["size"] = high;
    out.erase("high");
  }
  if (CallArguments(op, out).value("high").is_none()) {
    if (!out.contains("low")) fail(op, ": missing argument 'high'");
    out["high"] = out["low"];
    out.erase("low");
  }
  return out;
}

struct Randint {
  using Attrs = RandintAttrs;
  static constexpr auto name = "randint";
  static constexpr auto doc = "random integers of [low, high); randint(high, size) begins at 0";
  static constexpr auto inputs = kNoInputs;
  static constexpr std::array<std::string_view, 3> order{"low", "high", "size"};
  static constexpr bool random = true;
  static Value call(const AttributeMap& arguments) {
    const AttributeMap both = with_both_bounds(name, arguments);
    if (!both.contains("size")) fail("randint: missing argument 'size'");
    return apply<RandomIntegers>(CallArguments(name, both).attributes<Attrs>({}), {});
  }
};

struct RandintLike {
  using Attrs = RandintLikeAttrs;
  static constexpr auto name = "randint_like";
  static constexpr auto doc = "random integers of [low, high) in input's sizes; randint_like(input, high) begins at 0";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 3> order{"input", "low", "high"};
  static constexpr bool random = true;
  static Value call(const AttributeMap& arguments) {
    const Tensor x = CallArguments(name, arguments).operand("input");
    const AttributeMap both = with_both_bounds(name, arguments);
    const auto a = CallArguments(name, both).attributes<Attrs>({"input"});
    return apply<RandomIntegers>({a.low, a.high, x.sizes(), a.dtype.value_or(x.dtype())}, {});
  }
};

struct Randperm {
  using Attrs = RandpermAttrs;
  static constexpr auto name = "randperm";
  static constexpr auto doc = "0 .. n-1 in a random order";
  static constexpr auto inputs = kNoInputs;
  static constexpr std::array<std::string_view, 1> order{"n"};
  static constexpr bool random = true;
  static TensorSpecs infer(const Attrs& a, Specs) {
    if (a.n < 0) fail("randperm: n must be non-negative, got ", a.n);
    const DType dtype = a.dtype.value_or(DType::kInt64);
    if (dtype == DType::kBool) fail("randperm: not implemented for dtype bool");
    const int64_t most = dtype == DType::kUInt8     ? 255
                         : dtype == DType::kInt32   ? std::numeric_limits<int32_t>::max()
                         : dtype == DType::kFloat32 ? int64_t{1} << 24
                                                    : int64_t{1} << 53;
    if (a.n > most) fail("randperm: n is too large for result tensor type ", name_of(dtype), ": ", a.n);
    return {{dtype, checked_sizes(name, Shape{a.n})}};
  }
  static void eval(const Attrs&, Inputs, Outputs out) {
    if (out[0].dtype() == DType::kInt64) return kernels::randperm(out[0], current_generator());
    const Tensor order_of = Tensor::empty(out[0].sizes(), DType::kInt64);
    kernels::randperm(order_of, current_generator());
    kernels::copy(order_of, out[0]);
  }
};

struct Bernoulli {
  using Attrs = BernoulliAttrs;
  static constexpr auto name = "bernoulli";
  static constexpr auto doc = "1 with probability p, or with those that input holds, else 0";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 2> order{"input", "p"};
  static constexpr bool random = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (a.p && !(*a.p >= 0 && *a.p <= 1)) {
      fail("bernoulli: bernoulli_ expects p to be in [0, 1], but got p=", *a.p);
    }
    if (!a.p) floating(name, in[0].dtype);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (a.p) return kernels::bernoulli(out[0], *a.p, current_generator());
    kernels::bernoulli(out[0], in[0], current_generator());
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const TensorSpec& spec = v.output_spec(0);
    return {Tensor::zeros(spec.shape, spec.dtype)};
  }
};

const OpFamily kFamily{op_def<Rand<false>>(),    op_def<Rand<true>>(), op_def<RandLike<false>>(),
                       op_def<RandLike<true>>(), op_def<Randint>(),    op_def<RandomIntegers>(),
                       op_def<RandintLike>(),    op_def<Randperm>(),   op_def<Bernoulli>()};

}  // namespace

Tensor rand(const SizedAttrs& attrs) { return apply<Rand<false>>(attrs, {}); }
Tensor rand_like(const Tensor& x, const LikeAttrs& attrs) { return apply<RandLike<false>>(attrs, {x}); }
Tensor randn(const SizedAttrs& attrs) { return apply<Rand<true>>(attrs, {}); }
Tensor randn_like(const Tensor& x, const LikeAttrs& attrs) { return apply<RandLike<true>>(attrs, {x}); }
Tensor randint(const RandintAttrs& attrs) { return apply<RandomIntegers>(attrs, {}); }
Tensor randint_like(const Tensor& x, const RandintLikeAttrs& a) {
  return randint({a.low, a.high, x.sizes(), a.dtype.value_or(x.dtype())});
}
Tensor randperm(const RandpermAttrs& attrs) { return apply<Randperm>(attrs, {}); }
Tensor bernoulli(const Tensor& x, const BernoulliAttrs& attrs) { return apply<Bernoulli>(attrs, {x}); }

}  // namespace tapewire
