#include "tests/conformance/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <google/protobuf/repeated_ptr_field.h>

#include "core/base/strings.h"

namespace tapewire::conformance {
namespace {

using Results = google::protobuf::RepeatedPtrField<Result>;

// float64: PyTorch's own tolerance for comparing it is 1e-7.
constexpr double kRelative64 = 1e-8;
constexpr double kAbsolute64 = 1e-9;
// float32: PyTorch's own tolerance, a few units in the last place of the largest element, and three times PyTorch's
// error; four times in gradients of gradients, which begin with the error of the gradients.
constexpr double kRelative32 = 5e-6;
constexpr double kAbsolute32 = 1e-5;
constexpr double kSpread32 = 3;
constexpr double kSecondSpread32 = 4;
// Sums of large results, of the sum of their magnitudes.
constexpr double kSum64 = 1e-10;
constexpr double kSum32 = 1e-4;

// The largest finite magnitude.
double largest_of(const std::vector<double>& values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::isfinite(v) ? std::abs(v) : 0);
  return largest;
}

// Of a large result, all elements at once.
std::string compare_sums(const Result& expected, const std::vector<double>& actual, bool single) {
  const TensorSpec spec{.dtype = DType::kFloat64, .shape = {static_cast<int64_t>(actual.size())}};
  const std::vector<double> weights = cotangent(Order::kSum, 0, spec).to_vector<double>();
  const double sum = std::inner_product(actual.begin(), actual.end(), weights.begin(), 0.0);
  const double magnitude =
      std::accumulate(actual.begin(), actual.end(), 0.0, [](double all, double v) { return all + std::abs(v); });
  const double tolerance = (single ? kSum32 : kSum64) * expected.magnitude();
  const bool near =
      std::abs(sum - expected.sum()) <= tolerance && std::abs(magnitude - expected.magnitude()) <= tolerance;
  if (near) return {};
  return str_cat("sum ", sum, " and magnitude ", magnitude, ", expected ", expected.sum(), " and ",
                 expected.magnitude(), " (+- ", tolerance, ")");
}

std::string compare(const Result& expected, const Tensor& actual, Precision precision, double spread) {
  const Tensor wanted = expected.has_tensor() ? tensor_of(expected.tensor(), Precision::kAsRecorded) : Tensor();
  if (!wanted.defined() || !actual.defined()) {
    // No gradient is a gradient of zeros.
    const Tensor& given = wanted.defined() ? wanted : actual;
    if (!given.defined()) return {};
    const std::vector<double> values = given.to_vector<double>();
    const bool zero = std::ranges::all_of(values, [](double v) { return v == 0; });
    return zero ? "" : str_cat(wanted.defined() ? "none, expected " : "expected none, got ", to_string(given));
  }
  const TensorSpec spec = spec_of(expected, Precision::kAsRecorded);
  if (spec.shape != actual.sizes()) {
    return str_cat("sizes ", to_string(actual.sizes()), ", expected ", to_string(spec.shape));
  }
  const bool converted = precision == Precision::kFloat32 && is_floating(spec.dtype) && is_floating(actual.dtype());
  if (spec.dtype != actual.dtype() && !converted) {
    return str_cat("dtype ", name_of(actual.dtype()), ", expected ", name_of(spec.dtype));
  }
  const std::vector<double> a = actual.to_vector<double>();
  const std::vector<double> e = wanted.to_vector<double>();
  const bool single = precision == Precision::kFloat32 || spec.dtype == DType::kFloat32;
  const double largest = largest_of(e);
  const size_t stride = std::max<size_t>(1, static_cast<size_t>(expected.stride()));
  for (size_t i = 0; i < e.size(); ++i) {
    const double got = a[i * stride];
    if (got == e[i] || (std::isnan(got) && std::isnan(e[i]))) continue;
    double tolerance = 0;
    if (is_floating(spec.dtype)) {
      tolerance = single ? kAbsolute32 + kRelative32 * largest + spread * expected.float32_error()
                         : kAbsolute64 + kRelative64 * std::abs(e[i]);
    }
    if (!(std::abs(got - e[i]) <= tolerance)) {
      return str_cat("element ", i * stride, " is ", got, ", expected ", e[i], " (+- ", tolerance, ")");
    }
  }
  return stride > 1 ? compare_sums(expected, a, single) : "";
}

std::string compare_all(const char* what, const Results& expected, const std::vector<Tensor>& actual,
                        Precision precision, double spread = kSpread32) {
  if (static_cast<int>(actual.size()) != expected.size()) {
    return str_cat(actual.size(), " ", what, "s, expected ", expected.size());
  }
  for (int i = 0; i < expected.size(); ++i) {
    const std::string fault = compare(expected[i], actual[static_cast<size_t>(i)], precision, spread);
    if (!fault.empty()) return str_cat(what, " ", i, " ", expected[i].name(), ": ", fault);
  }
  return {};
}

}  // namespace

std::string difference(const Case& c, const Replayed& replayed, Precision precision) {
  std::string fault = compare_all("output", c.outputs(), replayed.outputs, precision);
  if (fault.empty()) fault = compare_all("gradient", c.grads(), replayed.grads, precision);
  if (fault.empty())
    fault = compare_all("second gradient", c.second_grads(), replayed.second_grads, precision, kSecondSpread32);
  if (fault.empty()) fault = compare_all("buffer", c.buffers(), replayed.buffers, precision);
  return fault;
}

std::string initial_difference(const Case& c, const std::vector<Tensor>& values) {
  if (static_cast<int>(values.size()) != c.initial_size()) {
    return str_cat(values.size(), " tensors, expected ", c.initial_size());
  }
  for (int i = 0; i < c.initial_size(); ++i) {
    const Tensor wanted = tensor_of(c.initial(i).tensor(), Precision::kAsRecorded);
    const Tensor& actual = values[static_cast<size_t>(i)];
    if (wanted.sizes() != actual.sizes() || wanted.dtype() != actual.dtype()) {
      return str_cat(c.initial(i).name(), ": ", to_string(actual.spec()), ", expected ", to_string(wanted.spec()));
    }
    const std::vector<double> a = actual.to_vector<double>();
    const std::vector<double> e = wanted.to_vector<double>();
    const double tolerance = c.ulps() * largest_of(e) * std::numeric_limits<float>::epsilon();
    const auto [at, expected] =
        std::ranges::mismatch(a, e, [&](double x, double y) { return std::abs(x - y) <= tolerance; });
    if (at != a.end()) {
      return str_cat(c.initial(i).name(), ": element ", at - a.begin(), " is ", *at, ", expected ", *expected);
    }
  }
  return {};
}

}  // namespace tapewire::conformance
