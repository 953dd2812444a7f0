#include "core/nn/pooling.h"

#include "core/base/error.h"
#include "core/nn/arguments.h"
#include "core/nn/registry.h"
#include "core/ops/gather.h"
#include "core/ops/pooling_support.h"

namespace tapewire {

MaxPoolNd::MaxPoolNd(std::string_view name, size_t spatial, const Options& options)
    : spatial_(spatial), options_(options) {
  window_of(name, options.kernel_size, options.stride, options.padding, options.dilation, spatial);
  if (!options_.stride) options_.stride = options.kernel_size;
}

Value MaxPoolNd::forward(const Args& args) {
  const Tensor x = ModuleArguments(type(), {"input"}, args).tensor("input");
  const Tensors out = max_pool_with_indices(x, spatial_, options_);
  return options_.return_indices ? Value(Tuple{out[0], out[1]}) : Value(out[0]);
}

std::string MaxPoolNd::extra_repr() const { return options_repr(options_, {.count = 5}); }

MaxUnpoolNd::MaxUnpoolNd(std::string_view name, size_t spatial, const Options& options) : options_(options) {
  const kernels::PoolParams window =
      window_of(name, options.kernel_size, options.stride, options.padding, {1}, spatial);
  options_ = {window.kernel, window.stride, window.padding};
}

Shape MaxUnpoolNd::output_sizes(const Tensor& x, const Value& asked) const {
  const size_t spatial = options_.kernel_size.size();
  const size_t lead = x.sizes().size() - spatial;
  Shape wanted;
  if (!asked.is_none()) wanted = AttributeType<Shape>::from(asked);
  if (wanted.size() == spatial + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (!asked.is_none() && wanted.size() != spatial) {
    fail(type(), ": output_size should be a sequence containing ", spatial, " or ", spatial + 2,
         " elements, but it has a length of '", wanted.size(), "'");
  }
  Shape out(x.sizes().begin(), x.sizes().begin() + static_cast<int64_t>(lead));
  for (size_t d = 0; d < spatial; ++d) {
    const int64_t stride = (*options_.stride)[d];
    int64_t size = reach_of(type(), {.size = x.sizes()[lead + d],
                                     .stride = stride,
                                     .kernel = options_.kernel_size[d],
                                     .dilation = 1,
                                     .padding = options_.padding[d]});
    if (!wanted.empty()) {
      if (wanted[d] <= size - stride || wanted[d] >= size + stride) {
        fail(type(), ": invalid output_size \"", to_string(wanted), "\" (dim ", d, " must be between ", size - stride,
             " and ", size + stride, ")");
      }
      size = wanted[d];
    }
    out.push_back(size);
  }
  return out;
}

Value MaxUnpoolNd::forward(const Args& args) {
  const ModuleArguments arguments(type(), {"input", "indices", "output_size"}, args);
  const Tensor& x = arguments.tensor("input");
  const Tensor& indices = arguments.tensor("indices");
  const auto spatial = static_cast<int64_t>(options_.kernel_size.size());
  if (x.dim() != spatial + 1 && x.dim() != spatial + 2) {
    fail(type(), ": Input to max_unpool", spatial, "d should be a ", spatial + 1, "d or ", spatial + 2,
         "d Tensor, but got: ", to_string(x.sizes()));
  }
  if (indices.sizes() != x.sizes()) {
    fail(type(), ": Expected shape of indices to be same as that of the input tensor (", to_string(x.sizes()),
         ") but got indices tensor with shape: ", to_string(indices.sizes()));
  }
  const Shape sizes = output_sizes(x, arguments.value("output_size"));
  const FlattenAttrs plane{.start_dim = -spatial};
  const Tensor flat = flatten(Tensor::zeros(sizes, x.dtype()), plane);
  return reshape(scatter(flat, -1, flatten(indices, plane), flatten(x, plane)), sizes);
}

std::string MaxUnpoolNd::extra_repr() const { return attributes_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<MaxPool1d>(),   module_def<MaxPool2d>(),   module_def<MaxPool3d>(),
                           module_def<MaxUnpool1d>(), module_def<MaxUnpool2d>(), module_def<MaxUnpool3d>()};
}  // namespace

}  // namespace tapewire
