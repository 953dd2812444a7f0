#include "core/nn/layer_norm.h"

#include "core/nn/registry.h"
#include "core/ops/layer_norm.h"

namespace tapewire {

LayerNorm::LayerNorm(const Options& options) : options_(options) {
  if (options.elementwise_affine) weight_ = Tensor::full(options.normalized_shape, 1.0);
  if (options.elementwise_affine && options.bias) bias_ = Tensor::zeros(options.normalized_shape);
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Tensor LayerNorm::forward(const Tensor& x) {
  return layer_norm(x, weight_, bias_, {.normalized_shape = options_.normalized_shape, .eps = options_.eps});
}

std::string LayerNorm::extra_repr() const {
  return str_cat(AttributeType<Shape>::to(options_.normalized_shape).repr(), ", eps=", Value(options_.eps).repr(),
                 ", elementwise_affine=", options_.elementwise_affine ? "True" : "False");
}

namespace {
const ModuleFamily kFamily{module_def<LayerNorm>()};
}  // namespace

}  // namespace tapewire
