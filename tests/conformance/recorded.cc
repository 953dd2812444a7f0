#include "tests/conformance/recorded.h"

#include "core/ops/shape_ops.h"
#include "server/codec/tensor_codec.h"

namespace tapewire::conformance {
namespace {

DType converted(DType dtype, Precision precision) {
  return precision == Precision::kFloat32 && dtype == DType::kFloat64 ? DType::kFloat32 : dtype;
}

Shape shape_of(const google::protobuf::RepeatedField<int64_t>& sizes) { return {sizes.begin(), sizes.end()}; }

}  // namespace

Tensor cotangent(Order order, size_t index, const TensorSpec& spec) {
  Tensor out = Tensor::empty(spec.shape, spec.dtype);
  const int64_t offset = (static_cast<int64_t>(order) * 31 + static_cast<int64_t>(index)) * 9973 + 12345;
  dispatch_floating("cotangent", spec.dtype, [&]<class T>(TypeTag<T>) {
    T* values = out.mutable_data<T>();
    for (int64_t i = 0; i < out.numel(); ++i) values[i] = static_cast<T>((i * 40503 + offset) % 65536) / 32768 - 1;
  });
  return out;
}

Tensor tensor_of(const v1::Tensor& proto, Precision precision) {
  const Tensor x = codec::decode_tensor(v1::Tensor(proto), "case", {});
  return x.dtype() == converted(x.dtype(), precision) ? x : to(x, DType::kFloat32);
}

std::vector<NamedTensor> tensors_of(const google::protobuf::RepeatedPtrField<v1::NamedTensor>& protos,
                                    Precision precision) {
  std::vector<NamedTensor> out;
  for (const v1::NamedTensor& proto : protos) out.push_back({proto.name(), tensor_of(proto.tensor(), precision)});
  return out;
}

std::vector<NamedTensor> inputs_of(const Case& c, Precision precision) {
  std::vector<NamedTensor> out;
  for (const v1::NamedTensor& input : c.inputs()) {
    const v1::Tensor& proto = input.tensor();
    const Shape shape = shape_of(proto.shape());
    const bool large = proto.data().empty() && numel_of(shape) > 0;
    const DType dtype = converted(codec::decode_dtype(proto.dtype(), "case"), precision);
    out.push_back({input.name(), large ? cotangent(Order::kInput, out.size(), {.dtype = dtype, .shape = shape})
                                       : tensor_of(proto, precision)});
  }
  return out;
}

TensorSpec spec_of(const Result& result, Precision precision) {
  return {.dtype = converted(codec::decode_dtype(result.tensor().dtype(), "case"), precision),
          .shape = shape_of(result.stride() > 0 ? result.shape() : result.tensor().shape())};
}

}  // namespace tapewire::conformance
