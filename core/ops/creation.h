#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Tensors made of nothing but numbers. Sizes that are negative or overflow are refused; a number that the dtype cannot
/// hold is too ("value cannot be converted to type int64_t without overflow").

struct SizedAttrs {
  Shape size;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{required_field("size", &SizedAttrs::size, "sizes"),
                      field("dtype", &SizedAttrs::dtype, "none: float32")};
  }
};
struct FullAttrs {
  Shape size;
  Scalar fill_value;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{required_field("size", &FullAttrs::size, "sizes"),
                      required_field("fill_value", &FullAttrs::fill_value, "every element"),
                      field("dtype", &FullAttrs::dtype, "none: bool, int64 or float32, as fill_value is")};
  }
};
struct LikeAttrs {
  std::optional<DType> dtype;
  static constexpr auto fields() { return std::tuple{field("dtype", &LikeAttrs::dtype, "none: input's")}; }
};
struct FullLikeAttrs {
  Scalar fill_value;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{required_field("fill_value", &FullLikeAttrs::fill_value, "every element"),
                      field("dtype", &FullLikeAttrs::dtype, "none: input's")};
  }
};
struct EyeAttrs {
  int64_t n = 0;
  std::optional<int64_t> m;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{required_field("n", &EyeAttrs::n, "rows"), field("m", &EyeAttrs::m, "columns; none: n"),
                      field("dtype", &EyeAttrs::dtype, "none: float32")};
  }
};
struct ArangeAttrs {
  std::optional<Scalar> start;
  std::optional<Scalar> end;
  Scalar step = 1;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{field("start", &ArangeAttrs::start, "first element, 0 by default; alone, the end"),
                      field("end", &ArangeAttrs::end, "elements stay before it"),
                      field("step", &ArangeAttrs::step, "from one to the next"),
                      field("dtype", &ArangeAttrs::dtype, "none: int64, or float32 if a number is a float")};
  }
};
struct LinspaceAttrs {
  Scalar start;
  Scalar end;
  int64_t steps = 0;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{required_field("start", &LinspaceAttrs::start, "first element"),
                      required_field("end", &LinspaceAttrs::end, "last element"),
                      required_field("steps", &LinspaceAttrs::steps, "how many elements"),
                      field("dtype", &LinspaceAttrs::dtype, "none: float32")};
  }
};

Tensor zeros(const SizedAttrs& attrs);
Tensor ones(const SizedAttrs& attrs);
Tensor full(const FullAttrs& attrs);
/// Ones on the diagonal of [n, m], else zeros.
Tensor eye(const EyeAttrs& attrs);
/// start, start + step, ... before end: ceil((end - start) / step) elements.
Tensor arange(const ArangeAttrs& attrs);
/// `steps` elements from start to end, evenly spaced; the second half is counted from the end.
Tensor linspace(const LinspaceAttrs& attrs);

/// Of x's sizes, row-major, without a history.
Tensor zeros_like(const Tensor& x, const LikeAttrs& attrs = {});
Tensor ones_like(const Tensor& x, const LikeAttrs& attrs = {});
Tensor full_like(const Tensor& x, const FullLikeAttrs& attrs);

/// What ops that make tensors promise: throws for sizes that no tensor has.
Shape checked_sizes(std::string_view op, Ints sizes);

}  // namespace tapewire
