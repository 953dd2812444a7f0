#pragma once

#include <optional>

#include "core/ops/creation.h"

namespace tapewire {

/// Random numbers from the current generator (base/random.h), drawn in row-major order: under a seed they are those of
/// PyTorch's CPU generator.

struct RandintAttrs {
  int64_t low = 0;
  int64_t high = 0;
  Shape size;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{field("low", &RandintAttrs::low, "the least integer; may be left out"),
                      field("high", &RandintAttrs::high, "one more than the greatest"),
                      field("size", &RandintAttrs::size, "sizes"), field("dtype", &RandintAttrs::dtype, "none: int64")};
  }
};
struct RandintLikeAttrs {
  int64_t low = 0;
  int64_t high = 0;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{field("low", &RandintLikeAttrs::low, "the least integer; may be left out"),
                      field("high", &RandintLikeAttrs::high, "one more than the greatest"),
                      field("dtype", &RandintLikeAttrs::dtype, "none: input's")};
  }
};
struct RandpermAttrs {
  int64_t n = 0;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{required_field("n", &RandpermAttrs::n, "how many"),
                      field("dtype", &RandpermAttrs::dtype, "none: int64")};
  }
};
struct BernoulliAttrs {
  std::optional<double> p;
  static constexpr auto fields() {
    return std::tuple{field("p", &BernoulliAttrs::p, "probability of a one; none: input holds the probabilities")};
  }
};

/// Uniform on [0, 1); floating dtypes.
Tensor rand(const SizedAttrs& attrs);
Tensor rand_like(const Tensor& x, const LikeAttrs& attrs = {});
/// Standard normal; floating dtypes.
Tensor randn(const SizedAttrs& attrs);
Tensor randn_like(const Tensor& x, const LikeAttrs& attrs = {});
/// Integers of [low, high); any dtype that holds them.
Tensor randint(const RandintAttrs& attrs);
Tensor randint_like(const Tensor& x, const RandintLikeAttrs& attrs);
/// 0 .. n-1 in a random order.
Tensor randperm(const RandpermAttrs& attrs);
/// 1 with probability p, or x[i], else 0; of x's dtype. The gradient is zero.
Tensor bernoulli(const Tensor& x, const BernoulliAttrs& attrs = {});

}  // namespace tapewire
