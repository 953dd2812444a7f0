#include "core/nn/linear.h"

#include "core/base/error.h"
#include "core/nn/init.h"
#include "core/nn/registry.h"
#include "core/ops/product.h"

namespace tapewire {

Linear::Linear(const Options& options) : options_(options) {
  if (options.in_features < 0 || options.out_features < 0) {
    fail("Linear: in_features and out_features must not be negative, got ", options.in_features, " and ",
         options.out_features);
  }
  weight_ = Tensor::empty({options.out_features, options.in_features});
  if (options.bias) bias_ = Tensor::empty({options.out_features});
  init::default_weight_and_bias(weight_, bias_);
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Tensor Linear::forward(const Tensor& x) { return linear(x, weight_, bias_); }

std::string Linear::extra_repr() const { return attributes_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<Linear>()};
}  // namespace

}  // namespace tapewire
