#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/tensor.h"
#include "tapewire/v1/tensor.pb.h"

/// Tensors between the wire and the engine. Errors name where the tensor stands in the message ("inputs[0] 'x'"), what
/// came and what was expected. Everything here throws Error.
namespace tapewire::codec {

/// Sizes at which the wire is cut off; see the flags of the same names.
struct Limits {
  int64_t max_tensor_bytes = int64_t{1} << 30;
};

/// What the engine computes with: the 16-bit floating types become float32. INVALID_ARGUMENT when unspecified or
/// unknown.
DType decode_dtype(v1::DataType dtype, std::string_view where);
v1::DataType encode_dtype(DType dtype);

/// Takes the payload out of `proto`: from 1 KiB on without a copy. REQUIRES nothing of the message: dtype, shape, byte
/// count and the bytes of bools are checked, and the tensor's size against the limit (RESOURCE_EXHAUSTED).
Tensor decode_tensor(v1::Tensor&& proto, std::string_view where, const Limits& limits);
/// Any strides; the wire is row-major. Gradients' history stays behind.
void encode_tensor(const Tensor& tensor, v1::Tensor& proto);
v1::Tensor encode_tensor(const Tensor& tensor);

/// The tensors of a field called `field`, in order. A name that appears twice, and a tensor that is absent, are errors;
/// an empty name is the caller's matter.
std::vector<NamedTensor> decode_tensors(google::protobuf::RepeatedPtrField<v1::NamedTensor>&& protos,
                                        std::string_view field, const Limits& limits);
/// An undefined tensor becomes an entry without one.
void encode_tensors(const std::vector<NamedTensor>& tensors,
                    google::protobuf::RepeatedPtrField<v1::NamedTensor>& protos);

/// What a definition promises of a tensor: none is any dtype, -1 is any size.
struct OpenSpec {
  std::optional<DType> dtype;
  Shape shape;
};
OpenSpec decode_spec(const v1::TensorSpec& proto, std::string_view where);
void encode_spec(std::string_view name, const OpenSpec& spec, v1::TensorSpec& proto);
void encode_spec(std::string_view name, const TensorSpec& spec, v1::TensorSpec& proto);

/// "inputs[0] 'x'": how errors call an element of a field.
std::string element_name(std::string_view field, int index, std::string_view name);

}  // namespace tapewire::codec
