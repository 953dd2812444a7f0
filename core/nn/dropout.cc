#include "core/nn/dropout.h"

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/nn/registry.h"
#include "core/ops/arithmetic.h"
#include "core/ops/dropout.h"

namespace tapewire {
namespace {

using DropoutOp = Tensor(const Tensor&, const DropoutAttrs&);

// One number for each index of the first `kept` dimensions, the others being one long.
Shape leading_sizes(const Tensor& x, int64_t kept) {
  Shape sizes = x.sizes();
  for (size_t i = static_cast<size_t>(kept); i < sizes.size(); ++i) sizes[i] = 1;
  return sizes;
}

// x times what `drop` makes of ones of sizes `noise`: drawn as the op draws for x.
Tensor drop_in_place(DropoutOp* drop, const Tensor& x, const Shape& noise, double p, bool training) {
  if (!training || p == 0) return x;
  Tensor mask;
  {
    const NoGradGuard no_grad;
    mask = drop(Tensor::full(noise, 1.0, x.dtype()), {.p = p, .training = true});
  }
  return mul_(x, mask);
}

// dropout1d and dropout3d take x with and without a batch dimension.
int64_t dims_to_channel(const Tensor& x, int64_t spatial) { return x.dim() == spatial + 2 ? 2 : 1; }

}  // namespace

template <class Self>
DropoutLayer<Self>::DropoutLayer(const DropoutOptions& options) : StatelessLayer<Self, DropoutOptions>(options) {
  if (!(options.p >= 0 && options.p <= 1)) {
    fail(Self::kName, ": dropout probability has to be between 0 and 1, but got ", Value(options.p).repr());
  }
}

Tensor Dropout::forward(const Tensor& x) {
  const auto [p, inplace] = options();
  return inplace ? drop_in_place(dropout, x, x.sizes(), p, training()) : dropout(x, {p, training()});
}
Tensor Dropout1d::forward(const Tensor& x) {
  const auto [p, inplace] = options();
  if (!inplace) return dropout1d(x, {p, training()});
  return drop_in_place(dropout1d, x, leading_sizes(x, dims_to_channel(x, 1)), p, training());
}
Tensor Dropout2d::forward(const Tensor& x) {
  const auto [p, inplace] = options();
  return inplace ? drop_in_place(dropout2d, x, leading_sizes(x, 2), p, training()) : dropout2d(x, {p, training()});
}
Tensor Dropout3d::forward(const Tensor& x) {
  const auto [p, inplace] = options();
  if (!inplace) return dropout3d(x, {p, training()});
  return drop_in_place(dropout3d, x, leading_sizes(x, dims_to_channel(x, 3)), p, training());
}
Tensor AlphaDropout::forward(const Tensor& x) { return alpha_dropout(x, {options().p, training()}); }
Tensor FeatureAlphaDropout::forward(const Tensor& x) { return feature_alpha_dropout(x, {options().p, training()}); }

template class DropoutLayer<Dropout>;
template class DropoutLayer<Dropout1d>;
template class DropoutLayer<Dropout2d>;
template class DropoutLayer<Dropout3d>;
template class DropoutLayer<AlphaDropout>;
template class DropoutLayer<FeatureAlphaDropout>;

namespace {
const ModuleFamily kFamily{module_def<Dropout>(),   module_def<Dropout1d>(),    module_def<Dropout2d>(),
                           module_def<Dropout3d>(), module_def<AlphaDropout>(), module_def<FeatureAlphaDropout>()};
}  // namespace

}  // namespace tapewire
