#include "core/nn/dropout.h"

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/nn/registry.h"
#include "core/ops/arithmetic.h"
#include "core/ops/dropout.h"
#include "core/tensor/attributes.h"

namespace tapewire {
namespace {

DropoutOptions checked(std::string_view layer, const DropoutOptions& options) {
  if (!(options.p >= 0 && options.p <= 1)) {
    fail(layer, ": dropout probability has to be between 0 and 1, but got ", Value(options.p).repr());
  }
  return options;
}

// What dropout makes of ones: the mask, drawn as for a tensor of these sizes.
template <class Drop>
Tensor mask(const Drop& drop, const Shape& sizes, DType dtype, double p) {
  NoGradGuard no_grad;
  return drop(Tensor::full(sizes, 1.0, dtype), DropoutAttrs{.p = p, .training = true});
}

}  // namespace

Dropout::Dropout(const Options& options) : options_(checked(kName, options)) {}
Dropout2d::Dropout2d(const Options& options) : options_(checked(kName, options)) {}

Tensor Dropout::forward(const Tensor& x) {
  if (!options_.inplace) return dropout(x, {.p = options_.p, .training = training()});
  if (!training() || options_.p == 0) return x;
  return mul_(x, mask(dropout, x.sizes(), x.dtype(), options_.p));
}

Tensor Dropout2d::forward(const Tensor& x) {
  if (!options_.inplace || x.dim() < 2) return dropout2d(x, {.p = options_.p, .training = training()});
  if (!training() || options_.p == 0) return x;
  Shape channels = x.sizes();
  for (size_t i = 2; i < channels.size(); ++i) channels[i] = 1;
  return mul_(x, mask(dropout2d, channels, x.dtype(), options_.p));
}

std::string Dropout::extra_repr() const { return attributes_repr(options_); }
std::string Dropout2d::extra_repr() const { return attributes_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<Dropout>(), module_def<Dropout2d>()};
}  // namespace

}  // namespace tapewire
