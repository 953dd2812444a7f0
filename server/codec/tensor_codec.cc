#include "server/codec/tensor_codec.h"

#include <bit>
#include <memory>
#include <unordered_set>

#include "core/base/suggest.h"
#include "core/tensor/row_major.h"
#include "server/codec/payload.h"

namespace tapewire::codec {

std::string element_name(std::string_view field, int index, std::string_view name) {
  return name.empty() ? str_cat(field, "[", index, "]") : str_cat(field, "[", index, "] ", quoted(name));
}

DType decode_dtype(v1::DataType dtype, std::string_view where) { return wire_type(dtype, where).dtype; }

v1::DataType encode_dtype(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return v1::DATA_TYPE_FLOAT32;
    case DType::kFloat64:
      return v1::DATA_TYPE_FLOAT64;
    case DType::kInt64:
      return v1::DATA_TYPE_INT64;
    case DType::kInt32:
      return v1::DATA_TYPE_INT32;
    case DType::kUInt8:
      return v1::DATA_TYPE_UINT8;
    case DType::kBool:
      return v1::DATA_TYPE_BOOL;
  }
  fail_internal("encode_dtype: no such dtype");
}

Tensor decode_tensor(v1::Tensor&& proto, std::string_view where, const Limits& limits) {
  const WireType type = wire_type(proto.dtype(), where);
  const Shape shape = wire_shape(proto.shape(), where);
  const int64_t bytes = wire_bytes(type, shape, where, limits);
  if (proto.data().size() != static_cast<size_t>(bytes)) {
    fail(where, ": tensor ", type.name, to_string(Ints(shape)), " expects ", bytes, " bytes, got ",
         proto.data().size());
  }
  return from_payload(std::unique_ptr<std::string>(proto.release_data()), type, shape, where);
}

void encode_tensor(const Tensor& tensor, v1::Tensor& proto) {
  static_assert(std::endian::native == std::endian::little, "the wire is little-endian");
  proto.set_dtype(encode_dtype(tensor.dtype()));
  proto.mutable_shape()->Assign(tensor.sizes().begin(), tensor.sizes().end());
  const Tensor source = row_major(tensor);
  proto.mutable_data()->assign(static_cast<const char*>(source.raw_data()), source.nbytes());
}

v1::Tensor encode_tensor(const Tensor& tensor) {
  v1::Tensor proto;
  encode_tensor(tensor, proto);
  return proto;
}

std::vector<NamedTensor> decode_tensors(google::protobuf::RepeatedPtrField<v1::NamedTensor>&& protos,
                                        std::string_view field, const Limits& limits) {
  std::vector<NamedTensor> tensors;
  tensors.reserve(static_cast<size_t>(protos.size()));
  std::unordered_set<std::string_view> names;
  for (int i = 0; i < protos.size(); ++i) {
    v1::NamedTensor& proto = *protos.Mutable(i);
    const std::string where = element_name(field, i, proto.name());
    if (!proto.name().empty() && !names.insert(proto.name()).second) fail(where, ": this name appears twice");
    if (!proto.has_tensor()) fail(where, ": has no tensor");
    tensors.push_back({proto.name(), decode_tensor(std::move(*proto.mutable_tensor()), where, limits)});
  }
  return tensors;
}

void encode_tensors(const std::vector<NamedTensor>& tensors,
                    google::protobuf::RepeatedPtrField<v1::NamedTensor>& protos) {
  protos.Reserve(protos.size() + static_cast<int>(tensors.size()));
  for (const NamedTensor& named : tensors) {
    v1::NamedTensor& proto = *protos.Add();
    proto.set_name(named.name);
    if (named.tensor.defined()) encode_tensor(named.tensor, *proto.mutable_tensor());
  }
}

OpenSpec decode_spec(const v1::TensorSpec& proto, std::string_view where) {
  OpenSpec spec;
  if (proto.dtype() != v1::DATA_TYPE_UNSPECIFIED) spec.dtype = decode_dtype(proto.dtype(), where);
  spec.shape.assign(proto.shape().begin(), proto.shape().end());
  if (static_cast<int64_t>(spec.shape.size()) > kMaxDims) {
    fail(where, ": expects at most ", kMaxDims, " dimensions, got ", spec.shape.size());
  }
  for (size_t d = 0; d < spec.shape.size(); ++d) {
    if (spec.shape[d] < -1) fail(where, ": shape[", d, "]: expects a size, or -1 for any, got ", spec.shape[d]);
  }
  return spec;
}

void encode_spec(std::string_view name, const OpenSpec& spec, v1::TensorSpec& proto) {
  proto.set_name(std::string(name));
  proto.set_dtype(spec.dtype ? encode_dtype(*spec.dtype) : v1::DATA_TYPE_UNSPECIFIED);
  proto.mutable_shape()->Assign(spec.shape.begin(), spec.shape.end());
}

void encode_spec(std::string_view name, const TensorSpec& spec, v1::TensorSpec& proto) {
  encode_spec(name, OpenSpec{spec.dtype, spec.shape}, proto);
}

}  // namespace tapewire::codec
