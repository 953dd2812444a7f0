#include "server/rpc/wire_schema.h"

#include <algorithm>
#include <map>
#include <memory>

#include "core/base/mutex.h"
#include "google/protobuf/message.h"
#include "server/codec/field_limits.h"

namespace tapewire::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Memory as the generated code and the allocator take it on 64 bit.
constexpr int64_t kAllocation = 16;           // what a block has besides its bytes
constexpr int64_t kString = 32;               // an std::string
constexpr int64_t kSlot = 16;                 // a pointer in an array that doubles
constexpr int64_t kFirst = 40 + kAllocation;  // the first array of a repeated field
constexpr int64_t kMapNode = 48;              // links of an entry, and its share of a table that doubles
constexpr int64_t kFirstTable = 80;

WireType wire_type(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_DOUBLE:
    case FieldDescriptor::TYPE_FIXED64:
    case FieldDescriptor::TYPE_SFIXED64:
      return kFixed64;
    case FieldDescriptor::TYPE_FLOAT:
    case FieldDescriptor::TYPE_FIXED32:
    case FieldDescriptor::TYPE_SFIXED32:
      return kFixed32;
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_BYTES:
    case FieldDescriptor::TYPE_MESSAGE:
      return kBytes;
    case FieldDescriptor::TYPE_GROUP:
      return kGroup;
    default:
      return kVarint;
  }
}

class Schemas {
 public:
  const WireSchema& of(const Descriptor& type) TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return make(type);
  }

 private:
  WireSchema& make(const Descriptor& type) TW_REQUIRES(mutex_) {
    std::unique_ptr<WireSchema>& slot = schemas_[&type];
    if (slot != nullptr) return *slot;
    slot = std::make_unique<WireSchema>();
    WireSchema& out = *slot;
    out.descriptor = &type;
    out.map_entry = type.options().map_entry();
    out.field_count = static_cast<size_t>(type.field_count());
    for (int i = 0; i < type.field_count(); ++i) {
      const auto number = static_cast<size_t>(type.field(i)->number());
      out.fields.resize(std::max(out.fields.size(), number + 1));
      out.fields[number] = field(*type.field(i), type);
    }
    return out;
  }

  WireSchema::Field field(const FieldDescriptor& f, const Descriptor& owner) TW_REQUIRES(mutex_) {
    const v1::FieldLimits& limits = codec::limits_of(f);
    WireSchema::Field out;
    out.descriptor = &f;
    out.wire = wire_type(f);
    out.repeated = f.is_repeated();
    out.map = f.is_map();
    out.string = f.type() == FieldDescriptor::TYPE_STRING;
    out.packable = f.is_packable();
    out.index = static_cast<uint16_t>(f.index());
    out.max_items = limits.max_items();
    out.max_bytes = limits.max_bytes();
    out.max_depth = limits.max_depth();
    if (f.type() == FieldDescriptor::TYPE_MESSAGE) out.message = &make(*f.message_type());
    const bool within_node = owner.options().map_entry();  // keys and values are part of the map's node
    if (out.map) {
      out.item_memory = kMapNode + kAllocation;
      out.first_memory = kFirstTable + kAllocation;
    } else if (out.message != nullptr) {
      out.item_memory = size_of(*f.message_type()) + (within_node ? 0 : kAllocation) + (out.repeated ? kSlot : 0);
      out.first_memory = out.repeated ? kFirst : 0;
    } else if (out.wire == kBytes) {
      out.item_memory = kString + (within_node ? 0 : kAllocation) + (out.repeated ? kSlot : 0);
      out.first_memory = out.repeated ? kFirst : 0;
    } else if (out.repeated) {
      out.item_memory = 2 * static_cast<int64_t>(sizeof(int64_t));
      out.first_memory = kFirst;
    }
    return out;
  }

  static int64_t size_of(const Descriptor& type) {
    const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type);
    return static_cast<int64_t>(prototype->SpaceUsedLong());
  }

  Mutex mutex_;
  std::map<const Descriptor*, std::unique_ptr<WireSchema>> schemas_ TW_GUARDED_BY(mutex_);
};

}  // namespace

const WireSchema& wire_schema(const Descriptor& type) {
  static Schemas schemas;
  return schemas.of(type);
}

}  // namespace tapewire::rpc
