#include "server/codec/field_limits.h"

#include <string>

#include "core/base/error.h"

namespace tapewire::codec {

const v1::FieldLimits& limits_of(const google::protobuf::FieldDescriptor& field) {
  return field.options().GetExtension(v1::limits);
}

const v1::FieldLimits& limits_of(const google::protobuf::Descriptor& message, std::string_view field) {
  const auto* found = message.FindFieldByName(std::string(field));
  if (found == nullptr) fail_internal(message.full_name(), " has no field ", field);
  return limits_of(*found);
}

}  // namespace tapewire::codec
