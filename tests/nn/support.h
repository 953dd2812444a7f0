#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/nn/module.h"
#include "core/ops/shape_ops.h"
#include "gtest/gtest.h"

namespace tapewire {

/// What generate_torch_values.py calls pattern: exact in any dtype.
inline Tensor pattern(const Shape& sizes, int64_t mul = 7, int64_t add = 3, DType dtype = DType::kFloat64) {
  const Tensor out = Tensor::empty(sizes, DType::kFloat64);
  for (int64_t i = 0; i < out.numel(); ++i) {
    out.mutable_data<double>()[i] = static_cast<double>((i * mul + add) % 17 - 8) / 8;
  }
  return to(out, dtype);
}

/// Compares all elements in row-major order.
inline void expect_near(const Tensor& got, const std::vector<double>& expected, double tolerance = 1e-11) {
  ASSERT_TRUE(got.defined());
  const std::vector<double> values = got.to_vector<double>();
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << "element " << i;
}

/// The message that `f` throws; "" when it does not.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

}  // namespace tapewire
