#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/parallel_for.h"
#include "core/base/random.h"
#include "core/kernels/copy.h"
#include "core/tensor/tensor.h"
#include "core/tensor/views.h"

namespace tapewire::kernels {

inline const std::vector<DType> kFloats{DType::kFloat32, DType::kFloat64};
inline const std::vector<DType> kNumbers{DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kInt32, DType::kUInt8};

inline Ints ints(const std::initializer_list<int64_t>& list) { return {list.begin(), list.size()}; }

/// A row-major tensor of `dtype` with these values.
inline Tensor tensor_of(const std::vector<double>& values, Ints sizes, DType dtype) {
  const Tensor wide = Tensor::of<double>(std::span<const double>(values), sizes);
  const Tensor out = Tensor::empty(sizes, dtype);
  copy(wide, out);
  return out;
}

/// Numbers in [low, high), whole ones for integers.
inline Tensor random_tensor(Ints sizes, DType dtype, double low = -3, double high = 3, uint64_t seed = 1) {
  Generator generator(seed);
  std::vector<double> values(static_cast<size_t>(numel_of(sizes)));
  for (double& v : values) {
    v = low + generator.uniform_double() * (high - low);
    if (!is_floating(dtype)) v = std::floor(v);
    if (dtype == DType::kUInt8) v = std::abs(v);
    if (dtype == DType::kFloat32) v = static_cast<double>(static_cast<float>(v));
  }
  return tensor_of(values, sizes, dtype);
}

/// The same values in other layouts: row-major, dimensions reversed in memory, and every other element of a larger
/// block, off its start.
inline std::vector<Tensor> layouts(const Tensor& x) {
  std::vector<Tensor> all{x};
  if (x.dim() == 0) return all;
  Shape reversed(x.sizes().rbegin(), x.sizes().rend());
  Shape back;
  for (int64_t d = x.dim(); d-- > 0;) back.push_back(d);
  const Tensor turned = Tensor::empty(reversed, x.dtype());
  all.push_back(turned.alias(views::permute(turned.geometry(), back)));
  Shape wide(x.sizes());
  for (int64_t& size : wide) size = 2 * size + 1;
  const Tensor block = Tensor::zeros(wide, x.dtype());
  Geometry sparse = block.geometry();
  for (int64_t d = 0; d < x.dim(); ++d) {
    sparse = views::slice(sparse, d, 1, 1 + 2 * x.sizes()[static_cast<size_t>(d)], 2);
  }
  all.push_back(block.alias(sparse));
  for (size_t i = 1; i < all.size(); ++i) copy(x, all[i]);
  return all;
}

/// An uninitialised tensor in each of the layouts.
inline std::vector<Tensor> empty_layouts(Ints sizes, DType dtype) { return layouts(Tensor::zeros(sizes, dtype)); }

inline Tensor expanded(const Tensor& x, Ints sizes) { return x.alias(views::expand("test", x.geometry(), sizes)); }
inline Tensor transposed(const Tensor& x, int64_t a, int64_t b) {
  return x.alias(views::transpose(x.geometry(), a, b));
}

/// Elements agree within rtol * |want| + atol; NaN with NaN.
inline void expect_close(const Tensor& got, const std::vector<double>& want, double rtol, double atol = 0,
                         const std::string& what = "") {
  const std::vector<double> values = got.to_vector<double>();
  ASSERT_EQ(values.size(), want.size()) << what;
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(values[i])) << what << " element " << i << ": got " << values[i];
    } else if (std::isinf(want[i])) {
      EXPECT_EQ(values[i], want[i]) << what << " element " << i;
    } else {
      EXPECT_LE(std::abs(values[i] - want[i]), rtol * std::abs(want[i]) + atol)
          << what << " element " << i << ": got " << values[i] << ", want " << want[i];
    }
    if (::testing::Test::HasFailure()) return;
  }
}

/// A relative tolerance for a handful of operations in `dtype`.
inline double tolerance(DType dtype) {
  return dtype == DType::kFloat32 ? 1e-6 : dtype == DType::kFloat64 ? 4e-15 : 0.0;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = contiguous(a);
  const Tensor y = contiguous(b);
  return x.sizes() == y.sizes() && x.dtype() == y.dtype() && std::memcmp(x.raw_data(), y.raw_data(), x.nbytes()) == 0;
}

/// What `compute` leaves in a fresh tensor is the same, bit for bit, on one thread and on two.
inline void expect_threads_do_not_matter(const TensorSpec& spec, const std::function<void(const Tensor&)>& compute) {
  const Tensor one = Tensor::zeros(spec.shape, spec.dtype);
  const Tensor two = Tensor::zeros(spec.shape, spec.dtype);
  {
    ComputeThreadsScope scope(1);
    compute(one);
  }
  {
    ComputeThreadsScope scope(2);
    compute(two);
  }
  EXPECT_TRUE(same_bits(one, two));
}

/// The message of the Error that f throws, or "" with a failure.
inline std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace tapewire::kernels
