#include "core/nn/normalization.h"

#include "core/base/error.h"
#include "core/nn/registry.h"
#include "core/ops/layer_norm.h"
#include "core/ops/shape_ops.h"

namespace tapewire {

ChannelNorm::ChannelNorm(std::string_view name, const BatchNormOptions& options) : options_(options) {
  const int64_t features = options.num_features;
  if (features < 0) fail(name, ": num_features must not be negative, got ", features);
  check_eps(name, options.eps);
  if (options.momentum) check_finite(name, "momentum", *options.momentum);
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
  const int64_t dims = x.dim();
  if (spatial_ == 1 && dims != 2 && dims != 3) fail(type(), ": expected 2D or 3D input (got ", dims, "D input)");
  if (spatial_ != 1 && dims != spatial_ + 2)
    fail(type(), ": expected ", spatial_ + 2, "D input (got ", dims, "D input)");
  const Tensor& seen = num_batches_tracked();
  const bool counting = training() && options().track_running_stats;
  double momentum = options().momentum.value_or(0);
  if (counting && !options().momentum) momentum = 1 / static_cast<double>(seen.item<int64_t>() + 1);
  const Tensor out = batch_norm(x, running_mean(), running_var(), weight(), bias(),
                                {.training = by_input(), .momentum = momentum, .eps = options().eps});
  if (counting) {
    ++*seen.mutable_data<int64_t>();
    seen.storage().bump_version();
  }
  return out;
}

Tensor InstanceNorm::forward(const Tensor& x) {
  if (x.dim() != spatial_ + 1 && x.dim() != spatial_ + 2) {
    fail(type(), ": expected ", spatial_ + 1, "D or ", spatial_ + 2, "D input (got ", x.dim(), "D input)");
  }
  if (x.dim() == spatial_ + 1) return squeeze(forward(unsqueeze(x, 0)), 0);
  if (options().affine && x.size(1) != options().num_features) {
    fail(type(), ": expected input's size at dim=1 to match num_features (", options().num_features,
         "), but got: ", x.size(1), ".");
  }
  return instance_norm(
      x, running_mean(), running_var(), weight(), bias(),
      {.use_input_stats = by_input(), .momentum = options().momentum.value_or(0), .eps = options().eps});
}

LocalResponseNorm::LocalResponseNorm(const Options& options) : StatelessLayer(options) {
  if (options.size < 1 || options.size > kMostSize) {
    fail(kName, ": size must be at least 1 and at most ", kMostSize, ", got ", options.size);
  }
  check_finite(kName, "alpha", options.alpha);
  check_finite(kName, "beta", options.beta);
  check_finite(kName, "k", options.k);
}

namespace {
const ModuleFamily kFamily{module_def<BatchNorm1d>(),      module_def<BatchNorm2d>(),    module_def<BatchNorm3d>(),
                           module_def<InstanceNorm1d>(),   module_def<InstanceNorm2d>(), module_def<InstanceNorm3d>(),
                           module_def<LocalResponseNorm>()};
}  // namespace

}  // namespace tapewire
