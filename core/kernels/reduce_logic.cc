#include "core/kernels/reduce.h"
#include "core/kernels/reduce_impl.h"

namespace tapewire::kernels {
namespace {

template <class T>
struct CountNonzero {
  using Value = T;
  using Acc = int64_t;

  Acc init() const { return 0; }
  void run(const T* x, int64_t n, Acc& acc) const {
    for (int64_t i = 0; i < n; ++i) acc += x[i] != T{0};
  }
  void row(const T* x, int64_t n, Acc* acc, int64_t) const {
    for (int64_t i = 0; i < n; ++i) acc[i] += x[i] != T{0};
  }
  void merge(Acc& acc, const Acc& next) const { acc += next; }
};

// `all` and `any` count too: how many are not zero says both.
template <class Finish>
void count(const Tensor& x, Ints dims, const Tensor& out, const Finish& finish) {
  const ReducePlan plan = plan_reduction(x, dims, out);
  const OutputWriter writer(out);
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    fold(plan, x.data<T>(), CountNonzero<T>{},
         [&](int64_t offset, int64_t nonzero) { writer.put(offset, finish(nonzero, plan.length)); });
  });
}

}  // namespace

void all(const Tensor& x, Ints dims, const Tensor& out) {
  count(x, dims, out, [](int64_t nonzero, int64_t length) { return static_cast<int64_t>(nonzero == length); });
}

void any(const Tensor& x, Ints dims, const Tensor& out) {
  count(x, dims, out, [](int64_t nonzero, int64_t) { return static_cast<int64_t>(nonzero > 0); });
}

void count_nonzero(const Tensor& x, Ints dims, const Tensor& out) {
  count(x, dims, out, [](int64_t nonzero, int64_t) { return nonzero; });
}

}  // namespace tapewire::kernels
