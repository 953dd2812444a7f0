#include "core/nn/activation.h"

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

Tensor ReLU::forward(const Tensor& x) { return options_.inplace ? relu_(x) : relu(x); }
Tensor Sigmoid::forward(const Tensor& x) { return sigmoid(x); }
Tensor Tanh::forward(const Tensor& x) { return tanh(x); }

Tensor Softmax::forward(const Tensor& x) { return softmax(x, {softmax_dim(options_, x)}); }
std::string Softmax::extra_repr() const { return attributes_repr(options_); }
Tensor LogSoftmax::forward(const Tensor& x) { return log_softmax(x, {softmax_dim(options_, x)}); }
std::string LogSoftmax::extra_repr() const { return attributes_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<ReLU>(), module_def<Sigmoid>(), module_def<Tanh>(), module_def<Softmax>(),
                           module_def<LogSoftmax>()};
}  // namespace

}  // namespace tapewire
