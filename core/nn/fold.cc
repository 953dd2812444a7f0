#include "core/nn/fold.h"

#include "core/nn/registry.h"

namespace tapewire {
namespace {

template <class Attrs>
void check_window(std::string_view layer, const Attrs& a) {
  spread_sizes(layer, "kernel_size", a.kernel_size, 2, 1);
  spread_sizes(layer, "dilation", a.dilation, 2, 1);
  spread_sizes(layer, "padding", a.padding, 2, 0);
  spread_sizes(layer, "stride", a.stride, 2, 1);
}

}  // namespace

Unfold::Unfold(const Options& options) : StatelessLayer(options) { check_window(kName, options); }

Fold::Fold(const Options& options) : StatelessLayer(options) {
  spread_sizes(kName, "output_size", options.output_size, 2, 1);
  check_window(kName, options);
}

namespace {
const ModuleFamily kFamily{module_def<Fold>(), module_def<Unfold>()};
}  // namespace

}  // namespace tapewire
