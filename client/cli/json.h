#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>

namespace tapewire::client {

/// Its keys are sorted, so that the same answer prints the same.
using Json = nlohmann::json;

/// A message for scripts: fields by their proto names, defaults included (but unset messages and optionals left out),
/// 64-bit integers as numbers, enums by name, times as RFC 3339, durations in seconds, a Tensor's data as a flat
/// list of numbers. Not-a-number and infinities become null, since JSON has none.
Json to_json(const google::protobuf::Message& message);

/// One line, without a newline; invalid UTF-8 is replaced.
std::string json_line(const Json& value);

}  // namespace tapewire::client
