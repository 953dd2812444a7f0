#include "core/nn/normalization.h"

#include "core/base/error.h"
#include "core/nn/registry.h"
#include "core/ops/normalization.h"

namespace tapewire {

BatchNorm::BatchNorm(std::string_view name, const Options& options) : options_(options) {
  const int64_t features = options.num_features;
  if (features < 0) fail(name, ": num_features must not be negative, got ", features);
  if (options.affine) {
    weight_ = Tensor::full({features}, 1.0);
    bias_ = Tensor::zeros({features});
  }
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
  if (options.track_running_stats) {
    running_mean_ = Tensor::zeros({features});
    running_var_ = Tensor::full({features}, 1.0);
    num_batches_tracked_ = Tensor::zeros({}, DType::kInt64);
  }
  register_buffer("running_mean", running_mean_);
  register_buffer("running_var", running_var_);
  register_buffer("num_batches_tracked", num_batches_tracked_);
}

Tensor BatchNorm::forward(const Tensor& x) {
  check_dims(x.dim());
  const bool counting = training() && options_.track_running_stats;
  double momentum = options_.momentum.value_or(0);
  if (counting && !options_.momentum) momentum = 1 / static_cast<double>(num_batches_tracked_.item<int64_t>() + 1);
  const bool by_batch = training() || !options_.track_running_stats;
  const Tensor out = batch_norm(x, running_mean_, running_var_, weight_, bias_,
                                {.training = by_batch, .momentum = momentum, .eps = options_.eps});
  if (counting) {
    ++*num_batches_tracked_.mutable_data<int64_t>();
    num_batches_tracked_.storage().bump_version();
  }
  return out;
}

std::string BatchNorm::extra_repr() const {
  // Without the name of num_features, as PyTorch has it.
  return attributes_repr(options_).substr(std::string_view("num_features=").size());
}

void BatchNorm1d::check_dims(int64_t dims) const {
  if (dims != 2 && dims != 3) fail(kName, ": expected 2D or 3D input (got ", dims, "D input)");
}
void BatchNorm2d::check_dims(int64_t dims) const {
  if (dims != 4) fail(kName, ": expected 4D input (got ", dims, "D input)");
}
void BatchNorm3d::check_dims(int64_t dims) const {
  if (dims != 5) fail(kName, ": expected 5D input (got ", dims, "D input)");
}

namespace {
const ModuleFamily kFamily{module_def<BatchNorm1d>(), module_def<BatchNorm2d>(), module_def<BatchNorm3d>()};
}  // namespace

}  // namespace tapewire
