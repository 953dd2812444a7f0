#include "client/cpp/definition.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace tapewire::client {
namespace {

// As deep as the server's wire format can carry.
constexpr int kMaxDepth = 100;

/// Keeps the first error: what follows one is mostly its echo.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (!message_.empty()) return;
    // -1 stands for the end; people and editors count from 1.
    message_ = line < 0 ? absl::StrCat(" ", message) : absl::StrCat(line + 1, ":", column + 1, ": ", message);
  }
  void AddWarning(int /*line*/, google::protobuf::io::ColumnNumber /*column*/, const std::string& /*text*/) override {}

  const std::string& message() const { return message_; }

 private:
  std::string message_;
};

absl::StatusOr<v1::ModelSpec> parse_text(const std::string& text, const std::string& name) {
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxDepth);
  v1::ModelSpec spec;
  if (!parser.ParseFromString(text, &spec)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ":", error.message()));
  }
  return spec;
}

/// Protobuf's reader reports no lines, so syntax is checked by one that does.
absl::Status check_json_syntax(const std::string& text, const std::string& name) {
  try {
    const auto parsed = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    const auto before =
        text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte > 0 ? error.byte - 1 : 0, text.size()));
    const auto line = std::count(text.begin(), before, '\n') + 1;
    const auto line_start = std::find(std::make_reverse_iterator(before), text.rend(), '\n').base();
    std::string what = error.what();
    // "[json.exception.parse_error.101] parse error at line 2, column 3: syntax error ...": the place is said once.
    if (const auto at = what.find(": "); at != std::string::npos) what.erase(0, at + 2);
    return absl::InvalidArgumentError(absl::StrCat(name, ":", line, ":", before - line_start + 1, ": ", what));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::ModelSpec> parse_json(const std::string& text, const std::string& name) {
  if (auto status = check_json_syntax(text, name); !status.ok()) return status;
  v1::ModelSpec spec;
  const auto status = google::protobuf::util::JsonStringToMessage(text, &spec);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", std::string(status.message())));
  }
  return spec;
}

bool begins_with_brace(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != std::string::npos && text[first] == '{';
}

}  // namespace

absl::StatusOr<v1::ModelSpec> parse_definition(const std::string& text, DefinitionFormat format,
                                               std::string_view name) {
  return format == DefinitionFormat::kJson ? parse_json(text, std::string(name)) : parse_text(text, std::string(name));
}

absl::StatusOr<v1::ModelSpec> read_definition(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  const std::string text = content.str();
  const bool json = path.ends_with(".json") || begins_with_brace(text);
  return parse_definition(text, json ? DefinitionFormat::kJson : DefinitionFormat::kText, path);
}

std::string definition_text(const v1::ModelSpec& spec) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(spec, &text);
  return text;
}

std::string definition_json(const v1::ModelSpec& spec) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  // Only a google.protobuf.Any could fail, and a definition has none.
  static_cast<void>(google::protobuf::util::MessageToJsonString(spec, &text, options));
  return nlohmann::json::parse(text).dump();
}

}  // namespace tapewire::client
