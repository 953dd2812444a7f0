#include "core/nn/activation.h"

#include "core/base/error.h"
#include "core/nn/registry.h"
#include "core/ops/activation.h"

namespace tapewire {
namespace {

// torch.nn.functional's _get_softmax_dim.
int64_t softmax_dim(const SoftmaxOptions& options, const Tensor& x) {
  if (options.dim) return *options.dim;
  return x.dim() == 0 || x.dim() == 1 || x.dim() == 3 ? 0 : 1;
}

}  // namespace

Tensor ReLU::forward(const Tensor& x) { return options().inplace ? relu_(x) : relu(x); }
Tensor Sigmoid::forward(const Tensor& x) { return sigmoid(x); }
Tensor Tanh::forward(const Tensor& x) { return tanh(x); }
Tensor Softmax::forward(const Tensor& x) { return softmax(x, {softmax_dim(options(), x)}); }
Tensor LogSoftmax::forward(const Tensor& x) { return log_softmax(x, {softmax_dim(options(), x)}); }
Tensor Softmin::forward(const Tensor& x) { return softmin(x, {softmax_dim(options(), x)}); }

Tensor Softmax2d::forward(const Tensor& x) {
  if (x.dim() != 3 && x.dim() != 4) {
    fail("Softmax2d: expected input to be 3D or 4D, got ", x.dim(), "D instead");
  }
  return softmax(x, {-3});
}

namespace {
const ModuleFamily kFamily{module_def<ReLU>(),     module_def<Sigmoid>(),    module_def<Tanh>(),
                           module_def<Softmax>(),  module_def<LogSoftmax>(), module_def<Softmin>(),
                           module_def<Softmax2d>()};
}  // namespace

}  // namespace tapewire
