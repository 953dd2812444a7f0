#include "client/cli/idx.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

v1::DataType dtype_of_code(unsigned char code) {
  switch (code) {
    case 0x08:
      return v1::DATA_TYPE_UINT8;
    case 0x0C:
      return v1::DATA_TYPE_INT32;
    case 0x0D:
      return v1::DATA_TYPE_FLOAT32;
    case 0x0E:
      return v1::DATA_TYPE_FLOAT64;
    default:
      return v1::DATA_TYPE_UNSPECIFIED;
  }
}

}  // namespace

absl::StatusOr<v1::Tensor> parse_idx(std::string_view content, const std::string& name) {
  const auto byte = [content](size_t at) { return static_cast<unsigned char>(content[at]); };
  if (content.size() < 4 || byte(0) != 0 || byte(1) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": not an IDX file: it does not begin with two zero bytes"));
  }
  const v1::DataType dtype = dtype_of_code(byte(2));
  if (dtype == v1::DATA_TYPE_UNSPECIFIED) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: IDX type 0x%02x; known are 0x08 (uint8), 0x0c (int32), 0x0d (float32), 0x0e (float64)", name, byte(2)));
  }
  const size_t dims = byte(3);
  const size_t header = 4 + 4 * dims;
  if (content.size() < header) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": IDX header of ", dims, " dimensions wants ", header, " bytes, has ", content.size()));
  }
  v1::Tensor tensor;
  tensor.set_dtype(dtype);
  for (size_t at = 4; at < header; at += 4) {
    tensor.add_shape(static_cast<int64_t>(byte(at)) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3));
  }
  std::string data(content.substr(header));
  const size_t item = dtype_size(dtype);
  if (data.size() % item == 0 && item > 1) {  // big-endian in the file
    for (size_t at = 0; at < data.size(); at += item) std::reverse(data.begin() + at, data.begin() + at + item);
  }
  tensor.set_data(std::move(data));
  if (const auto status = check_tensor(tensor); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", std::string(status.message())));
  }
  return tensor;
}

}  // namespace tapewire::client
