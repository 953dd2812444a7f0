#include "core/kernels/loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

constexpr int64_t kBlock = 256;  // elements whose logarithms are taken together

// The targets of one row, and for each class whether it is among them.
struct Targets {
  CountedVector<int64_t> list;
  CountedVector<bool> among;

  void read(const int64_t* target, int64_t classes) {
    list.clear();
    among.assign(static_cast<size_t>(classes), false);
    for (int64_t i = 0; i < classes && target[i] >= 0; ++i) {
      if (target[i] >= classes) {
        fail("multilabel_margin_loss: Target ", target[i], " is out of bounds. There are ", classes, " classes.");
      }
      list.push_back(target[i]);
      among[static_cast<size_t>(target[i])] = true;
    }
  }
};

// Calls f(row, target class, other class, 1 - (x[target] - x[other])) wherever that is positive.
template <class T, class F>
void for_each_margin(const Tensor& x, const Tensor& target, const F& f) {
  if (x.numel() == 0) return;  // nothing bounds the classes of no row
  const int64_t classes = x.sizes()[1];
  const Tensor plain = contiguous(x);
  const Tensor plain_target = contiguous(target);
  const T* values = plain.data<T>();
  const int64_t* all_targets = plain_target.data<int64_t>();
  const int64_t work = std::max<int64_t>(1, classes * classes);
  parallel_for(x.sizes()[0], std::max<int64_t>(1, kHeavyGrain / work), [&](int64_t begin, int64_t end) {
    Targets targets;
    for (int64_t n = begin; n < end; ++n) {
      const T* row = values + n * classes;
      targets.read(all_targets + n * classes, classes);
      count_work(classes);
      for (const int64_t t : targets.list) {
        count_work(classes);
        in_pieces(classes, [&](int64_t first, int64_t last) {
          for (int64_t i = first; i < last; ++i) {
            if (targets.among[static_cast<size_t>(i)]) continue;
            const T margin = T{1} - (row[t] - row[i]);
            if (margin > T{0}) f(n, t, i, margin);
          }
        });
      }
    }
  });
}

void check_shapes(const Tensor& x, const Tensor& target, const Tensor& each) {
  if (x.dim() != 2 || target.sizes() != x.sizes() || each.dim() != 1 || each.sizes()[0] != x.sizes()[0]) {
    fail_internal("multilabel margin: ", to_string(x.sizes()), ", ", to_string(target.sizes()), ", ",
                  to_string(each.sizes()));
  }
}

}  // namespace

void huber(const Tensor& x, const Tensor& target, double bend, const Tensor& out) {
  dispatch_floating("huber_loss", x.dtype(), [&]<class T>(TypeTag<T>) {
    const T most = static_cast<T>(bend);
    const auto loss = [most](T a, T b) {
      const T distance = std::abs(a - b);
      return distance < most ? T{0.5} * distance * distance : most * (distance - T{0.5} * most);
    };
    map<T, T, T>(kLightGrain, out, loss, x, target);
  });
}

void binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& out) {
  dispatch_floating("binary_cross_entropy", x.dtype(), [&]<class T>(TypeTag<T>) {
    const auto run = [](int64_t n, T* to, const T* p, const T* t) {
      T yes[kBlock];
      T no[kBlock];
      for (int64_t at = 0; at < n; at += kBlock) {
        const int64_t count = std::min(kBlock, n - at);
        for (int64_t i = at; i < at + count; ++i) {
          if (!(p[i] >= T{0} && p[i] <= T{1})) {
            fail("binary_cross_entropy: all elements of input should be between 0 and 1");
          }
        }
        simd::map<T>(count, yes, p + at, [](simd::Vec<T> v) { return simd::log(v); });
        simd::map<T>(count, no, p + at, [](simd::Vec<T> v) { return simd::log1p(-v); });
        for (int64_t i = 0; i < count; ++i) {
          to[at + i] = (t[at + i] - T{1}) * std::max(no[i], T{-100}) - t[at + i] * std::max(yes[i], T{-100});
        }
      }
    };
    elementwise<T, T, T>(kHeavyGrain, out, run, x, target);
  });
}

void binary_cross_entropy_backward(const Tensor& grad, const Tensor& x, const Tensor& target, const Tensor& out) {
  dispatch_floating("binary_cross_entropy_backward", x.dtype(), [&]<class T>(TypeTag<T>) {
    const auto slope = [](T g, T p, T t) { return g * (p - t) / std::max((T{1} - p) * p, static_cast<T>(1e-12)); };
    map<T, T, T, T>(kLightGrain, out, slope, grad, x, target);
  });
}

void multilabel_margin(const Tensor& x, const Tensor& target, const Tensor& out) {
  check_shapes(x, target, out);
  const Tensor result = out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype());
  fill(result, 0);
  dispatch_floating("multilabel_margin_loss", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const T classes = static_cast<T>(x.sizes()[1]);
    for_each_margin<T>(x, target, [&](int64_t n, int64_t, int64_t, T margin) { to[n] += margin / classes; });
  });
  if (!result.is_same(out)) copy(result, out);
}

void multilabel_margin_backward(const Tensor& grad, const Tensor& x, const Tensor& target, const Tensor& grad_x) {
  check_shapes(x, target, grad);
  const Tensor result = grad_x.is_contiguous() ? grad_x : Tensor::empty(grad_x.sizes(), grad_x.dtype());
  fill(result, 0);
  dispatch_floating("multilabel_margin_loss", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(grad);
    const T* g = plain.data<T>();
    const int64_t classes = x.sizes()[1];
    for_each_margin<T>(x, target, [&](int64_t n, int64_t t, int64_t i, T) {
      const T share = g[n] / static_cast<T>(classes);
      to[n * classes + t] -= share;
      to[n * classes + i] += share;
    });
  });
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

}  // namespace tapewire::kernels
