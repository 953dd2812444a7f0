#include "client/cli/json.h"

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::TimeUtil;

Json tensor_to_json(const v1::Tensor& tensor) {
  Json json{{"dtype", dtype_name(tensor.dtype())}, {"shape", Json::array()}};
  for (const int64_t dim : tensor.shape()) json["shape"].push_back(dim);
  const auto values = to_doubles(tensor);
  if (values.ok()) {
    json["data"] = *values;
  } else {
    json["error"] = std::string(values.status().message());
  }
  return json;
}

// One value: the field's, or its element at `index`.
Json value_to_json(const Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  const bool repeated = index >= 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return repeated ? reflection.GetRepeatedInt32(message, &field, index) : reflection.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return repeated ? reflection.GetRepeatedInt64(message, &field, index) : reflection.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return repeated ? reflection.GetRepeatedUInt32(message, &field, index) : reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return repeated ? reflection.GetRepeatedUInt64(message, &field, index) : reflection.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return repeated ? reflection.GetRepeatedDouble(message, &field, index) : reflection.GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return repeated ? reflection.GetRepeatedFloat(message, &field, index) : reflection.GetFloat(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return repeated ? reflection.GetRepeatedBool(message, &field, index) : reflection.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? reflection.GetRepeatedString(message, &field, index) : reflection.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (repeated ? reflection.GetRepeatedEnum(message, &field, index) : reflection.GetEnum(message, &field))
          ->name();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return to_json(repeated ? reflection.GetRepeatedMessage(message, &field, index)
                              : reflection.GetMessage(message, &field));
  }
  return nullptr;
}

Json map_to_json(const Message& message, const FieldDescriptor& field) {
  Json json = Json::object();
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const auto* key = entry.GetDescriptor()->map_key();
    Json name = value_to_json(entry, *key, -1);
    json[name.is_string() ? name.get<std::string>() : name.dump()] =
        value_to_json(entry, *entry.GetDescriptor()->map_value(), -1);
  }
  return json;
}

}  // namespace

Json to_json(const Message& message) {
  if (const auto* tensor = dynamic_cast<const v1::Tensor*>(&message)) return tensor_to_json(*tensor);
  if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&message)) {
    const bool valid = time->seconds() >= TimeUtil::kTimestampMinSeconds &&
                       time->seconds() <= TimeUtil::kTimestampMaxSeconds && time->nanos() >= 0 &&
                       time->nanos() < 1'000'000'000;
    return valid ? Json(TimeUtil::ToString(*time)) : Json(nullptr);
  }
  if (const auto* span = dynamic_cast<const google::protobuf::Duration*>(&message)) {
    return static_cast<double>(span->seconds()) + span->nanos() * 1e-9;
  }
  Json json = Json::object();
  const auto& reflection = *message.GetReflection();
  const auto& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    if (field.is_map()) {
      json[field.name()] = map_to_json(message, field);
    } else if (field.is_repeated()) {
      Json items = Json::array();
      for (int at = 0; at < reflection.FieldSize(message, &field); ++at) {
        items.push_back(value_to_json(message, field, at));
      }
      json[field.name()] = std::move(items);
    } else if (!field.has_presence() || reflection.HasField(message, &field)) {
      json[field.name()] = value_to_json(message, field, -1);
    }
  }
  return json;
}

std::string json_line(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace tapewire::client
