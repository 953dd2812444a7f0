#include "client/cli/npy.h"

#include <charconv>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

std::optional<v1::DataType> dtype_of(std::string_view descr) {
  if (descr == "<f4") return v1::DATA_TYPE_FLOAT32;
  if (descr == "<f8") return v1::DATA_TYPE_FLOAT64;
  if (descr == "<i8") return v1::DATA_TYPE_INT64;
  if (descr == "<i4") return v1::DATA_TYPE_INT32;
  if (descr == "|u1") return v1::DATA_TYPE_UINT8;
  if (descr == "|b1") return v1::DATA_TYPE_BOOL;
  return std::nullopt;
}

/// What follows 'key': in the header, a Python dict literal as numpy writes it; empty if there is no such key.
std::string_view value_of(std::string_view header, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = quote + std::string(key) + quote;
    auto at = header.find(quoted);
    if (at == std::string_view::npos) continue;
    at = header.find_first_not_of(" :", at + quoted.size());
    if (at != std::string_view::npos) return header.substr(at);
  }
  return {};
}

std::string_view quoted_value(std::string_view value) {
  if (value.empty() || (value[0] != '\'' && value[0] != '"')) return {};
  const auto end = value.find(value[0], 1);
  return end == std::string_view::npos ? std::string_view() : value.substr(1, end - 1);
}

std::optional<Shape> tuple_value(std::string_view value) {
  const auto end = value.find(')');
  if (value.empty() || value[0] != '(' || end == std::string_view::npos) return std::nullopt;
  Shape shape;
  std::string_view rest = value.substr(1, end - 1);
  while (true) {
    const auto first = rest.find_first_not_of(" ,");
    if (first == std::string_view::npos) return shape;
    rest.remove_prefix(first);
    int64_t dim = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), dim);
    if (error != std::errc()) return std::nullopt;
    rest.remove_prefix(static_cast<size_t>(stop - rest.data()));
    shape.push_back(dim);
  }
}

absl::Status bad(const std::string& name, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", std::string(what)));
}

}  // namespace

absl::StatusOr<v1::Tensor> parse_npy(std::string_view content, const std::string& name) {
  const auto byte = [content](size_t at) { return static_cast<size_t>(static_cast<unsigned char>(content[at])); };
  if (!content.starts_with(kMagic) || content.size() < 12) return bad(name, "not an .npy file");
  const size_t version = byte(6);
  if (version < 1 || version > 3) return bad(name, absl::StrCat(".npy version ", version, "; known are 1 to 3"));
  const size_t start = version == 1 ? 10 : 12;
  const size_t length =
      version == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (length > content.size() - start) return bad(name, "the .npy header is cut short");
  const std::string_view header = content.substr(start, length);

  const std::string_view descr = quoted_value(value_of(header, "descr"));
  const auto dtype = dtype_of(descr);
  if (!dtype) {
    return bad(name, absl::StrCat("dtype '", std::string(descr), "'; known are <f4, <f8, <i8, <i4, |u1, |b1"));
  }
  const auto shape = tuple_value(value_of(header, "shape"));
  if (!shape) return bad(name, "the .npy header has no shape");
  if (!value_of(header, "fortran_order").starts_with("False")) {
    return bad(name, "array in Fortran order; save numpy.ascontiguousarray(x)");
  }
  v1::Tensor tensor;
  tensor.set_dtype(*dtype);
  tensor.mutable_shape()->Add(shape->begin(), shape->end());
  tensor.set_data(std::string(content.substr(start + length)));
  if (const auto status = check_tensor(tensor); !status.ok()) return bad(name, std::string(status.message()));
  return tensor;
}

}  // namespace tapewire::client
