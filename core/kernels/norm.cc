#include "core/kernels/norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/reduce.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

// A row-major [N, C, *] as batch x channels x plane.
struct Extents {
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t plane = 1;
};

Extents extents_of(const Tensor& x) {
  if (x.dim() < 2) fail_internal("batch norm kernel: input ", to_string(x.sizes()));
  Extents e{x.sizes()[0], x.sizes()[1], 1};
  for (size_t d = 2; d < x.sizes().size(); ++d) e.plane *= x.sizes()[d];
  return e;
}

// Short planes are handled a channel block at a time, so that [N, C] inputs run along rows.
constexpr int64_t kBlock = 64;
constexpr int64_t kShortPlane = 8;

int64_t block_of(const Extents& e) { return e.plane < kShortPlane ? kBlock : 1; }

// Calls body(first channel, channels) over all channels, several at once where planes are short.
template <class Body>
void for_each_channel(const Extents& e, const Body& body) {
  const int64_t block = block_of(e);
  const int64_t blocks = (e.channels + block - 1) / block;
  const int64_t work = std::max<int64_t>(1, e.batch * e.plane * block);
  parallel_for(blocks, std::max<int64_t>(1, kLightGrain / 2 / work), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) body(b * block, std::min(block, e.channels - b * block));
  });
}

// Sums in double of f(i) over [0, n), eight lanes at a time, in a fixed order.
template <class F>
double sum_lanes(int64_t n, const F& f) {
  double lanes[8] = {};
  in_pieces(n, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + 8 <= end; i += 8) {
      for (int64_t l = 0; l < 8; ++l) lanes[l] += f(i + l);
    }
    for (; i < end; ++i) lanes[0] += f(i);
  });
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// One number a channel of a [C] tensor, or a default where it is undefined.
template <class T>
CountedVector<T> channel_values(const Tensor& tensor, int64_t channels, T otherwise) {
  CountedVector<T> values(static_cast<size_t>(channels), otherwise);
  if (!tensor.defined()) return values;
  if (tensor.numel() != channels) fail_internal("batch norm kernel: ", to_string(tensor.sizes()), " of channels");
  const T* data = tensor.data<T>();
  const int64_t stride = tensor.dim() == 0 ? 1 : tensor.strides().back();
  for (int64_t c = 0; c < channels; ++c) values[static_cast<size_t>(c)] = data[c * stride];
  return values;
}

Tensor plain_output(const Tensor& out) { return out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype()); }

}  // namespace

void channel_moments(const Tensor& x, const Tensor& mean, const Tensor& var) {
  Shape dims;
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (d != 1) dims.push_back(d);
  }
  kernels::var(x, dims, 0, var, mean);
}

void reciprocal_std(const Tensor& var, double eps, const Tensor& out) {
  dispatch_floating("batch_norm", var.dtype(), [&]<class T>(TypeTag<T>) {
    const T small = static_cast<T>(eps);
    map<T, T>(kLightGrain, out, [small](T v) { return T{1} / std::sqrt(v + small); }, var);
  });
}

void batch_norm_forward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& weight,
                        const Tensor& bias, const Tensor& out) {
  const Extents e = extents_of(x);
  if (x.numel() == 0) return;  // however many empty planes there are
  const Tensor result = plain_output(out);
  dispatch_floating("batch_norm", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(x);
    const T* from = plain.data<T>();
    CountedVector<T> scale = channel_values<T>(rstd, e.channels, T{1});
    CountedVector<T> shift = channel_values<T>(bias, e.channels, T{0});
    const CountedVector<T> centre = channel_values<T>(mean, e.channels, T{0});
    const CountedVector<T> gain = channel_values<T>(weight, e.channels, T{1});
    for (size_t c = 0; c < scale.size(); ++c) {
      scale[c] *= gain[c];
      shift[c] -= centre[c] * scale[c];
    }
    const int64_t rows = e.batch * e.channels;
    if (e.plane < kShortPlane) {
      parallel_for(e.batch, std::max<int64_t>(1, kLightGrain / std::max<int64_t>(1, e.channels * e.plane)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t n = begin; n < end; ++n) {
                       const T* in = from + n * e.channels * e.plane;
                       T* row = to + n * e.channels * e.plane;
                       TW_INDEPENDENT
                       for (int64_t c = 0; c < e.channels; ++c) {
                         for (int64_t p = 0; p < e.plane; ++p) {
                           const int64_t i = c * e.plane + p;
                           row[i] = in[i] * scale[static_cast<size_t>(c)] + shift[static_cast<size_t>(c)];
                         }
                       }
                     }
                   });
      return;
    }
    parallel_for(rows, std::max<int64_t>(1, kLightGrain / e.plane), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const size_t c = static_cast<size_t>(row % e.channels);
        const T a = scale[c];
        const T b = shift[c];
        const T* in = from + row * e.plane;
        T* y = to + row * e.plane;
        in_pieces(e.plane, [&](int64_t from_i, int64_t to_i) {
          TW_INDEPENDENT
          for (int64_t i = from_i; i < to_i; ++i) y[i] = in[i] * a + b;
        });
      }
    });
  });
  if (!result.is_same(out)) copy(result, out);
}

void batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                         const Tensor& weight, bool training, const Tensor& grad_x, const Tensor& grad_w,
                         const Tensor& grad_b) {
  const Extents e = extents_of(x);
  if (x.numel() == 0) {
    if (grad_w.defined()) fill(grad_w, 0);
    if (grad_b.defined()) fill(grad_b, 0);
    return;
  }
  dispatch_floating("batch_norm_backward", x.dtype(), [&]<class T>(TypeTag<T>) {
    const Tensor result = grad_x.defined() ? plain_output(grad_x) : grad_x;
    T* gx = grad_x.defined() ? result.mutable_data<T>() : nullptr;
    T* gw = grad_w.defined() ? grad_w.mutable_data<T>() : nullptr;
    T* gb = grad_b.defined() ? grad_b.mutable_data<T>() : nullptr;
    const int64_t gw_stride = gw == nullptr ? 0 : grad_w.strides().back();
    const int64_t gb_stride = gb == nullptr ? 0 : grad_b.strides().back();
    const Tensor plain_grad = contiguous(grad);
    const Tensor plain_x = contiguous(x);
    const T* g = plain_grad.data<T>();
    const T* v = plain_x.data<T>();
    const CountedVector<T> centre = channel_values<T>(mean, e.channels, T{0});
    const CountedVector<T> scale = channel_values<T>(rstd, e.channels, T{1});
    const CountedVector<T> gain = channel_values<T>(weight, e.channels, T{1});
    const double count = static_cast<double>(e.batch * e.plane);

    for_each_channel(e, [&](int64_t first, int64_t channels) {
      double sum[kBlock] = {};
      double dot[kBlock] = {};  // of grad and x - mean
      for (int64_t n = 0; n < e.batch; ++n) {
        count_work(2 * channels * e.plane);
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t at = (n * e.channels + first + c) * e.plane;
          const double m = static_cast<double>(centre[static_cast<size_t>(first + c)]);
          sum[c] += sum_lanes(e.plane, [&](int64_t i) { return static_cast<double>(g[at + i]); });
          dot[c] += sum_lanes(e.plane, [&](int64_t i) {
            return static_cast<double>(g[at + i]) * (static_cast<double>(v[at + i]) - m);
          });
        }
      }
      for (int64_t c = 0; c < channels; ++c) {
        const size_t channel = static_cast<size_t>(first + c);
        if (gb != nullptr) gb[(first + c) * gb_stride] = static_cast<T>(sum[c]);
        if (gw != nullptr) gw[(first + c) * gw_stride] = static_cast<T>(dot[c] * static_cast<double>(scale[channel]));
      }
      if (gx == nullptr) return;
      T factor[kBlock];
      T slope[kBlock];
      T offset[kBlock];
      for (int64_t c = 0; c < channels; ++c) {
        const size_t channel = static_cast<size_t>(first + c);
        const double r = static_cast<double>(scale[channel]);
        factor[c] = scale[channel] * gain[channel];
        slope[c] = training ? static_cast<T>(dot[c] * r * r / count) : T{0};
        offset[c] = training ? static_cast<T>(sum[c] / count) : T{0};
      }
      for (int64_t n = 0; n < e.batch; ++n) {
        count_work(channels * e.plane);
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t at = (n * e.channels + first + c) * e.plane;
          const T m = centre[static_cast<size_t>(first + c)];
          const T f = factor[c];
          const T k = slope[c];
          const T o = offset[c];
          const T* from = g + at;
          const T* in = v + at;
          T* to = gx + at;
          in_pieces(e.plane, [&](int64_t begin, int64_t end) {
            TW_INDEPENDENT
            for (int64_t i = begin; i < end; ++i) to[i] = (from[i] - o - (in[i] - m) * k) * f;
          });
        }
      }
    });
    if (grad_x.defined() && !result.is_same(grad_x)) copy(result, grad_x);
  });
}

}  // namespace tapewire::kernels
