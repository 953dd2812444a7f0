#include "core/nn/linear.h"

#include <cmath>

#include "core/base/error.h"
#include "core/nn/arguments.h"
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

Bilinear::Bilinear(const Options& options) : options_(options) {
  if (options.in1_features <= 0) fail(kName, ": in1_features must be > 0, but got ", options.in1_features);
  if (options.in2_features < 0 || options.out_features < 0) {
    fail(kName, ": in2_features and out_features must not be negative, got ", options.in2_features, " and ",
         options.out_features);
  }
  weight_ = Tensor::empty({options.out_features, options.in1_features, options.in2_features});
  if (options.bias) bias_ = Tensor::empty({options.out_features});
  const double bound = 1 / std::sqrt(static_cast<double>(options.in1_features));
  init::uniform_(weight_, {-bound, bound});
  if (options.bias) init::uniform_(bias_, {-bound, bound});
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Value Bilinear::forward(const Args& args) {
  const ModuleArguments arguments(kName, {"input1", "input2"}, args);
  return forward(arguments.tensor("input1"), arguments.tensor("input2"));
}

Tensor Bilinear::forward(const Tensor& input1, const Tensor& input2) {
  return bilinear(input1, input2, weight_, bias_);
}

std::string Bilinear::extra_repr() const { return attributes_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<Linear>(), module_def<Bilinear>()};
}  // namespace

}  // namespace tapewire
