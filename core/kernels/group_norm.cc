#include "core/kernels/group_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

struct Extents {
  int64_t batch;
  int64_t groups;
  int64_t channels;
  int64_t plane;

  int64_t rows() const { return batch * groups; }
  int64_t length() const { return channels * plane; }
};

Extents extents_of(const Tensor& x) {
  if (x.dim() != 4) fail_internal("group norm kernel: input ", to_string(x.sizes()));
  return {x.sizes()[0], x.sizes()[1], x.sizes()[2], x.sizes()[3]};
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

int64_t row_grain(const Extents& e) { return std::max<int64_t>(1, kLightGrain / 2 / std::max<int64_t>(1, e.length())); }

// A tensor of one number a channel as a plain array, or `otherwise` for each where it is undefined.
template <class T>
class ChannelValues {
 public:
  ChannelValues(const Tensor& tensor, const Extents& e, T otherwise) {
    if (!tensor.defined()) {
      filled_.assign(static_cast<size_t>(e.groups * e.channels), otherwise);
      return;
    }
    if (tensor.numel() != e.groups * e.channels) {
      fail_internal("group norm kernel: ", to_string(tensor.sizes()), " of channels");
    }
    plain_ = contiguous(tensor);
  }
  const T* data() const { return plain_.defined() ? plain_.data<T>() : filled_.data(); }

 private:
  Tensor plain_;
  CountedVector<T> filled_;
};

Tensor plain_output(const Tensor& out) { return out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype()); }

// The gradient of one row: (grad * weight - its mean - xhat * mean of (grad * weight * xhat)) * rstd.
template <class T>
void row_backward(const Extents& e, const T* grad, const T* x, bool centred, T mean, T rstd, const T* weight, T* to) {
  const double m = static_cast<double>(mean);
  double sum = 0;
  double dot = 0;
  if (e.plane == 1) {
    sum = sum_lanes(e.channels, [&](int64_t c) { return static_cast<double>(grad[c] * weight[c]); });
    dot = sum_lanes(e.channels, [&](int64_t c) {
      return static_cast<double>(grad[c] * weight[c]) * (static_cast<double>(x[c]) - m);
    });
  } else {
    for (int64_t c = 0; c < e.channels; ++c) {
      const T* g = grad + c * e.plane;
      const T* v = x + c * e.plane;
      const double w = static_cast<double>(weight[c]);
      count_work(2 * e.plane);
      sum += w * sum_lanes(e.plane, [&](int64_t i) { return static_cast<double>(g[i]); });
      dot += w *
             sum_lanes(e.plane, [&](int64_t i) { return static_cast<double>(g[i]) * (static_cast<double>(v[i]) - m); });
    }
  }
  const double count = static_cast<double>(e.length());
  const double r = static_cast<double>(rstd);
  const T offset = centred ? static_cast<T>(sum / count) : T{0};
  const T slope = static_cast<T>(dot * r * r / count);
  if (e.plane == 1) {
    in_pieces(e.channels, [&](int64_t begin, int64_t end) {
      TW_INDEPENDENT
      for (int64_t c = begin; c < end; ++c) to[c] = (grad[c] * weight[c] - offset - (x[c] - mean) * slope) * rstd;
    });
    return;
  }
  for (int64_t c = 0; c < e.channels; ++c) {
    const T* g = grad + c * e.plane;
    const T* v = x + c * e.plane;
    const T w = weight[c];
    T* out = to + c * e.plane;
    count_work(e.plane);
    in_pieces(e.plane, [&](int64_t begin, int64_t end) {
      TW_INDEPENDENT
      for (int64_t i = begin; i < end; ++i) out[i] = (g[i] * w - offset - (v[i] - mean) * slope) * rstd;
    });
  }
}

// Sums over the batch (and the plane) for the channels [begin, end) of all groups' channels.
template <class T>
void channel_sums(const Extents& e, const T* grad, const T* x, const T* mean, const T* rstd, int64_t begin, int64_t end,
                  double* sum, double* dot) {
  for (int64_t n = 0; n < e.batch; ++n) {
    for (int64_t c = begin; c < end;) {
      const int64_t group = c / e.channels;
      const int64_t last = std::min(end, (group + 1) * e.channels);
      const double m = static_cast<double>(mean[n * e.groups + group]);
      const double r = static_cast<double>(rstd[n * e.groups + group]);
      const T* g = grad + (n * e.groups * e.channels + c) * e.plane;
      const T* v = x + (n * e.groups * e.channels + c) * e.plane;
      double* s = sum + (c - begin);
      double* d = dot + (c - begin);
      count_work(2 * (last - c) * e.plane);
      if (e.plane == 1) {
        TW_INDEPENDENT
        for (int64_t i = 0; i < last - c; ++i) {
          s[i] += static_cast<double>(g[i]);
          d[i] += static_cast<double>(g[i]) * (static_cast<double>(v[i]) - m) * r;
        }
      } else {
        for (int64_t i = 0; i < last - c; ++i, g += e.plane, v += e.plane) {
          s[i] += sum_lanes(e.plane, [&](int64_t p) { return static_cast<double>(g[p]); });
          d[i] += r * sum_lanes(e.plane,
                                [&](int64_t p) { return static_cast<double>(g[p]) * (static_cast<double>(v[p]) - m); });
        }
      }
      c = last;
    }
  }
}

}  // namespace

void group_moments(const Tensor& x, bool centred, double eps, const Tensor& mean, const Tensor& rstd) {
  const Extents e = extents_of(x);
  const Tensor means = plain_output(mean);
  const Tensor scales = plain_output(rstd);
  dispatch_floating("group_norm", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to_mean = means.mutable_data<T>();
    T* to_rstd = scales.mutable_data<T>();
    const Tensor plain = contiguous(x);
    const T* from = plain.data<T>();
    const int64_t n = e.length();
    parallel_for(e.rows(), row_grain(e), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = from + r * n;
        double m = 0;
        if (centred)
          m = sum_lanes(n, [row](int64_t i) { return static_cast<double>(row[i]); }) / static_cast<double>(n);
        const double squares = sum_lanes(n, [row, m](int64_t i) {
          const double d = static_cast<double>(row[i]) - m;
          return d * d;
        });
        to_mean[r] = static_cast<T>(m);
        to_rstd[r] = static_cast<T>(1 / std::sqrt(squares / static_cast<double>(n) + eps));
      }
    });
  });
  if (!means.is_same(mean)) copy(means, mean);
  if (!scales.is_same(rstd)) copy(scales, rstd);
}

void group_norm_forward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& weight,
                        const Tensor& bias, const Tensor& out) {
  const Extents e = extents_of(x);
  if (out.numel() == 0) return;
  const Tensor result = plain_output(out);
  dispatch_floating("group_norm", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(x);
    const Tensor means = contiguous(mean);
    const Tensor scales = contiguous(rstd);
    const T* from = plain.data<T>();
    const T* m = means.data<T>();
    const T* r = scales.data<T>();
    const ChannelValues<T> gain(weight, e, T{1});
    const ChannelValues<T> shift(bias, e, T{0});
    parallel_for(e.rows(), row_grain(e), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* w = gain.data() + row % e.groups * e.channels;
        const T* b = shift.data() + row % e.groups * e.channels;
        const T* in = from + row * e.length();
        T* y = to + row * e.length();
        const T centre = m[row];
        const T scale = r[row];
        if (e.plane == 1) {
          in_pieces(e.channels, [&](int64_t first, int64_t last) {
            TW_INDEPENDENT
            for (int64_t c = first; c < last; ++c) y[c] = (in[c] - centre) * scale * w[c] + b[c];
          });
          continue;
        }
        for (int64_t c = 0; c < e.channels; ++c, in += e.plane, y += e.plane) {
          const T factor = scale * w[c];
          const T offset = b[c];
          count_work(e.plane);
          in_pieces(e.plane, [&](int64_t first, int64_t last) {
            TW_INDEPENDENT
            for (int64_t i = first; i < last; ++i) y[i] = (in[i] - centre) * factor + offset;
          });
        }
      }
    });
  });
  if (!result.is_same(out)) copy(result, out);
}

void group_norm_backward(const Tensor& grad, const Tensor& x, bool centred, const Tensor& mean, const Tensor& rstd,
                         const Tensor& weight, const Tensor& grad_x, const Tensor& grad_w, const Tensor& grad_b) {
  const Extents e = extents_of(x);
  dispatch_floating("group_norm_backward", x.dtype(), [&]<class T>(TypeTag<T>) {
    const Tensor plain_grad = contiguous(grad);
    const Tensor plain_x = contiguous(x);
    const Tensor means = contiguous(mean);
    const Tensor scales = contiguous(rstd);
    const T* g = plain_grad.data<T>();
    const T* v = plain_x.data<T>();
    const T* m = means.data<T>();
    const T* r = scales.data<T>();
    if (grad_x.defined() && grad_x.numel() > 0) {
      const Tensor result = plain_output(grad_x);
      T* to = result.mutable_data<T>();
      const ChannelValues<T> gain(weight, e, T{1});
      parallel_for(e.rows(), row_grain(e), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const int64_t at = row * e.length();
          const T* w = gain.data() + row % e.groups * e.channels;
          row_backward(e, g + at, v + at, centred, m[row], r[row], w, to + at);
        }
      });
      if (!result.is_same(grad_x)) copy(result, grad_x);
    }
    if (!grad_w.defined() && !grad_b.defined()) return;
    const Tensor to_w = grad_w.defined() ? plain_output(grad_w) : grad_w;
    const Tensor to_b = grad_b.defined() ? plain_output(grad_b) : grad_b;
    T* gw = grad_w.defined() ? to_w.mutable_data<T>() : nullptr;
    T* gb = grad_b.defined() ? to_b.mutable_data<T>() : nullptr;
    const int64_t grain = std::max<int64_t>(64, kLightGrain / std::max<int64_t>(1, e.batch * e.plane));
    parallel_for(e.groups * e.channels, grain, [&](int64_t begin, int64_t end) {
      CountedVector<double> sums(static_cast<size_t>(2 * (end - begin)));
      double* dots = sums.data() + (end - begin);
      channel_sums(e, g, v, m, r, begin, end, sums.data(), dots);
      for (int64_t c = begin; c < end; ++c) {
        if (gw != nullptr) gw[c] = static_cast<T>(dots[c - begin]);
        if (gb != nullptr) gb[c] = static_cast<T>(sums[static_cast<size_t>(c - begin)]);
      }
    });
    if (grad_w.defined() && !to_w.is_same(grad_w)) copy(to_w, grad_w);
    if (grad_b.defined() && !to_b.is_same(grad_b)) copy(to_b, grad_b);
  });
}

}  // namespace tapewire::kernels
