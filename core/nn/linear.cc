#include "core/nn/linear.h"

#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/kernels/random.h"
#include "core/nn/registry.h"
#include "core/ops/product.h"

namespace tapewire {

Linear::Linear(const Options& options) : options_(options) {
  if (options.in_features < 0 || options.out_features < 0) {
    fail("Linear: in_features and out_features must not be negative, got ", options.in_features, " and ",
         options.out_features);
  }
  // kaiming_uniform_ with a = sqrt(5) and the fan-in bias bound are both 1/sqrt(in_features).
  const double bound = options.in_features > 0 ? 1 / std::sqrt(static_cast<double>(options.in_features)) : 0;
  weight_ = register_parameter("weight", Tensor::empty({options.out_features, options.in_features}));
  kernels::uniform(weight_, -bound, bound, current_generator());
  Tensor bias;
  if (options.bias) {
    bias = Tensor::empty({options.out_features});
    kernels::uniform(bias, -bound, bound, current_generator());
  }
  bias_ = register_parameter("bias", bias);
}

Tensor Linear::forward(const Tensor& x) { return linear(x, weight_, bias_); }

std::string Linear::extra_repr() const { return attributes_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<Linear>()};
}  // namespace

}  // namespace tapewire
