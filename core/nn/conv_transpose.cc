#include "core/nn/conv_transpose.h"

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/nn/arguments.h"
#include "core/nn/convolution_support.h"
#include "core/nn/init.h"
#include "core/nn/registry.h"

namespace tapewire {
namespace {

ConvOptions spread(std::string_view name, size_t spatial, const ConvTransposeOptions& o) {
  ConvOptions out{.in_channels = o.in_channels, .out_channels = o.out_channels};
  out.kernel_size = spread_sizes(name, "kernel_size", o.kernel_size, spatial, 1);
  out.stride = spread_sizes(name, "stride", o.stride, spatial, 1);
  out.padding = spread_sizes(name, "padding", o.padding, spatial, 0);
  out.dilation = spread_sizes(name, "dilation", o.dilation, spatial, 1);
  out.groups = o.groups;
  out.bias = o.bias;
  return out;
}

}  // namespace

ConvTransposeNd::ConvTransposeNd(std::string_view name, size_t spatial, const Options& options)
    : options_(spread(name, spatial, options)) {
  if (options.padding_mode != "zeros") {
    fail(name, ": Only \"zeros\" padding mode is supported for ", name, ", got ", quoted(options.padding_mode));
  }
  check_conv_channels(name, options_);
  const Shape extra = spread_sizes(name, "output_padding", options.output_padding, spatial, 0);
  attrs_ = {options_.stride, options_.padding.sizes, extra, options_.groups, options_.dilation};

  Shape sizes{options.in_channels, options.out_channels / options.groups};
  sizes.insert(sizes.end(), options_.kernel_size.begin(), options_.kernel_size.end());
  weight_ = Tensor::empty(sizes);
  if (options.bias) bias_ = Tensor::empty({options.out_channels});
  init::default_weight_and_bias(weight_, bias_);
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Shape ConvTransposeNd::padding_for(const Tensor& x, const Value& output_size) const {
  const size_t spatial = options_.kernel_size.size();
  const size_t lead = x.sizes().size() == spatial + 2 ? 2 : 1;
  Shape wanted = AttributeType<Shape>::from(output_size);
  if (wanted.size() == lead + spatial) wanted.erase(wanted.begin(), wanted.begin() + static_cast<int64_t>(lead));
  if (wanted.size() != spatial || x.sizes().size() != lead + spatial) {
    fail(type(), ": for ", x.dim(), "D input, output_size must have ", spatial, " or ", lead + spatial,
         " elements (got ", wanted.size(), ")");
  }
  Shape least;
  Shape most;
  bool fits = true;
  for (size_t d = 0; d < spatial; ++d) {
    const int64_t size = reach_of(type(), {.size = x.sizes()[lead + d],
                                           .stride = attrs_.stride[d],
                                           .kernel = options_.kernel_size[d],
                                           .dilation = attrs_.dilation[d],
                                           .padding = attrs_.padding[d]});
    least.push_back(size);
    most.push_back(size + attrs_.stride[d] - 1);
    fits = fits && least[d] <= wanted[d] && wanted[d] <= most[d];
  }
  if (!fits) {
    fail(type(), ": requested an output size of ", to_string(wanted), ", but valid sizes range from ", to_string(least),
         " to ", to_string(most), " (for an input of ", to_string(Ints(x.sizes()).subspan(lead)), ")");
  }
  for (size_t d = 0; d < spatial; ++d) wanted[d] -= least[d];
  return wanted;
}

Value ConvTransposeNd::forward(const Args& args) {
  const ModuleArguments arguments(type(), {"input", "output_size"}, args);
  const Tensor& x = arguments.tensor("input");
  ConvTransposeAttrs attrs = attrs_;
  if (arguments.given("output_size")) attrs.output_padding = padding_for(x, arguments.value("output_size"));
  const size_t spatial = options_.kernel_size.size();
  return spatial == 1   ? conv_transpose1d(x, weight_, bias_, attrs)
         : spatial == 2 ? conv_transpose2d(x, weight_, bias_, attrs)
                        : conv_transpose3d(x, weight_, bias_, attrs);
}

std::string ConvTransposeNd::extra_repr() const { return conv_repr(options_, attrs_.output_padding); }

namespace {
const ModuleFamily kFamily{module_def<ConvTranspose1d>(), module_def<ConvTranspose2d>(), module_def<ConvTranspose3d>()};
}  // namespace

}  // namespace tapewire
