#include "core/tensor/tensor_attribute.h"

namespace tapewire {

Tensor AttributeType<Tensor>::from(const Value& v) {
  if (v.is_none()) return {};
  if (!v.is_tuple()) return v.tensor();
  std::vector<float> values;
  for (const Value& item : v.tuple()) values.push_back(static_cast<float>(item.real()));
  return Tensor::of<float>(values, Shape{static_cast<int64_t>(values.size())});
}

}  // namespace tapewire
