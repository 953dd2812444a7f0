#include "core/nn/padding.h"

#include "core/nn/registry.h"

namespace tapewire {
namespace {

Shape spread(std::string_view name, size_t dims, const Shape& padding) {
  return spread_sizes(name, "padding", padding, 2 * dims, -kMostSize);
}

}  // namespace

ConstantPadNd::ConstantPadNd(std::string_view name, size_t dims, const Options& options)
    : options_{spread(name, dims, options.padding), options.value} {}
Tensor ConstantPadNd::forward(const Tensor& x) { return pad(x, {.pad = options_.padding, .value = options_.value}); }

BorderPadNd::BorderPadNd(std::string_view name, size_t dims, PadMode mode, const Options& options)
    : attrs_{.pad = spread(name, dims, options.padding), .mode = mode} {}
Tensor BorderPadNd::forward(const Tensor& x) { return pad(x, attrs_); }

namespace {
const ModuleFamily kFamily{
    module_def<ConstantPad1d>(),    module_def<ConstantPad2d>(),    module_def<ConstantPad3d>(),
    module_def<ZeroPad1d>(),        module_def<ZeroPad2d>(),        module_def<ZeroPad3d>(),
    module_def<ReflectionPad1d>(),  module_def<ReflectionPad2d>(),  module_def<ReflectionPad3d>(),
    module_def<ReplicationPad1d>(), module_def<ReplicationPad2d>(), module_def<ReplicationPad3d>(),
    module_def<CircularPad1d>(),    module_def<CircularPad2d>(),    module_def<CircularPad3d>()};
}  // namespace

}  // namespace tapewire
