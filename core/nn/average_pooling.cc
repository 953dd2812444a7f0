#include "core/nn/average_pooling.h"

#include "core/base/error.h"
#include "core/nn/registry.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/pooling_support.h"

namespace tapewire {
namespace {

constexpr ReprStyle kWindowOnly{.count = 3};

// One number for each dimension, as PyTorch keeps them here alone.
AvgPool1dAttrs in_tuples(AvgPool1dAttrs options) {
  const kernels::PoolParams window =
      window_of(AvgPool1d::kName, options.kernel_size, options.stride, options.padding, {1}, 1);
  options.kernel_size = window.kernel;
  options.stride = window.stride;
  options.padding = window.padding;
  return options;
}

}  // namespace

AvgPool1d::AvgPool1d(const Options& options) : StatelessLayer(in_tuples(options)) {}
Tensor AvgPool1d::forward(const Tensor& x) { return avg_pool1d(x, options()); }
std::string AvgPool1d::extra_repr() const {
  return str_cat("kernel_size=", sizes_repr(options().kernel_size), ", stride=", sizes_repr(*options().stride),
                 ", padding=", sizes_repr(options().padding));
}

AvgPoolNd::AvgPoolNd(std::string_view name, size_t spatial, const Options& options)
    : spatial_(spatial), options_(options) {
  window_of(name, options.kernel_size, options.stride, options.padding, {1}, spatial);
  if (!options_.stride) options_.stride = options.kernel_size;
  if (options.divisor_override == 0) fail(name, ": divisor must be not zero");
}
Tensor AvgPoolNd::forward(const Tensor& x) { return spatial_ == 2 ? avg_pool2d(x, options_) : avg_pool3d(x, options_); }
std::string AvgPoolNd::extra_repr() const { return options_repr(options_, kWindowOnly); }

LPPoolNd::LPPoolNd(std::string_view name, size_t spatial, const Options& options) : options_(options) {
  const auto p = options.norm_type.to<double>();
  check_finite(name, "norm_type", p);
  if (p == 0) fail(name, ": norm_type must not be 0");
  const kernels::PoolParams window = window_of(name, options.kernel_size, options.stride, {0}, {1}, spatial);
  window_.kernel_size = window.kernel;
  window_.stride = window.stride;
  window_.ceil_mode = options.ceil_mode;
}
Tensor LPPoolNd::forward(const Tensor& x) {
  const auto p = options_.norm_type.to<double>();
  const Tensor powers = pow(x, p);
  const Tensor means = window_.kernel_size.size() == 1 ? avg_pool1d(powers, window_) : avg_pool2d(powers, window_);
  const auto count = static_cast<double>(numel_of(window_.kernel_size));
  return pow(mul(mul(sign(means), relu(abs(means))), count), 1 / p);
}
std::string LPPoolNd::extra_repr() const { return options_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<AvgPool1d>(), module_def<AvgPool2d>(), module_def<AvgPool3d>(),
                           module_def<LPPool1d>(), module_def<LPPool2d>()};
}  // namespace

}  // namespace tapewire
