#include "core/nn/convolution.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/nn/convolution_support.h"
#include "core/nn/init.h"
#include "core/nn/registry.h"

namespace tapewire {
namespace {

bool all_are(const Shape& sizes, int64_t value) {
  return std::ranges::all_of(sizes, [value](int64_t size) { return size == value; });
}

void check_padding(std::string_view layer, const ConvOptions& o) {
  if (!o.padding.rule.empty() && o.padding.rule != "same" && o.padding.rule != "valid") {
    fail(layer, ": Invalid padding string ", quoted(o.padding.rule), ", should be one of 'valid', 'same'");
  }
  if (o.padding.rule == "same" && !all_are(o.stride, 1)) {
    fail(layer, ": padding='same' is not supported for strided convolutions");
  }
}

// nullopt for zeros.
std::optional<PadMode> border_mode(std::string_view layer, const std::string& name) {
  if (name == "zeros") return std::nullopt;
  if (name == "reflect") return PadMode::kReflect;
  if (name == "replicate") return PadMode::kReplicate;
  if (name == "circular") return PadMode::kCircular;
  fail(layer, ": padding_mode must be one of 'zeros', 'reflect', 'replicate', 'circular', but got padding_mode=",
       quoted(name));
}

// What is added before and after each spatial dimension, from the last one back. Options are spread.
Shape border_sizes(std::string_view layer, const ConvOptions& o) {
  Shape out;
  for (size_t i = o.kernel_size.size(); i-- > 0;) {
    int64_t total = 0;
    if (__builtin_mul_overflow(o.dilation[i], o.kernel_size[i] - 1, &total)) {
      fail(layer, ": kernel_size ", o.kernel_size[i], " and dilation ", o.dilation[i], " overflow");
    }
    if (o.padding.rule.empty()) {
      out.insert(out.end(), 2, o.padding.sizes[i]);
    } else if (o.padding.rule == "valid") {
      out.insert(out.end(), 2, 0);
    } else {
      out.push_back(total / 2);
      out.push_back(total - total / 2);
    }
  }
  return out;
}

}  // namespace

void check_conv_channels(std::string_view layer, const ConvOptions& o) {
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
}

std::string conv_repr(const ConvOptions& o, const Shape& output_padding) {
  std::string out = str_cat(o.in_channels, ", ", o.out_channels, ", kernel_size=", sizes_repr(o.kernel_size),
                            ", stride=", sizes_repr(o.stride));
  if (!o.padding.rule.empty()) {
    out += str_cat(", padding=", o.padding.rule);
  } else if (!all_are(o.padding.sizes, 0)) {
    out += str_cat(", padding=", sizes_repr(o.padding.sizes));
  }
  if (!all_are(o.dilation, 1)) out += str_cat(", dilation=", sizes_repr(o.dilation));
  if (!all_are(output_padding, 0)) out += str_cat(", output_padding=", sizes_repr(output_padding));
  if (o.groups != 1) out += str_cat(", groups=", o.groups);
  if (!o.bias) out += ", bias=False";
  if (o.padding_mode != "zeros") out += str_cat(", padding_mode=", o.padding_mode);
  return out;
}

ConvNd::ConvNd(std::string_view name, size_t spatial, const Options& options) : spatial_(spatial), options_(options) {
  check_conv_channels(name, options);
  check_padding(name, options);
  options_.kernel_size = spread_sizes(name, "kernel_size", options.kernel_size, spatial, 1);
  options_.stride = spread_sizes(name, "stride", options.stride, spatial, 1);
  options_.dilation = spread_sizes(name, "dilation", options.dilation, spatial, 1);
  options_.padding.sizes = spread_sizes(name, "padding", options.padding.sizes, spatial, 0);
  attrs_ = {options_.stride, options_.padding, options_.dilation, options_.groups};
  const Shape border = border_sizes(name, options_);
  if (const std::optional<PadMode> mode = border_mode(name, options.padding_mode)) {
    border_ = PadAttrs{.pad = border, .mode = *mode};
    attrs_.padding = ConvPadding();
  }

  Shape sizes{options.out_channels, options.in_channels / options.groups};
  sizes.insert(sizes.end(), options_.kernel_size.begin(), options_.kernel_size.end());
  weight_ = Tensor::empty(sizes);
  if (options.bias) bias_ = Tensor::empty({options.out_channels});
  init::default_weight_and_bias(weight_, bias_);
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Tensor ConvNd::forward(const Tensor& x) {
  return conv_nd(spatial_, border_ ? pad(x, *border_) : x, weight_, bias_, attrs_);
}

std::string ConvNd::extra_repr() const { return conv_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<Conv1d>(), module_def<Conv2d>(), module_def<Conv3d>()};
}  // namespace

}  // namespace tapewire
