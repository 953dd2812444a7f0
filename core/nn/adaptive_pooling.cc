#include "core/nn/adaptive_pooling.h"

#include "core/base/error.h"
#include "core/nn/arguments.h"
#include "core/nn/registry.h"

namespace tapewire {
namespace {

void check_sizes(std::string_view layer, const PooledSize& sizes, size_t spatial) {
  if (sizes.size() != 1 && sizes.size() != spatial) {
    fail(layer, ": output_size must be one int or ", spatial, ", got ", AttributeType<PooledSize>::to(sizes).repr());
  }
  for (const std::optional<int64_t>& size : sizes) {
    if (!size) continue;
    if (*size < 0) fail(layer, ": elements of output_size must be greater than or equal to 0 but received ", *size);
    if (*size > kMostSize) fail(layer, ": output_size is too large, got ", *size);
  }
}

}  // namespace

AdaptiveAvgPoolNd::AdaptiveAvgPoolNd(std::string_view name, size_t spatial, const Options& options)
    : spatial_(spatial), options_(options) {
  check_sizes(name, options.output_size, spatial);
}
Tensor AdaptiveAvgPoolNd::forward(const Tensor& x) {
  const PooledSize& size = options_.output_size;
  return spatial_ == 1   ? adaptive_avg_pool1d(x, size)
         : spatial_ == 2 ? adaptive_avg_pool2d(x, size)
                         : adaptive_avg_pool3d(x, size);
}

AdaptiveMaxPoolNd::AdaptiveMaxPoolNd(std::string_view name, size_t spatial, const Options& options)
    : spatial_(spatial), options_(options) {
  check_sizes(name, options.output_size, spatial);
}
Value AdaptiveMaxPoolNd::forward(const Args& args) {
  const Tensor x = ModuleArguments(type(), {"input"}, args).tensor("input");
  const Tensors out = adaptive_max_pool_with_indices(x, spatial_, options_.output_size);
  return options_.return_indices ? Value(Tuple{out[0], out[1]}) : Value(out[0]);
}

namespace {
const ModuleFamily kFamily{module_def<AdaptiveAvgPool1d>(), module_def<AdaptiveAvgPool2d>(),
                           module_def<AdaptiveAvgPool3d>(), module_def<AdaptiveMaxPool1d>(),
                           module_def<AdaptiveMaxPool2d>(), module_def<AdaptiveMaxPool3d>()};
}  // namespace

}  // namespace tapewire
