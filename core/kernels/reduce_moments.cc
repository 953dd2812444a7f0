#include <cmath>

#include "core/kernels/binary.h"
#include "core/kernels/reduce.h"
#include "core/kernels/reduce_impl.h"
#include "core/kernels/simd_impl.h"
#include "core/kernels/unary.h"

namespace tapewire::kernels {
namespace {

struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;  // of deviations from the mean
};

// Chan, Golub and LeVeque's update.
void combine(Moments& into, const Moments& next) {
  if (next.count == 0) return;
  if (into.count == 0) {
    into = next;  // the formula would meet 0 * inf where squares overflow
    return;
  }
  const double total = into.count + next.count;
  const double delta = next.mean - into.mean;
  into.mean += delta * (next.count / total);
  into.squares += next.squares + delta * delta * (into.count * next.count / total);
  into.count = total;
}

template <class T>
struct MomentsOf {
  using Value = T;
  using Acc = Moments;
  static constexpr int64_t kBlock = 2048;

  Acc init() const { return {}; }

  void run(const T* x, int64_t n, Acc& acc) const {
    for (int64_t begin = 0; begin < n; begin += kBlock) {
      const int64_t count = std::min(kBlock, n - begin);
      const T* block = x + begin;
      Moments here;
      here.count = static_cast<double>(count);
      double lanes[8] = {};
      each(block, count, lanes, [](double v) { return v; });
      here.mean = total(lanes) / here.count;
      std::fill_n(lanes, 8, 0.0);
      const double mean = here.mean;
      each(block, count, lanes, [mean](double v) { return (v - mean) * (v - mean); });
      here.squares = total(lanes);
      combine(acc, here);
    }
  }

  void row(const T* x, int64_t n, Acc* acc, int64_t seen) const {
    const double count = static_cast<double>(seen);
    for (int64_t i = 0; i < n; ++i) {
      const double delta = static_cast<double>(x[i]) - acc[i].mean;
      acc[i].count = count;
      acc[i].mean += delta / count;
      acc[i].squares += delta * (static_cast<double>(x[i]) - acc[i].mean);
    }
  }

  void merge(Acc& acc, const Acc& next) const { combine(acc, next); }

 private:
  template <class F>
  static void each(const T* x, int64_t n, double* lanes, const F& f) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      for (int64_t l = 0; l < 8; ++l) lanes[l] += f(static_cast<double>(x[i + l]));
    }
    for (; i < n; ++i) lanes[0] += f(static_cast<double>(x[i]));
  }
  static double total(const double* l) { return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7])); }
};

enum class NormKind { kTwo, kOne, kMost, kLeast, kZero, kGeneral };

template <class T, NormKind kKind>
struct Norm {
  using Value = T;
  using Acc = double;
  double p = 2;

  double init() const { return kKind == NormKind::kLeast ? INFINITY : 0; }

  static double most(double a, double b) { return ((b > a) | (b != b)) ? b : a; }
  static double least(double a, double b) { return ((b < a) | (b != b)) ? b : a; }

  double step(double acc, double x) const {
    const double size = std::fabs(x);
    switch (kKind) {
      case NormKind::kTwo:
        return acc + x * x;
      case NormKind::kOne:
        return acc + size;
      case NormKind::kMost:
        return most(acc, size);
      case NormKind::kLeast:
        return least(acc, size);
      case NormKind::kZero:
        return acc + (x != 0 ? 1.0 : 0.0);
      case NormKind::kGeneral:
        return acc + std::pow(size, p);
    }
    return acc;
  }
  void merge(double& acc, const double& next) const {
    acc = kKind == NormKind::kMost ? most(acc, next) : kKind == NormKind::kLeast ? least(acc, next) : acc + next;
  }

  void run(const T* x, int64_t n, double& acc) const {
    double lanes[8];
    std::fill_n(lanes, 8, init());
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      for (int64_t l = 0; l < 8; ++l) lanes[l] = step(lanes[l], static_cast<double>(x[i + l]));
    }
    for (; i < n; ++i) lanes[0] = step(lanes[0], static_cast<double>(x[i]));
    for (int64_t l = 1; l < 8; ++l) merge(lanes[0], lanes[l]);
    merge(acc, lanes[0]);
  }
  void row(const T* x, int64_t n, double* acc, int64_t) const {
    for (int64_t i = 0; i < n; ++i) acc[i] = step(acc[i], static_cast<double>(x[i]));
  }
};

template <class T, NormKind kKind, class Finish>
void norm(const ReducePlan& plan, const Tensor& x, double p, const OutputWriter& writer, const Finish& finish) {
  fold(plan, x.data<T>(), Norm<T, kKind>{p}, [&](int64_t offset, double acc) { writer.put(offset, finish(acc)); });
}

}  // namespace

void var(const Tensor& x, Ints dims, double correction, const Tensor& out, const Tensor& mean) {
  const ReducePlan plan = plan_reduction(x, dims, out);
  const OutputWriter writer(out);
  const bool wants_mean = mean.defined();
  // The mean may be strided otherwise than the variance: it goes by a plan of its own.
  dispatch_floating("var", x.dtype(), [&]<class T>(TypeTag<T>) {
    const auto spread = [&](const Moments& m) {
      const double freedom = std::max(0.0, m.count - correction);
      return m.count == 0 ? static_cast<double>(NAN) : m.squares / freedom;
    };
    if (!wants_mean) {
      fold(plan, x.data<T>(), MomentsOf<T>{}, [&](int64_t at, const Moments& m) { writer.put(at, spread(m)); });
      return;
    }
    if (mean.strides() != out.strides() || mean.sizes() != out.sizes()) {
      fail_internal("var: mean and variance differ in layout");
    }
    const OutputWriter mean_writer(mean);
    fold(plan, x.data<T>(), MomentsOf<T>{}, [&](int64_t at, const Moments& m) {
      writer.put(at, spread(m));
      mean_writer.put(at, m.count == 0 ? static_cast<double>(NAN) : m.mean);
    });
  });
}

void logsumexp(const Tensor& x, Ints dims, const Tensor& out) {
  // An empty slice is log(0).
  if (x.numel() == 0) {
    sum(x, dims, out);
    return unary(UnaryOp::kLog, out, out);
  }
  Shape kept(x.sizes());
  for (size_t d = 0; d < kept.size(); ++d) {
    if (dims.empty() || std::ranges::find(dims, static_cast<int64_t>(d)) != dims.end()) kept[d] = 1;
  }
  const Tensor most = Tensor::empty(kept, x.dtype());
  amax(x, dims, most);
  dispatch_floating("logsumexp", x.dtype(), [&]<class T>(TypeTag<T>) {
    // An infinite maximum would make inf - inf: 0 serves instead, as in ATen.
    map<T, T>(
        kLightGrain, most, [](T m) { return std::fabs(m) <= std::numeric_limits<T>::max() || m != m ? m : T{0}; },
        most);
    const Tensor terms = Tensor::empty(x.sizes(), x.dtype());
    elementwise<T, T, T>(
        kHeavyGrain, terms,
        [](int64_t n, T* to, const T* a, const T* m) {
          simd::map<T>(n, to, a, m, [](simd::Vec<T> v, simd::Vec<T> u) { return simd::exp(v - u); });
        },
        x, most);
    sum(terms, dims, out);
    unary(UnaryOp::kLog, out, out);
    const Tensor shaped = out.dim() == x.dim() ? most : [&] {
      Shape sizes(out.sizes());
      return most.alias({sizes, contiguous_strides(sizes), most.offset()});
    }();
    binary(BinaryOp::kAdd, out, shaped, out);
  });
}

void vector_norm(const Tensor& x, double p, Ints dims, const Tensor& out) {
  const ReducePlan plan = plan_reduction(x, dims, out);
  const OutputWriter writer(out);
  if (plan.length == 0 && plan.outputs > 0 && (p < 0 || std::isinf(p))) {
    fail("linalg.vector_norm cannot compute the ", p,
         " norm on an empty tensor because the operation does not have "
         "an identity");
  }
  dispatch_floating("vector_norm", x.dtype(), [&]<class T>(TypeTag<T>) {
    const auto same = [](double acc) { return acc; };
    if (p == 2) return norm<T, NormKind::kTwo>(plan, x, p, writer, [](double acc) { return std::sqrt(acc); });
    if (p == 1) return norm<T, NormKind::kOne>(plan, x, p, writer, same);
    if (p == 0) return norm<T, NormKind::kZero>(plan, x, p, writer, same);
    if (p == INFINITY) return norm<T, NormKind::kMost>(plan, x, p, writer, same);
    if (p == -INFINITY) return norm<T, NormKind::kLeast>(plan, x, p, writer, same);
    norm<T, NormKind::kGeneral>(plan, x, p, writer, [p](double acc) { return std::pow(acc, 1 / p); });
  });
}

double sum_of_squares(const Tensor& x) {
  const Tensor out = Tensor::empty(Ints{}, DType::kFloat64);
  const ReducePlan plan = plan_reduction(x, {}, out);
  const OutputWriter writer(out);
  dispatch_floating("sum_of_squares", x.dtype(), [&]<class T>(TypeTag<T>) {
    norm<T, NormKind::kTwo>(plan, x, 2, writer, [](double acc) { return acc; });
  });
  return out.data<double>()[0];
}

}  // namespace tapewire::kernels
