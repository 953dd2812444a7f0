#include "core/nn/init.h"

#include <cmath>
#include <map>

#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/suggest.h"
#include "core/kernels/copy.h"
#include "core/kernels/random.h"

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

double std_of(const Tensor& x, const KaimingAttrs& attrs) {
  const Fans f = fans(x);
  const double fan = static_cast<double>(attrs.mode == FanMode::kFanIn ? f.in : f.out);
  return gain(attrs.nonlinearity, attrs.a) / std::sqrt(fan);
}

double std_of(const Tensor& x, const XavierAttrs& attrs) {
  const Fans f = fans(x);
  return attrs.gain * std::sqrt(2.0 / static_cast<double>(f.in + f.out));
}

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

double gain(Nonlinearity nonlinearity, double slope) {
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

void uniform_(const Tensor& x, const UniformAttrs& attrs) {
  check_floating("uniform", x);
  if (!(attrs.a <= attrs.b)) {
    fail("uniform_ expects to return a [from, to) range, but found from=", Value(attrs.a).repr(),
         " > to=", Value(attrs.b).repr());
  }
  kernels::uniform(x, attrs.a, attrs.b, current_generator());
  x.storage().bump_version();
}

void normal_(const Tensor& x, const NormalAttrs& attrs) {
  check_floating("normal", x);
  if (!(attrs.std >= 0)) fail("normal expects std >= 0.0, but found std ", Value(attrs.std).repr());
  kernels::normal(x, attrs.mean, attrs.std, current_generator());
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
  const double bound = std::sqrt(3.0) * std_of(x, attrs);
  uniform_(x, {-bound, bound});
}

void xavier_normal_(const Tensor& x, const XavierAttrs& attrs) {
  check_floating("xavier_normal", x);
  normal_(x, {0, std_of(x, attrs)});
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
