#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tapewire/v1/definition.pb.h"

namespace tapewire::client {

enum class DefinitionFormat { kText, kJson };

/// A ModelSpec from protobuf text (as in client/examples) or protobuf JSON. `name` stands for the source in errors,
/// which are INVALID_ARGUMENT "name:line:column: what is wrong"; unknown fields are errors. This checks the form only:
/// whether the network makes sense, the server says (validate_only).
absl::StatusOr<v1::ModelSpec> parse_definition(const std::string& text, DefinitionFormat format, std::string_view name);

/// The same of a file: JSON if it is named *.json or begins with "{", else protobuf text. NOT_FOUND or
/// PERMISSION_DENIED if it cannot be opened.
absl::StatusOr<v1::ModelSpec> read_definition(const std::string& path);

/// The text form that parse_definition reads back.
std::string definition_text(const v1::ModelSpec& spec);
/// The JSON form, on one line without a newline; keys are sorted.
std::string definition_json(const v1::ModelSpec& spec);

}  // namespace tapewire::client
