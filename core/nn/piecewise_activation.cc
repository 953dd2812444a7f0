#include "core/nn/piecewise_activation.h"

#include "core/base/error.h"
#include "core/nn/registry.h"

namespace tapewire {

Hardtanh::Hardtanh(const Options& options) : Activation(options) {
  const auto low = options.min_val.to<double>();
  const auto high = options.max_val.to<double>();
  if (!(low < high)) {
    fail("Hardtanh: max_val must be larger than min_val, got min_val=", Value(options.min_val).repr(),
         " and max_val=", Value(options.max_val).repr());
  }
}
Softshrink::Softshrink(const Options& options) : Activation(options) {
  if (!(options.lambd >= 0)) {
    fail("Softshrink: lambda must be greater or equal to 0, but found to be ", Value(options.lambd).repr());
  }
}
RReLU::RReLU(const Options& options) : Activation(options) {
  if (!(options.lower <= options.upper)) {
    fail("RReLU: Lower bound should be less than or equal to the upper bound, got lower=", Value(options.lower).repr(),
         " and upper=", Value(options.upper).repr());
  }
}
PReLU::PReLU(const Options& options) : options_(options) {
  if (options.num_parameters < 1) {
    fail("PReLU: num_parameters must be at least 1, got ", options.num_parameters);
  }
  weight_ = register_parameter("weight", Tensor::full({options.num_parameters}, options.init));
}

Tensor ReLU6::forward(const Tensor& x) { return options().inplace ? relu6_(x) : relu6(x); }
Tensor Hardtanh::forward(const Tensor& x) {
  return options().inplace ? hardtanh_(x, options()) : hardtanh(x, options());
}
Tensor Hardsigmoid::forward(const Tensor& x) { return options().inplace ? hardsigmoid_(x) : hardsigmoid(x); }
Tensor Hardswish::forward(const Tensor& x) { return options().inplace ? hardswish_(x) : hardswish(x); }
Tensor LeakyReLU::forward(const Tensor& x) {
  return options().inplace ? leaky_relu_(x, options()) : leaky_relu(x, options());
}
Tensor Hardshrink::forward(const Tensor& x) { return hardshrink(x, options()); }
Tensor Softshrink::forward(const Tensor& x) { return softshrink(x, options()); }
Tensor Threshold::forward(const Tensor& x) {
  return options().inplace ? threshold_(x, options()) : threshold(x, options());
}
Tensor RReLU::forward(const Tensor& x) {
  const RreluAttrs attrs{options().lower, options().upper, training()};
  return options().inplace ? rrelu_(x, attrs) : rrelu(x, attrs);
}
Tensor PReLU::forward(const Tensor& x) { return prelu(x, weight_); }

namespace {
const ModuleFamily kFamily{module_def<ReLU6>(),      module_def<Hardtanh>(),  module_def<Hardsigmoid>(),
                           module_def<Hardswish>(),  module_def<LeakyReLU>(), module_def<Hardshrink>(),
                           module_def<Softshrink>(), module_def<Threshold>(), module_def<RReLU>(),
                           module_def<PReLU>()};
}  // namespace

}  // namespace tapewire
