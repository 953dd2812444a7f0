#include "tests/conformance/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <google/protobuf/repeated_ptr_field.h>

#include "core/base/strings.h"
#include "server/codec/tensor_codec.h"

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

Tensor decode(const v1::Tensor& proto) { return codec::decode_tensor(v1::Tensor(proto), "case", {}); }

// The largest finite magnitude.
double largest_of(const std::vector<double>& values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::isfinite(v) ? std::abs(v) : 0);
  return largest;
}

std::string compare(const Result& expected, const Tensor& actual, Precision precision, double spread) {
  const Tensor wanted = expected.has_tensor() ? decode(expected.tensor()) : Tensor();
  if (!wanted.defined() || !actual.defined()) {
    // No gradient is a gradient of zeros.
    const Tensor& given = wanted.defined() ? wanted : actual;
    if (!given.defined()) return {};
    const std::vector<double> values = given.to_vector<double>();
    const bool zero = std::ranges::all_of(values, [](double v) { return v == 0; });
    return zero ? "" : str_cat(wanted.defined() ? "none, expected " : "expected none, got ", to_string(given));
  }
  if (wanted.sizes() != actual.sizes()) {
    return str_cat("sizes ", to_string(actual.sizes()), ", expected ", to_string(wanted.sizes()));
  }
  const bool converted = precision == Precision::kFloat32 && is_floating(wanted.dtype()) && is_floating(actual.dtype());
  if (wanted.dtype() != actual.dtype() && !converted) {
    return str_cat("dtype ", name_of(actual.dtype()), ", expected ", name_of(wanted.dtype()));
  }
  const std::vector<double> a = actual.to_vector<double>();
  const std::vector<double> e = wanted.to_vector<double>();
  const double largest = largest_of(e);
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]))) continue;
    double tolerance = 0;
    if (is_floating(wanted.dtype())) {
      const bool single = precision == Precision::kFloat32 || wanted.dtype() == DType::kFloat32;
      tolerance = single ? kAbsolute32 + kRelative32 * largest + spread * expected.float32_error()
                         : kAbsolute64 + kRelative64 * std::abs(e[i]);
    }
    if (!(std::abs(a[i] - e[i]) <= tolerance)) {
      return str_cat("element ", i, " is ", a[i], ", expected ", e[i], " (+- ", tolerance, ")");
    }
  }
  return {};
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
    const Tensor wanted = decode(c.initial(i).tensor());
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
