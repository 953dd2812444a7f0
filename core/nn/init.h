#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/fields.h"
#include "core/tensor/attributes.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// First values of parameters, as torch.nn.init. All change x in place, without history, and draw from the current
/// generator; random ones want float32 or float64.
namespace init {

enum class FanMode : uint8_t { kFanIn, kFanOut };
/// In the order of torch.nn.init.calculate_gain.
enum class Nonlinearity : uint8_t {
  kLinear,
  kConv1d,
  kConv2d,
  kConv3d,
  kConvTranspose1d,
  kConvTranspose2d,
  kConvTranspose3d,
  kSigmoid,
  kTanh,
  kRelu,
  kLeakyRelu,
  kSelu,
};

}  // namespace init

template <>
struct EnumNames<init::FanMode> {
  static constexpr std::array<std::string_view, 2> names{"fan_in", "fan_out"};
};
template <>
struct EnumNames<init::Nonlinearity> {
  static constexpr std::array<std::string_view, 12> names{
      "linear",           "conv1d",  "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
      "conv_transpose3d", "sigmoid", "tanh",   "relu",   "leaky_relu",       "selu"};
};

namespace init {

struct UniformAttrs {
  double a = 0;
  double b = 1;
  static constexpr auto fields() {
    return std::tuple{field("a", &UniformAttrs::a, "lower bound"), field("b", &UniformAttrs::b, "upper bound")};
  }
};
struct NormalAttrs {
  double mean = 0;
  double std = 1;
  static constexpr auto fields() {
    return std::tuple{field("mean", &NormalAttrs::mean, "mean"), field("std", &NormalAttrs::std, "standard deviation")};
  }
};
struct ConstantAttrs {
  Scalar val;
  static constexpr auto fields() { return std::tuple{required_field("val", &ConstantAttrs::val, "the value")}; }
};
struct TruncNormalAttrs {
  double mean = 0;
  double std = 1;
  double a = -2;
  double b = 2;
  static constexpr auto fields() {
    return std::tuple{field("mean", &TruncNormalAttrs::mean, "mean of the whole distribution"),
                      field("std", &TruncNormalAttrs::std, "standard deviation of the whole distribution"),
                      field("a", &TruncNormalAttrs::a, "least value"),
                      field("b", &TruncNormalAttrs::b, "largest value")};
  }
};
struct DiracAttrs {
  int64_t groups = 1;
  static constexpr auto fields() {
    return std::tuple{field("groups", &DiracAttrs::groups, "groups of the convolution, each an identity")};
  }
};
struct OrthogonalAttrs {
  double gain = 1;
  static constexpr auto fields() { return std::tuple{field("gain", &OrthogonalAttrs::gain, "scaling factor")}; }
};
struct SparseAttrs {
  double sparsity = 0;
  double std = 0.01;
  static constexpr auto fields() {
    return std::tuple{required_field("sparsity", &SparseAttrs::sparsity, "part of each column that is zero, 0 to 1"),
                      field("std", &SparseAttrs::std, "standard deviation of the rest")};
  }
};
struct KaimingAttrs {
  double a = 0;
  FanMode mode = FanMode::kFanIn;
  Nonlinearity nonlinearity = Nonlinearity::kLeakyRelu;
  static constexpr auto fields() {
    return std::tuple{field("a", &KaimingAttrs::a, "negative slope of the leaky_relu that follows"),
                      field("mode", &KaimingAttrs::mode, "'fan_in' keeps the variance forward, 'fan_out' backward"),
                      field("nonlinearity", &KaimingAttrs::nonlinearity, "the function that follows")};
  }
};
struct XavierAttrs {
  double gain = 1;
  static constexpr auto fields() { return std::tuple{field("gain", &XavierAttrs::gain, "scaling factor")}; }
};

/// How many inputs (outputs) each output (input) of a weight [out, in, *] depends on. Throws "Fan in and fan out can
/// not be computed for tensor with fewer than 2 dimensions".
struct Fans {
  int64_t in;
  int64_t out;
};
Fans fans(const Tensor& weight);
/// What a function does to the standard deviation of what passes it; `param` is leaky_relu's slope, 0.01 by default.
double calculate_gain(Nonlinearity nonlinearity, std::optional<double> param = {});
/// The same by name; throws "Unsupported nonlinearity relu7".
double calculate_gain(std::string_view nonlinearity, std::optional<double> param = {});

/// U[a, b). Throws for a > b, and for bounds or a range that x's dtype does not hold.
void uniform_(const Tensor& x, const UniformAttrs& attrs = {});
/// N(mean, std^2). Throws for a negative std.
void normal_(const Tensor& x, const NormalAttrs& attrs = {});
/// N(mean, std^2) cut off outside of [a, b]: by the inverse of the distribution's function, and clamped. Throws unless
/// std > 0, and for a > b.
void trunc_normal_(const Tensor& x, const TruncNormalAttrs& attrs = {});
void constant_(const Tensor& x, const Scalar& val);
void zeros_(const Tensor& x);
void ones_(const Tensor& x);
/// The identity matrix; x is two-dimensional.
void eye_(const Tensor& x);
/// The convolution's identity: x [out, in, *window], of one to three window dimensions, is 1 where the channels of
/// input and output are the same within their group, at size / 2 of each window dimension, else 0. Throws when groups
/// does not divide out.
void dirac_(const Tensor& x, const DiracAttrs& attrs = {});
/// He et al., 2015: U(-bound, bound) with bound = gain * sqrt(3 / fan), or N(0, gain^2 / fan).
void kaiming_uniform_(const Tensor& x, const KaimingAttrs& attrs = {});
void kaiming_normal_(const Tensor& x, const KaimingAttrs& attrs = {});
/// Glorot and Bengio, 2010: U(-bound, bound) with bound = gain * sqrt(6 / (fan_in + fan_out)), or N(0, 2 gain^2 /
/// (...)).
void xavier_uniform_(const Tensor& x, const XavierAttrs& attrs = {});
void xavier_normal_(const Tensor& x, const XavierAttrs& attrs = {});
/// Saxe et al., 2013: x [rows, *], taken as a matrix [rows, cols], has rows or columns (whichever are fewer) at right
/// angles and `gain` long, uniformly turned. x has two dimensions or more.
void orthogonal_(const Tensor& x, const OrthogonalAttrs& attrs = {});
/// Martens, 2010: N(0, std^2), but the part `sparsity` (rounded up) of each column of the matrix x, at random rows, is
/// zero. Throws for a sparsity outside of [0, 1].
void sparse_(const Tensor& x, const SparseAttrs& attrs);

/// How Linear and Conv start: weight by kaiming_uniform_ with a = sqrt(5), bias (may be undefined) by
/// U(±1/sqrt(fan_in)).
void default_weight_and_bias(const Tensor& weight, const Tensor& bias);

}  // namespace init

/// A rule for first values with its attributes erased; definitions name it without the underscore.
struct InitDef {
  std::string_view name;
  std::string_view doc;
  std::vector<AttributeInfo> (*attributes)() = nullptr;
  /// Adds one line to `faults` for each bad attribute and then leaves x alone. Throws Error for values out of range and
  /// a shape or dtype that the rule does not fit.
  void (*apply)(const AttributeMap& attributes, const Tensor& x, std::vector<std::string>& faults) = nullptr;
};

/// nullptr when unknown.
const InitDef* find_init(std::string_view name);
/// The same, throwing "unknown init rule 'kaiming_unifrom'; did you mean 'kaiming_uniform'?".
const InitDef& require_init(std::string_view name);
/// In alphabetical order.
std::vector<const InitDef*> all_inits();

}  // namespace tapewire
