#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "core/base/error.h"
#include "core/tensor/attributes.h"
#include "core/tensor/value.h"

namespace tapewire {

/// The bound arguments of an op with `call`, by name. Errors begin with the op's name.
class CallArguments {
 public:
  CallArguments(std::string_view op, const AttributeMap& all) : op_(op), all_(all) {}

  /// The argument as it came; none when it was not given.
  const Value& value(std::string_view name) const {
    static const Value none;
    const auto found = all_.find(name);
    return found == all_.end() ? none : found->second;
  }
  bool given(std::string_view name) const { return !value(name).is_none(); }

  const Tensor& tensor(std::string_view name) const {
    const Value& v = value(name);
    if (!v.is_tensor()) refuse(name, "a tensor");
    return v.tensor();
  }
  int64_t integer(std::string_view name, int64_t otherwise) const {
    const Value& v = value(name);
    if (v.is_none()) return otherwise;
    if (!v.is_int()) refuse(name, "an int");
    return v.integer();
  }
  /// Several ints, or one.
  Shape ints(std::string_view name) const {
    const Value& v = value(name);
    const bool several =
        v.is_tuple() && std::ranges::all_of(v.tuple(), [](const Value& item) { return item.is_int(); });
    if (!several && !v.is_int()) refuse(name, "ints");
    return AttributeType<Shape>::from(v);
  }

  /// A tensor; a number stands for a 0-d one.
  Tensor operand(std::string_view name) const {
    const Value& v = value(name);
    return v.is_number() ? Tensor::wrapped(v.number()) : tensor(name);
  }
  /// The arguments but those named, as a described struct.
  template <Described T>
  T attributes(std::initializer_list<std::string_view> tensors) const {
    AttributeMap rest = all_;
    for (const std::string_view name : tensors) {
      if (const auto found = rest.find(name); found != rest.end()) rest.erase(found);
    }
    return parse_attributes<T>(op_, rest);
  }

  [[noreturn]] void refuse(std::string_view name, std::string_view expected) const {
    fail(op_, ": argument '", name, "': expected ", expected, ", got ", value(name).describe());
  }

 private:
  std::string_view op_;
  const AttributeMap& all_;
};

}  // namespace tapewire
