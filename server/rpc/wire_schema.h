#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace tapewire::rpc {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kEndGroup = 4, kFixed32 = 5 };

/// A message type, as the walk over a message's bytes needs it: what its fields may hold, and the memory that protobuf
/// takes for them.
struct WireSchema {
  struct Field {
    const google::protobuf::FieldDescriptor* descriptor = nullptr;  // null: the type has no such field
    const WireSchema* message = nullptr;                            // null: no message
    WireType wire = kVarint;
    bool repeated = false;
    bool map = false;
    bool string = false;    // UTF-8
    bool packable = false;  // several numbers may come in one piece of bytes
    uint16_t index = 0;     // among the type's fields
    int64_t max_items = 0;  // 0: no limit
    int64_t max_bytes = 0;
    int64_t max_depth = 0;
    int64_t item_memory = 0;   // of each item or value, besides what is within it
    int64_t first_memory = 0;  // of the first one, besides
  };

  const google::protobuf::Descriptor* descriptor = nullptr;
  std::vector<Field> fields;  // by number
  size_t field_count = 0;
  bool map_entry = false;

  /// The field of that number; null when the type has none.
  const Field* find(uint32_t number) const {
    return number < fields.size() && fields[number].descriptor != nullptr ? &fields[number] : nullptr;
  }
};

/// Of a type of the generated code; made once. From any thread.
const WireSchema& wire_schema(const google::protobuf::Descriptor& type);

}  // namespace tapewire::rpc
