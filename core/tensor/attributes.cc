#include "core/tensor/attributes.h"

namespace tapewire {

Shape AttributeType<Shape>::from(const Value& v) {
  if (v.is_int()) return {v.integer()};
  if (!v.is_tuple()) fail("expected ints, got ", v.describe());
  Shape out;
  for (const Value& item : v.tuple()) {
    if (!item.is_int()) fail("expected ints, got a tuple with ", item.describe());
    out.push_back(item.integer());
  }
  return out;
}

Value AttributeType<Shape>::to(const Shape& v) { return Tuple(v.begin(), v.end()); }

std::vector<double> AttributeType<std::vector<double>>::from(const Value& v) {
  if (v.is_int() || v.is_double()) return {v.real()};
  if (!v.is_tuple()) fail("expected floats, got ", v.describe());
  std::vector<double> out;
  for (const Value& item : v.tuple()) out.push_back(item.real());
  return out;
}

Value AttributeType<std::vector<double>>::to(const std::vector<double>& v) { return Tuple(v.begin(), v.end()); }

}  // namespace tapewire
