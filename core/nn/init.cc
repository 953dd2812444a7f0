#include "core/nn/init.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/suggest.h"
#include "core/kernels/binary.h"
#include "core/kernels/copy.h"
#include "core/kernels/erfinv.h"
#include "core/kernels/qr.h"
#include "core/kernels/random.h"
#include "core/kernels/ternary.h"
#include "core/tensor/views.h"

namespace tapewire {
namespace init {
namespace {

void check_floating(std::string_view rule, const Tensor& x) {
  if (!is_floating(x.dtype())) fail(rule, ": expects float32 or float64, got ", name_of(x.dtype()));
}

void fill(const Tensor& x, const Scalar& val) {
  kernels::fill(x, val);
  x.storage().bump_version();
}

void scale(const Tensor& x, double factor) {
  kernels::binary(kernels::BinaryOp::kMul, x, Tensor::scalar(factor, x.dtype()), x);
}

// The bounds and the range between them must be numbers of x's dtype.
void check_range(const Tensor& x, double from, double to) {
  const double most = x.dtype() == DType::kFloat32 ? static_cast<double>(std::numeric_limits<float>::max())
                                                   : std::numeric_limits<double>::max();
  if (!(from <= to)) {
    fail("uniform_ expects to return a [from, to) range, but found from=", Value(from).repr(),
         " > to=", Value(to).repr());
  }
  if (!(to - from <= most) || from < -most || to > most) {
    fail("uniform_ expects to-from <= std::numeric_limits<", name_of(x.dtype()),
         ">::max(), but found to=", Value(to).repr(), " and from=", Value(from).repr());
  }
}

double std_of(const Tensor& x, const KaimingAttrs& attrs) {
  const Fans f = fans(x);
  const double fan = static_cast<double>(attrs.mode == FanMode::kFanIn ? f.in : f.out);
  return calculate_gain(attrs.nonlinearity, attrs.a) / std::sqrt(fan);
}

double std_of(const Tensor& x, const XavierAttrs& attrs) {
  const Fans f = fans(x);
  return attrs.gain * std::sqrt(2.0 / static_cast<double>(f.in + f.out));
}

// The standard normal distribution's function.
double normal_cdf(double x) { return (1 + std::erf(x / std::sqrt(2.0))) / 2; }

Tensor transposed(const Tensor& x) { return x.alias(views::transpose(x.geometry(), 0, 1)); }

}  // namespace

Fans fans(const Tensor& weight) {
  if (weight.dim() < 2) {
    fail("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got ",
         to_string(weight.sizes()));
  }
  int64_t window = 1;
  for (int64_t d = 2; d < weight.dim(); ++d) window *= weight.size(d);
  return {weight.size(1) * window, weight.size(0) * window};
}

double calculate_gain(Nonlinearity nonlinearity, std::optional<double> param) {
  const double slope = param.value_or(0.01);
  switch (nonlinearity) {
    case Nonlinearity::kTanh:
      return 5.0 / 3;
    case Nonlinearity::kRelu:
      return std::sqrt(2.0);
    case Nonlinearity::kLeakyRelu:
      return std::sqrt(2.0 / (1 + slope * slope));
    case Nonlinearity::kSelu:
      return 3.0 / 4;
    default:
      return 1;
  }
}

double calculate_gain(std::string_view nonlinearity, std::optional<double> param) {
  const auto& names = EnumNames<Nonlinearity>::names;
  const auto found = std::ranges::find(names, nonlinearity);
  if (found == names.end()) fail("Unsupported nonlinearity ", nonlinearity);
  return calculate_gain(static_cast<Nonlinearity>(found - names.begin()), param);
}

void uniform_(const Tensor& x, const UniformAttrs& attrs) {
  check_floating("uniform", x);
  check_range(x, attrs.a, attrs.b);
  kernels::uniform(x, attrs.a, attrs.b, current_generator());
  x.storage().bump_version();
}

void normal_(const Tensor& x, const NormalAttrs& attrs) {
  check_floating("normal", x);
  if (!(attrs.std >= 0)) fail("normal expects std >= 0.0, but found std ", Value(attrs.std).repr());
  kernels::normal(x, attrs.mean, attrs.std, current_generator());
  x.storage().bump_version();
}

void trunc_normal_(const Tensor& x, const TruncNormalAttrs& attrs) {
  check_floating("trunc_normal", x);
  if (!(attrs.std > 0)) fail("trunc_normal expects std > 0.0, but found std ", Value(attrs.std).repr());
  const double low = normal_cdf((attrs.a - attrs.mean) / attrs.std);
  const double high = normal_cdf((attrs.b - attrs.mean) / attrs.std);
  uniform_(x, {2 * low - 1, 2 * high - 1});
  // Step by step as in PyTorch, whose roundings these are.
  kernels::erfinv(x, x);
  scale(x, attrs.std * std::sqrt(2.0));
  kernels::binary(kernels::BinaryOp::kAdd, x, Tensor::scalar(attrs.mean, x.dtype()), x);
  kernels::clamp(x, attrs.a, attrs.b, x);
  x.storage().bump_version();
}

void constant_(const Tensor& x, const Scalar& val) { fill(x, val); }
void zeros_(const Tensor& x) { fill(x, 0); }
void ones_(const Tensor& x) { fill(x, 1); }

void eye_(const Tensor& x) {
  if (x.dim() != 2) fail("Only tensors with 2 dimensions are supported, got ", to_string(x.sizes()));
  fill(x, 0);
  const int64_t size = std::min(x.size(0), x.size(1));
  if (size > 0) kernels::fill(x.alias({{size}, {x.strides()[0] + x.strides()[1]}, x.offset()}), 1);
}

void dirac_(const Tensor& x, const DiracAttrs& attrs) {
  if (x.dim() < 3 || x.dim() > 5) {
    fail("Only tensors with 3, 4, or 5 dimensions are supported, got ", to_string(x.sizes()));
  }
  if (attrs.groups < 1 || x.size(0) % attrs.groups != 0) {
    fail("dim 0 must be divisible by groups, got ", to_string(x.sizes()), " and ", attrs.groups);
  }
  fill(x, 0);
  if (x.numel() == 0) return;
  const int64_t outputs = x.size(0) / attrs.groups;
  int64_t centre = x.offset();
  for (int64_t d = 2; d < x.dim(); ++d) centre += x.size(d) / 2 * x.strides()[static_cast<size_t>(d)];
  const Shape size{std::min(outputs, x.size(1))};
  const Shape stride{x.strides()[0] + x.strides()[1]};
  for (int64_t g = 0; g < attrs.groups; ++g) {
    count_work(64);
    kernels::fill(x.alias({size, stride, centre + g * outputs * x.strides()[0]}), 1);
  }
}

void kaiming_uniform_(const Tensor& x, const KaimingAttrs& attrs) {
  check_floating("kaiming_uniform", x);
  const double bound = x.numel() == 0 ? 0 : std::sqrt(3.0) * std_of(x, attrs);
  uniform_(x, {-bound, bound});
}

void kaiming_normal_(const Tensor& x, const KaimingAttrs& attrs) {
  check_floating("kaiming_normal", x);
  normal_(x, {0, x.numel() == 0 ? 0 : std_of(x, attrs)});
}

void xavier_uniform_(const Tensor& x, const XavierAttrs& attrs) {
  check_floating("xavier_uniform", x);
  const double bound = x.numel() == 0 ? 0 : std::sqrt(3.0) * std_of(x, attrs);
  uniform_(x, {-bound, bound});
}

void xavier_normal_(const Tensor& x, const XavierAttrs& attrs) {
  check_floating("xavier_normal", x);
  normal_(x, {0, x.numel() == 0 ? 0 : std_of(x, attrs)});
}

void orthogonal_(const Tensor& x, const OrthogonalAttrs& attrs) {
  if (x.dim() < 2) fail("Only tensors with 2 or more dimensions are supported, got ", to_string(x.sizes()));
  check_floating("orthogonal", x);
  if (x.numel() == 0) return;
  const int64_t rows = x.size(0);
  const int64_t cols = x.numel() / rows;
  const Tensor drawn = Tensor::empty({rows, cols}, x.dtype());
  normal_(drawn);
  const bool wide = rows < cols;
  const Tensor q = Tensor::empty({std::max(rows, cols), std::min(rows, cols)}, x.dtype());
  kernels::orthonormal_columns(wide ? transposed(drawn) : drawn, q);
  const Tensor plain = kernels::contiguous(wide ? transposed(q) : q);
  kernels::copy(plain.alias(views::view(plain.geometry(), x.sizes())), x);
  scale(x, attrs.gain);
  x.storage().bump_version();
}

void sparse_(const Tensor& x, const SparseAttrs& attrs) {
  if (x.dim() != 2) fail("Only tensors with 2 dimensions are supported, got ", to_string(x.sizes()));
  if (!(attrs.sparsity >= 0 && attrs.sparsity <= 1)) {
    fail("sparse expects a sparsity between 0.0 and 1.0, but found ", Value(attrs.sparsity).repr());
  }
  normal_(x, {0, attrs.std});
  const int64_t rows = x.size(0);
  const auto zeros = static_cast<int64_t>(std::ceil(attrs.sparsity * static_cast<double>(rows)));
  const Tensor order = Tensor::empty({rows}, DType::kInt64);
  for (int64_t column = 0; x.numel() > 0 && column < x.size(1); ++column) {
    count_work(16 * rows);
    kernels::randperm(order, current_generator());
    const int64_t* row = order.data<int64_t>();
    dispatch_floating("sparse", x.dtype(), [&]<class T>(TypeTag<T>) {
      T* values = x.mutable_data<T>() + column * x.strides()[1];
      in_pieces(zeros, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) values[row[i] * x.strides()[0]] = 0;
      });
    });
  }
}

void default_weight_and_bias(const Tensor& weight, const Tensor& bias) {
  kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  if (!bias.defined()) return;
  const int64_t fan_in = fans(weight).in;
  const double bound = fan_in > 0 ? 1 / std::sqrt(static_cast<double>(fan_in)) : 0;
  uniform_(bias, {-bound, bound});
}

}  // namespace init

namespace {

template <Described Attrs, auto kApply>
InitDef def(std::string_view name, std::string_view doc) {
  return {name, doc, &attribute_infos<Attrs>,
          [](const AttributeMap& attributes, const Tensor& x, std::vector<std::string>& faults) {
            Attrs attrs{};
            const size_t before = faults.size();
            parse_attributes(attributes, attrs, faults);
            if (faults.size() == before) kApply(x, attrs);
          }};
}

const std::map<std::string_view, InitDef>& table() {
  static const std::map<std::string_view, InitDef> rules = [] {
    std::map<std::string_view, InitDef> out;
    for (const InitDef& rule : {
             def<init::UniformAttrs, init::uniform_>("uniform", "evenly between a and b"),
             def<init::NormalAttrs, init::normal_>("normal", "normally distributed"),
             def<init::ConstantAttrs, [](const Tensor& x, const init::ConstantAttrs& a) { init::constant_(x, a.val); }>(
                 "constant", "one value everywhere"),
             def<NoAttrs, [](const Tensor& x, const NoAttrs&) { init::zeros_(x); }>("zeros", "zeros"),
             def<NoAttrs, [](const Tensor& x, const NoAttrs&) { init::ones_(x); }>("ones", "ones"),
             def<NoAttrs, [](const Tensor& x, const NoAttrs&) { init::eye_(x); }>("eye", "the identity matrix"),
             def<init::TruncNormalAttrs, init::trunc_normal_>("trunc_normal", "normally distributed between a and b"),
             def<init::DiracAttrs, init::dirac_>("dirac", "a convolution that passes its input on"),
             def<init::OrthogonalAttrs, init::orthogonal_>("orthogonal",
                                                           "an orthogonal matrix, after Saxe et al., 2013"),
             def<init::SparseAttrs, init::sparse_>("sparse", "normally, mostly zeros, after Martens, 2010"),
             def<init::KaimingAttrs, init::kaiming_uniform_>("kaiming_uniform", "evenly, after He et al., 2015"),
             def<init::KaimingAttrs, init::kaiming_normal_>("kaiming_normal", "normally, after He et al., 2015"),
             def<init::XavierAttrs, init::xavier_uniform_>("xavier_uniform", "evenly, after Glorot and Bengio, 2010"),
             def<init::XavierAttrs, init::xavier_normal_>("xavier_normal", "normally, after Glorot and Bengio, 2010"),
         }) {
      out.emplace(rule.name, rule);
    }
    return out;
  }();
  return rules;
}

}  // namespace

const InitDef* find_init(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : &found->second;
}

const InitDef& require_init(std::string_view name) {
  if (const InitDef* rule = find_init(name)) return *rule;
  std::vector<std::string_view> names;
  for (const auto& [known, rule] : table()) names.push_back(known);
  fail("unknown init rule ", quoted(name), did_you_mean(name, names));
}

std::vector<const InitDef*> all_inits() {
  std::vector<const InitDef*> out;
  for (const auto& [name, rule] : table()) out.push_back(&rule);
  return out;
}

}  // namespace tapewire
