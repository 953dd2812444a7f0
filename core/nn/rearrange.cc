#include "core/nn/rearrange.h"

#include "core/base/error.h"
#include "core/nn/registry.h"
#include "core/ops/view_ops.h"

namespace tapewire {
namespace {

void check_factor(std::string_view layer, const char* name, int64_t factor) {
  if (factor < 1) fail(layer, ": expects a positive ", name, ", but got ", factor);
  if (factor >= int64_t{1} << 31) fail(layer, ": ", name, " ", factor, " is too large");
}

}  // namespace

Unflatten::Unflatten(const Options& options) : StatelessLayer(options) {
  const Shape& sizes = options.unflattened_size;
  if (sizes.empty()) fail(kName, ": unflattened_size must be non-empty");
  Shape known;
  for (const int64_t size : sizes) {
    if (size < -1) fail(kName, ": unflattened_size must not be below -1, got ", to_string(sizes));
    if (size != -1) known.push_back(size);
  }
  if (known.size() + 1 < sizes.size()) fail(kName, ": only one size can be inferred, got ", to_string(sizes));
  numel_of(known);
}

Tensor Unflatten::forward(const Tensor& x) { return unflatten(x, options().dim, options().unflattened_size); }

PixelShuffle::PixelShuffle(const Options& options) : StatelessLayer(options) {
  check_factor(kName, "upscale_factor", options.upscale_factor);
}

PixelUnshuffle::PixelUnshuffle(const Options& options) : StatelessLayer(options) {
  check_factor(kName, "downscale_factor", options.downscale_factor);
}

ChannelShuffle::ChannelShuffle(const Options& options) : StatelessLayer(options) {
  if (options.groups < 1)
    fail(kName, ": Number of groups to divide channels in must be positive. Value of groups:", options.groups);
}

Tensor ChannelShuffle::forward(const Tensor& x) {
  const int64_t groups = options().groups;
  if (x.dim() < 3) {
    fail(kName, ": channel_shuffle expects input with > 2 dims, but got input with sizes ", to_string(x.sizes()));
  }
  if (x.size(1) % groups != 0) {
    fail(kName, ": Number of channels must be divisible by groups. Got ", x.size(1), " channels and ", groups,
         " groups.");
  }
  return flatten(transpose(unflatten(x, 1, Shape{groups, x.size(1) / groups}), 1, 2), {.start_dim = 1, .end_dim = 2});
}

namespace {
const ModuleFamily kFamily{module_def<Unflatten>(), module_def<PixelShuffle>(), module_def<PixelUnshuffle>(),
                           module_def<ChannelShuffle>()};
}  // namespace

}  // namespace tapewire
