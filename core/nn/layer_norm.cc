#include "core/nn/layer_norm.h"

#include "core/base/error.h"
#include "core/nn/registry.h"

namespace tapewire {
namespace {

void check_shape(std::string_view layer, const Shape& shape) {
  if (shape.empty()) {
    fail(layer,
         ": Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
         "normalized_shape = []");
  }
  numel_of(shape);
}

// The shape is a tuple in PyTorch's modules, even of one.
template <class Options>
std::string norm_repr(const Options& o) {
  return str_cat(sizes_repr(o.normalized_shape), ", eps=", AttributeType<decltype(o.eps)>::to(o.eps).repr(),
                 ", elementwise_affine=", Value(o.elementwise_affine).repr());
}

}  // namespace

LayerNorm::LayerNorm(const Options& options) : options_(options) {
  check_shape(kName, options.normalized_shape);
  check_eps(kName, options.eps);
  if (options.elementwise_affine) weight_ = Tensor::full(options.normalized_shape, 1.0);
  if (options.elementwise_affine && options.bias) bias_ = Tensor::zeros(options.normalized_shape);
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}
Tensor LayerNorm::forward(const Tensor& x) {
  return layer_norm(x, weight_, bias_, {.normalized_shape = options_.normalized_shape, .eps = options_.eps});
}
std::string LayerNorm::extra_repr() const { return norm_repr(options_); }

RMSNorm::RMSNorm(const Options& options) : options_(options) {
  check_shape(kName, options.normalized_shape);
  if (options.eps) check_eps(kName, *options.eps);
  if (options.elementwise_affine) weight_ = Tensor::full(options.normalized_shape, 1.0);
  register_parameter("weight", weight_);
}
Tensor RMSNorm::forward(const Tensor& x) {
  return rms_norm(x, weight_, {.normalized_shape = options_.normalized_shape, .eps = options_.eps});
}
std::string RMSNorm::extra_repr() const { return norm_repr(options_); }

GroupNorm::GroupNorm(const Options& options) : options_(options) {
  const auto& [groups, channels, eps, affine] = options;
  if (groups < 1) fail(kName, ": num_groups must be a positive integer, got ", groups);
  if (channels < 0) fail(kName, ": num_channels must not be negative, got ", channels);
  if (channels % groups != 0) {
    fail(kName, ": num_channels must be divisible by num_groups, got ", channels, " and ", groups);
  }
  check_eps(kName, eps);
  if (affine) {
    weight_ = Tensor::full({channels}, 1.0);
    bias_ = Tensor::zeros({channels});
  }
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}
Tensor GroupNorm::forward(const Tensor& x) {
  return group_norm(x, weight_, bias_, {.num_groups = options_.num_groups, .eps = options_.eps});
}

namespace {
const ModuleFamily kFamily{module_def<LayerNorm>(), module_def<RMSNorm>(), module_def<GroupNorm>()};
}  // namespace

}  // namespace tapewire
