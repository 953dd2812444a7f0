#include "core/kernels/conv.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/kernels/conv_impl.h"
#include "core/kernels/copy.h"
#include "core/kernels/onednn.h"
#include "core/kernels/reduce.h"

namespace tapewire::kernels {
namespace {

ConvShape shape_of(const Tensor& x, const Tensor& w, const Tensor& out, const ConvParams& params) {
  const int64_t rank = x.dim() - 2;
  const auto wrong = [&] {
    fail_internal("convolution kernel: x ", to_string(x.sizes()), ", w ", to_string(w.sizes()), ", out ",
                  to_string(out.sizes()), ", stride ", to_string(params.stride), ", padding ",
                  to_string(params.padding), ", dilation ", to_string(params.dilation), ", groups ", params.groups);
  };
  const auto spatial = static_cast<size_t>(rank);
  if (rank < 1 || rank > 3 || w.dim() != x.dim() || out.dim() != x.dim() || params.stride.size() != spatial ||
      params.padding.size() != spatial || params.dilation.size() != spatial || params.groups < 1) {
    wrong();
  }
  ConvShape s;
  s.rank = rank;
  s.groups = params.groups;
  s.batch = x.sizes()[0];
  s.in_channels = x.sizes()[1];
  s.out_channels = out.sizes()[1];
  if (out.sizes()[0] != s.batch || w.sizes()[0] != s.out_channels || w.sizes()[1] * s.groups != s.in_channels ||
      s.out_channels % s.groups != 0) {
    wrong();
  }
  for (size_t i = 0; i < spatial; ++i) {
    const size_t d = 3 - spatial + i;
    s.in[d] = x.sizes()[2 + i];
    s.out[d] = out.sizes()[2 + i];
    s.kernel[d] = w.sizes()[2 + i];
    s.stride[d] = params.stride[i];
    s.padding[d] = params.padding[i];
    s.dilation[d] = params.dilation[i];
    const int64_t reach = s.dilation[d] * (s.kernel[d] - 1) + 1;
    if (s.stride[d] < 1 || s.dilation[d] < 1 || s.padding[d] < 0 || s.kernel[d] < 1 || s.out[d] < 0 ||
        (s.in[d] + 2 * s.padding[d] - reach) / s.stride[d] + 1 < s.out[d]) {
      wrong();
    }
  }
  return s;
}

// Which way is fastest for float32, as measured (one thread, AVX2).
enum class Way { kDirect, kOneDnn, kColumns };

Way way_of(const ConvShape& s) {
  // A product of matrices as it stands, or nearly: packing for oneDNN would cost more than it brings.
  if (s.kernel_plane() == 1 && s.groups == 1) return Way::kColumns;
  // oneDNN works in blocks of eight channels; ours along rows of outputs, in vectors of eight.
  const bool fills_blocks = s.in_channels % 8 == 0 && s.out_channels % 8 == 0;
  const bool fills_vectors = (8 - s.out[2] % 8) % 8 * 10 <= s.out[2];
  const bool few =
      std::min(s.in_channels, s.out_channels) < 4 || (!fills_blocks && fills_vectors && s.in_channels <= 32);
  return few && conv_direct::fits(s) ? Way::kDirect : Way::kOneDnn;
}

// Row-major room for a result: the tensor itself, or what is then copied to it.
Tensor plain_output(const Tensor& out) { return out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype()); }

// float32, float64 and int64.
template <class F>
void dispatch_number(const char* op, DType dtype, const F& f) {
  if (dtype == DType::kInt64) return f(TypeTag<int64_t>{});
  dispatch_floating(op, dtype, f);
}

bool is_empty(const ConvShape& s) { return s.products() == 0; }

}  // namespace

void conv_forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvParams& params, const Tensor& out) {
  const ConvShape s = shape_of(x, w, out, params);
  if (out.numel() == 0) return;
  const Tensor result = plain_output(out);
  dispatch_number("convolution", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain_x = contiguous(x);
    const Tensor plain_w = contiguous(w);
    const Tensor plain_bias = bias.defined() ? contiguous(bias) : bias;
    const T* b = bias.defined() ? plain_bias.data<T>() : nullptr;
    const T* xs = plain_x.data<T>();
    const T* ws = plain_w.data<T>();
    if (is_empty(s)) {
      fill(result, 0);
      if (b == nullptr) return;
      Shape shape(static_cast<size_t>(out.dim()), 1);
      shape[1] = s.out_channels;
      copy(plain_bias.alias({shape, contiguous_strides(shape), plain_bias.offset()}), result);
      return;
    }
    if constexpr (std::is_same_v<T, float>) {
      const Way way = way_of(s);
      if (way == Way::kDirect) return conv_direct::forward(s, xs, ws, b, to);
      if (way == Way::kOneDnn && onednn::conv_forward(s, xs, ws, b, to)) return;
    }
    if constexpr (std::is_same_v<T, int64_t>) {
      conv_plain::forward(s, xs, ws, b, to);
    } else {
      conv_columns::forward(s, xs, ws, b, to);
    }
  });
  if (!result.is_same(out)) copy(result, out);
}

void conv_backward_input(const Tensor& grad, const Tensor& w, const ConvParams& params, const Tensor& grad_x) {
  const ConvShape s = shape_of(grad_x, w, grad, params);
  if (grad_x.numel() == 0) return;
  const Tensor result = plain_output(grad_x);
  dispatch_number("convolution_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    if (is_empty(s)) return fill(result, 0);
    const Tensor plain_grad = contiguous(grad);
    const Tensor plain_w = contiguous(w);
    const T* gs = plain_grad.data<T>();
    const T* ws = plain_w.data<T>();
    if constexpr (std::is_same_v<T, float>) {
      const Way way = way_of(s);
      if (way == Way::kDirect) return conv_direct::backward_input(s, gs, ws, to);
      if (way == Way::kOneDnn && onednn::conv_backward_input(s, gs, ws, to)) return;
    }
    if constexpr (std::is_same_v<T, int64_t>) {
      conv_plain::backward_input(s, gs, ws, to);
    } else {
      conv_columns::backward_input(s, gs, ws, to);
    }
  });
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

void conv_backward_weight(const Tensor& grad, const Tensor& x, const ConvParams& params, const Tensor& grad_w) {
  const ConvShape s = shape_of(x, grad_w, grad, params);
  if (grad_w.numel() == 0) return;
  const Tensor result = plain_output(grad_w);
  dispatch_floating("convolution_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    if (is_empty(s)) return fill(result, 0);
    const Tensor plain_grad = contiguous(grad);
    const Tensor plain_x = contiguous(x);
    const T* gs = plain_grad.data<T>();
    const T* xs = plain_x.data<T>();
    if constexpr (std::is_same_v<T, float>) {
      const Way way = way_of(s);
      if (way == Way::kDirect) return conv_direct::backward_weight(s, gs, xs, to);
      if (way == Way::kOneDnn && onednn::conv_backward_weight(s, gs, xs, to)) return;
    }
    conv_columns::backward_weight(s, gs, xs, to);
  });
  if (!result.is_same(grad_w)) copy(result, grad_w);
}

void conv_backward_bias(const Tensor& grad, const Tensor& grad_b) {
  Shape dims;
  for (int64_t d = 0; d < grad.dim(); ++d) {
    if (d != 1) dims.push_back(d);
  }
  sum(grad, dims, grad_b);
}

}  // namespace tapewire::kernels
