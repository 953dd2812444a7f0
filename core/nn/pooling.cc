#include "core/nn/pooling.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/nn/registry.h"

namespace tapewire {
namespace {

void check(std::string_view layer, const char* name, const Shape& sizes, int64_t least) {
  if (sizes.size() != 1 && sizes.size() != 2) {
    fail(layer, ": ", name, " must be one int or 2, got ", to_string(sizes));
  }
  if (std::ranges::min(sizes) < least) fail(layer, ": ", name, " must be at least ", least, ", got ", to_string(sizes));
}

// A single number is printed as one, as it was most likely given.
std::string sizes_repr(const Shape& sizes) {
  return sizes.size() == 1 ? str_cat(sizes[0]) : AttributeType<Shape>::to(sizes).repr();
}

}  // namespace

MaxPool2d::MaxPool2d(const Options& options)
    : attrs_{options.kernel_size, options.stride.value_or(options.kernel_size), options.padding, options.dilation,
             options.ceil_mode} {
  check(kName, "kernel_size", attrs_.kernel_size, 1);
  check(kName, "stride", *attrs_.stride, 1);
  check(kName, "padding", attrs_.padding, 0);
  check(kName, "dilation", attrs_.dilation, 1);
}

Tensor MaxPool2d::forward(const Tensor& x) { return max_pool2d(x, attrs_); }

std::string MaxPool2d::extra_repr() const {
  return str_cat("kernel_size=", sizes_repr(attrs_.kernel_size), ", stride=", sizes_repr(*attrs_.stride),
                 ", padding=", sizes_repr(attrs_.padding), ", dilation=", sizes_repr(attrs_.dilation),
                 ", ceil_mode=", Value(attrs_.ceil_mode).repr());
}

namespace {
const ModuleFamily kFamily{module_def<MaxPool2d>()};
}  // namespace

}  // namespace tapewire
