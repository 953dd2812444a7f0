#include <algorithm>

#include "core/base/cancel.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/index.h"

namespace tapewire::kernels {
namespace {

// log_probs [N, C, *] as batch x classes x inner; [C] is a batch of one.
struct Extents {
  int64_t batch = 1;
  int64_t classes = 1;
  int64_t inner = 1;

  int64_t targets() const { return batch * inner; }
};

Extents extents_of(const Tensor& log_probs, const Tensor& target) {
  const size_t rank = log_probs.sizes().size();
  if (rank == 0) fail_internal("nll: log_probs without dimensions");
  Extents e;
  const size_t class_dim = rank == 1 ? 0 : 1;
  if (rank > 1) e.batch = log_probs.sizes()[0];
  e.classes = log_probs.sizes()[class_dim];
  for (size_t d = class_dim + 1; d < rank; ++d) e.inner *= log_probs.sizes()[d];
  if (target.numel() != e.targets()) {
    fail_internal("nll: targets ", to_string(target.sizes()), " for ", to_string(log_probs.sizes()));
  }
  return e;
}

template <class T>
class Classes {
 public:
  Classes(const Tensor& weight, const Extents& e, int64_t ignore_index)
      : weight_(weight.defined() ? contiguous(weight) : weight), classes_(e.classes), ignore_index_(ignore_index) {
    if (!weight.defined()) return;
    if (weight.numel() != classes_) fail_internal("nll: ", weight.numel(), " weights for ", classes_, " classes");
    data_ = weight_.data<T>();
  }

  bool ignored(int64_t target) const { return target == ignore_index_; }
  void check(int64_t target) const {
    if (target < 0 || target >= classes_) {
      fail("nll_loss: Target ", target, " is out of bounds. There are ", classes_, " classes.");
    }
  }
  T weight(int64_t target) const { return data_ != nullptr ? data_[target] : T{1}; }

 private:
  Tensor weight_;
  const T* data_ = nullptr;
  int64_t classes_;
  int64_t ignore_index_;
};

template <class T>
void put_scalar(const Tensor& out, double value) {
  if (!out.defined()) return;
  if (out.numel() != 1) fail_internal("nll: a sum into ", to_string(out.sizes()));
  *out.mutable_data<T>() = static_cast<T>(value);
}

}  // namespace

void nll_forward(const Tensor& log_probs, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                 const Tensor& out, const Tensor& total_weight) {
  const Extents e = extents_of(log_probs, target);
  if (out.numel() != e.targets()) fail_internal("nll: ", to_string(out.sizes()), " for each target");
  const Tensor result = out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype());
  dispatch_floating("nll_loss", log_probs.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(log_probs);
    const Tensor plain_target = contiguous(target);
    const T* from = plain.data<T>();
    const int64_t* t = plain_target.data<int64_t>();
    const Classes<T> classes(weight, e, ignore_index);
    double total = 0;
    in_pieces(e.targets(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (classes.ignored(t[i])) {
          to[i] = T{0};
          continue;
        }
        classes.check(t[i]);
        const T w = classes.weight(t[i]);
        to[i] = -w * from[(i / e.inner * e.classes + t[i]) * e.inner + i % e.inner];
        total += static_cast<double>(w);
      }
    });
    put_scalar<T>(total_weight, total);
  });
  if (!result.is_same(out)) copy(result, out);
}

void nll_forward_reduced(const Tensor& log_probs, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                         bool mean, const Tensor& out, const Tensor& total_weight) {
  const Extents e = extents_of(log_probs, target);
  dispatch_floating("nll_loss", log_probs.dtype(), [&]<class T>(TypeTag<T>) {
    const Tensor plain = contiguous(log_probs);
    const Tensor plain_target = contiguous(target);
    const T* from = plain.data<T>();
    const int64_t* t = plain_target.data<int64_t>();
    const Classes<T> classes(weight, e, ignore_index);
    double loss = 0;
    double total = 0;
    in_pieces(e.targets(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (classes.ignored(t[i])) continue;
        classes.check(t[i]);
        const double w = static_cast<double>(classes.weight(t[i]));
        loss -= w * static_cast<double>(from[(i / e.inner * e.classes + t[i]) * e.inner + i % e.inner]);
        total += w;
      }
    });
    put_scalar<T>(out, mean ? loss / total : loss);
    put_scalar<T>(total_weight, total);
  });
}

void nll_backward(const Tensor& grad, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                  const Tensor& grad_log_probs) {
  const Extents e = extents_of(grad_log_probs, target);
  if (grad.numel() != 1 && grad.numel() != e.targets()) {
    fail_internal("nll_backward: gradient ", to_string(grad.sizes()), " for ", e.targets(), " targets");
  }
  const Tensor result =
      grad_log_probs.is_contiguous() ? grad_log_probs : Tensor::empty(grad_log_probs.sizes(), grad_log_probs.dtype());
  fill(result, 0);
  dispatch_floating("nll_loss_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain_grad = contiguous(grad);
    const Tensor plain_target = contiguous(target);
    const T* g = plain_grad.data<T>();
    const int64_t* t = plain_target.data<int64_t>();
    const Classes<T> classes(weight, e, ignore_index);
    const bool shared = grad.numel() == 1;
    in_pieces(e.targets(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (classes.ignored(t[i])) continue;
        classes.check(t[i]);
        to[(i / e.inner * e.classes + t[i]) * e.inner + i % e.inner] = -classes.weight(t[i]) * g[shared ? 0 : i];
      }
    });
  });
  if (!result.is_same(grad_log_probs)) copy(result, grad_log_probs);
}

}  // namespace tapewire::kernels
