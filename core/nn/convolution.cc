#include "core/nn/convolution.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/nn/init.h"
#include "core/nn/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

Shape spread(std::string_view layer, const char* name, const Shape& given, size_t spatial, int64_t least) {
  if (given.size() != 1 && given.size() != spatial) {
    fail(layer, ": ", name, " must be one int or ", spatial, ", got ", to_string(given));
  }
  if (std::ranges::min(given) < least) {
    fail(layer, ": ", name, " must be at least ", least, ", got ", to_string(given));
  }
  return given.size() == 1 ? Shape(spatial, given[0]) : given;
}

std::string sizes_repr(const Shape& sizes) { return AttributeType<Shape>::to(sizes).repr(); }

bool all_are(const Shape& sizes, int64_t value) {
  return std::ranges::all_of(sizes, [value](int64_t size) { return size == value; });
}

void check(std::string_view layer, const ConvOptions& o) {
  if (o.groups < 1) fail(layer, ": groups must be a positive integer, got ", o.groups);
  if (o.in_channels < 0 || o.out_channels < 0) {
    fail(layer, ": in_channels and out_channels must not be negative, got ", o.in_channels, " and ", o.out_channels);
  }
  if (o.in_channels % o.groups != 0) {
    fail(layer, ": in_channels must be divisible by groups, got ", o.in_channels, " and ", o.groups);
  }
  if (o.out_channels % o.groups != 0) {
    fail(layer, ": out_channels must be divisible by groups, got ", o.out_channels, " and ", o.groups);
  }
  if (o.padding_mode == "reflect" || o.padding_mode == "replicate" || o.padding_mode == "circular") {
    fail(layer, ": padding_mode ", quoted(o.padding_mode), " is not supported, only 'zeros' is");
  }
  if (o.padding_mode != "zeros") {
    fail(layer, ": padding_mode must be one of 'zeros', 'reflect', 'replicate', 'circular', but got padding_mode=",
         quoted(o.padding_mode));
  }
  if (!o.padding.rule.empty() && o.padding.rule != "same" && o.padding.rule != "valid") {
    fail(layer, ": Invalid padding string ", quoted(o.padding.rule), ", should be one of 'valid', 'same'");
  }
  if (o.padding.rule == "same" && !all_are(o.stride, 1)) {
    fail(layer, ": padding='same' is not supported for strided convolutions");
  }
}

}  // namespace

ConvNd::ConvNd(std::string_view name, size_t spatial, const Options& options) : options_(options) {
  check(name, options);
  options_.kernel_size = spread(name, "kernel_size", options.kernel_size, spatial, 1);
  options_.stride = spread(name, "stride", options.stride, spatial, 1);
  options_.dilation = spread(name, "dilation", options.dilation, spatial, 1);
  options_.padding.sizes = spread(name, "padding", options.padding.sizes, spatial, 0);
  crop_ = Shape(spatial, 0);
  if (options.padding.rule == "valid") options_.padding.sizes = Shape(spatial, 0);
  if (options.padding.rule == "same") {
    for (size_t i = 0; i < spatial; ++i) {
      int64_t total = 0;
      if (__builtin_mul_overflow(options_.dilation[i], options_.kernel_size[i] - 1, &total)) {
        fail(name, ": kernel_size ", options_.kernel_size[i], " and dilation ", options_.dilation[i], " overflow");
      }
      // An odd total is rounded up on both sides; the window that starts in the extra zero is dropped again.
      crop_[i] = total % 2;
      options_.padding.sizes[i] = total / 2 + crop_[i];
    }
  }
  attrs_ = {options_.stride, options_.padding.sizes, options_.dilation, options_.groups};

  Shape sizes{options.out_channels, options.in_channels / options.groups};
  sizes.insert(sizes.end(), options_.kernel_size.begin(), options_.kernel_size.end());
  weight_ = Tensor::empty(sizes);
  if (options.bias) bias_ = Tensor::empty({options.out_channels});
  init::default_weight_and_bias(weight_, bias_);
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Tensor ConvNd::forward(const Tensor& x) {
  const size_t spatial = crop_.size();
  const Tensor out = spatial == 1   ? conv1d(x, weight_, bias_, attrs_)
                     : spatial == 2 ? conv2d(x, weight_, bias_, attrs_)
                                    : conv3d(x, weight_, bias_, attrs_);
  if (all_are(crop_, 0)) return out;
  AsStridedAttrs cropped{out.sizes(), out.strides(), 0};
  const size_t first = out.sizes().size() - spatial;
  for (size_t i = 0; i < spatial; ++i) {
    cropped.size[first + i] -= crop_[i];
    cropped.storage_offset += crop_[i] * cropped.stride[first + i];
  }
  return as_strided(out, cropped);
}

std::string ConvNd::extra_repr() const {
  const Options& o = options_;
  std::string out = str_cat(o.in_channels, ", ", o.out_channels, ", kernel_size=", sizes_repr(o.kernel_size),
                            ", stride=", sizes_repr(o.stride));
  if (!o.padding.rule.empty()) {
    out += str_cat(", padding=", o.padding.rule);
  } else if (!all_are(o.padding.sizes, 0)) {
    out += str_cat(", padding=", sizes_repr(o.padding.sizes));
  }
  if (!all_are(o.dilation, 1)) out += str_cat(", dilation=", sizes_repr(o.dilation));
  if (o.groups != 1) out += str_cat(", groups=", o.groups);
  if (!o.bias) out += ", bias=False";
  return out;
}

namespace {
const ModuleFamily kFamily{module_def<Conv1d>(), module_def<Conv2d>(), module_def<Conv3d>()};
}  // namespace

}  // namespace tapewire
