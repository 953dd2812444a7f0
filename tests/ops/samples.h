#pragma once

#include <string>
#include <vector>

#include "core/autograd/meta.h"
#include "core/base/random.h"
#include "core/tensor/value.h"

namespace tapewire {

/// One call of an op that the generic tests (generic_test.cc) try in every way. Each family's samples stand in its
/// *_samples_test.cc.
struct Sample {
  std::string op;
  Args args;
  /// False for calls that only a row-major layout allows (a view that cannot be had otherwise).
  bool any_strides = true;

  Sample(std::string name, Args arguments) : op(std::move(name)), args(std::move(arguments)) {}
  Sample named(std::string key, Value value) const {
    Sample copy = *this;
    copy.args.named.emplace_back(std::move(key), std::move(value));
    return copy;
  }
  Sample row_major_only() const {
    Sample copy = *this;
    copy.any_strides = false;
    return copy;
  }
};

/// Registers a family's samples: `const SampleFamily kFamily(&make_samples);`.
class SampleFamily {
 public:
  explicit SampleFamily(std::vector<Sample> (*make)());
};
/// Freshly made: a test may change them.
std::vector<Sample> all_samples();

/// float64 of the given sizes, uniform in [low, high] but no nearer to 0 than 0.1, the same at every call of a program.
inline Tensor constant(const Shape& sizes, double low = -2, double high = 2) {
  static Generator generator(2024);
  Tensor out = Tensor::empty(sizes, DType::kFloat64);
  for (int64_t i = 0; i < out.numel(); ++i) {
    double value = 0;
    do {
      value = low + (high - low) * generator.uniform_double();
    } while (value > -0.1 && value < 0.1);
    out.mutable_data<double>()[i] = value;
  }
  return out;
}
/// The same, and its gradient is checked.
inline Tensor variable(const Shape& sizes, double low = -2, double high = 2) {
  return set_requires_grad(constant(sizes, low, high));
}
inline Tensor positive(const Shape& sizes) { return variable(sizes, 0.3, 2.5); }
/// 0, 1, ... in an order that no two neighbours tie, scaled: for what picks extremes.
inline Tensor distinct(const Shape& sizes) {
  Tensor out = Tensor::empty(sizes, DType::kFloat64);
  const int64_t n = out.numel();
  for (int64_t i = 0; i < n; ++i)
    out.mutable_data<double>()[i] = static_cast<double>((i * 7919 + 13) % 104729 % (4 * n + 1)) * 0.1 - 1;
  return set_requires_grad(out);
}
inline Tensor indices(std::initializer_list<int64_t> values, std::initializer_list<int64_t> sizes) {
  return Tensor::of<int64_t>(values, sizes);
}

}  // namespace tapewire
