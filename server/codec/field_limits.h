#pragma once

#include <string_view>

#include "google/protobuf/descriptor.h"
#include "tapewire/v1/limits.pb.h"

namespace tapewire::codec {

/// What the contract lets a field hold (proto/tapewire/v1/limits.proto). Without an option all are 0: no limit.
const v1::FieldLimits& limits_of(const google::protobuf::FieldDescriptor& field);

/// Of a field by name. REQUIRES: the message has it.
const v1::FieldLimits& limits_of(const google::protobuf::Descriptor& message, std::string_view field);

}  // namespace tapewire::codec
