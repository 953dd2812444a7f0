#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "google/protobuf/repeated_field.h"
#include "server/codec/tensor_codec.h"

/// What whole tensors and tensors in chunks share: the checks of a header, and a payload become a tensor.
namespace tapewire::codec {

/// An element type as it travels.
struct WireType {
  enum class Convert { kNone, kFloat16, kBFloat16 };

  DType dtype;   // in the engine
  size_t bytes;  // of an element on the wire
  Convert convert = Convert::kNone;
  std::string_view name;
};

WireType wire_type(v1::DataType dtype, std::string_view where);
/// Refuses negative sizes, too many dimensions, and a count that overflows.
Shape wire_shape(const google::protobuf::RepeatedField<int64_t>& shape, std::string_view where);
/// Bytes on the wire; RESOURCE_EXHAUSTED when the tensor, there or in the engine, is larger than the limit.
int64_t wire_bytes(const WireType& type, const Shape& shape, std::string_view where, const Limits& limits);
/// REQUIRES: the payload has wire_bytes() bytes. Refuses bools other than 0 and 1.
Tensor from_payload(std::unique_ptr<std::string> payload, const WireType& type, const Shape& shape,
                    std::string_view where);

/// IEEE 754 binary16, exactly.
float half_to_float(uint16_t bits);

}  // namespace tapewire::codec
