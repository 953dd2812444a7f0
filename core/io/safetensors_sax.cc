#include "core/io/safetensors_sax.h"

#include <set>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {
namespace {

using nlohmann::json;

// How deep values may lie within fields that are passed over; the reference implementation's parser stops at this.
constexpr int kMaxDepth = 127;

// std::quoted, which the JSON library brings, would be taken for strings.
std::string shown(std::string_view text, size_t limit = 80) { return quoted(text, limit); }

// Hears the JSON piece by piece. No method returns false: they throw.
class HeaderReader final : public nlohmann::json_sax<json> {
 public:
  RawSafetensorsHeader take() { return std::move(header_); }

  bool null() override {
    // The reference implementation takes null for no metadata.
    return at_ == At::kHeader && is_metadata() ? true : other("null");
  }
  bool boolean(bool) override { return other("a boolean"); }
  bool number_integer(number_integer_t value) override { return other(str_cat("the number ", value)); }
  bool number_float(number_float_t, const string_t& text) override {
    return other(str_cat("the number ", shown(text, 40)));
  }
  bool binary(binary_t&) override { return other("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (at_ == At::kShape) {
      entry_.shape.push_back(value);
      return true;
    }
    if (at_ == At::kOffsets && offsets_ < entry_.data_offsets.size()) {
      entry_.data_offsets[offsets_++] = value;
      return true;
    }
    if (at_ == At::kOffsets) fail(where(), ": expects two numbers, got more");
    return other(str_cat("the number ", value));
  }

  bool string(string_t& value) override {
    if (at_ == At::kMetadata) {
      if (!header_.metadata.emplace(key_, value).second) fail("__metadata__: ", shown(key_), " stands twice");
      return true;
    }
    if (at_ == At::kEntry && field_ == Field::kDtype) {
      entry_.dtype = std::move(value);
      return true;
    }
    return other(str_cat("the string ", shown(value, 40)));
  }

  bool start_object(std::size_t) override {
    switch (at_) {
      case At::kStart:
        at_ = At::kHeader;
        return true;
      case At::kHeader:
        at_ = is_metadata() ? At::kMetadata : At::kEntry;
        fields_.clear();
        entry_ = {.name = key_};
        return true;
      default:
        return other("an object", 1);
    }
  }

  bool key(string_t& name) override {
    if (depth_ > 0) return true;
    switch (at_) {
      case At::kHeader:
        key_ = std::move(name);
        if (!names_.insert(key_).second) fail(tensor(), " stands twice in the header");
        return true;
      case At::kEntry:
        field_ = field_of(name);
        if (!fields_.insert(name).second) fail(tensor(), ": ", shown(name), " stands twice");
        return true;
      default:
        key_ = std::move(name);
        return true;
    }
  }

  bool end_object() override {
    if (depth_ > 0) return leave();
    if (at_ == At::kEntry) finish_entry();
    at_ = at_ == At::kHeader ? At::kStart : At::kHeader;
    return true;
  }

  bool start_array(std::size_t) override {
    if (at_ == At::kEntry && depth_ == 0 && field_ == Field::kShape) {
      at_ = At::kShape;
    } else if (at_ == At::kEntry && depth_ == 0 && field_ == Field::kOffsets) {
      at_ = At::kOffsets;
      offsets_ = 0;
    } else {
      return other("an array", 1);
    }
    return true;
  }

  bool end_array() override {
    if (depth_ > 0) return leave();
    if (at_ == At::kOffsets && offsets_ != entry_.data_offsets.size()) {
      fail(where(), ": expects two numbers, got ", offsets_);
    }
    at_ = At::kEntry;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception& error) override {
    // The library's words stand behind its own name and its own count of lines.
    std::string_view text = error.what();
    for (const std::string_view before : {"] ", ": "}) {
      if (const size_t at = text.find(before); at != std::string_view::npos) text.remove_prefix(at + before.size());
    }
    fail("the header is not JSON: at byte ", position, ": ", shown(text, 200));
  }

 private:
  enum class At { kStart, kHeader, kMetadata, kEntry, kShape, kOffsets };
  enum class Field { kDtype, kShape, kOffsets, kUnknown };

  static Field field_of(std::string_view name) {
    if (name == "dtype") return Field::kDtype;
    if (name == "shape") return Field::kShape;
    if (name == "data_offsets") return Field::kOffsets;
    return Field::kUnknown;
  }

  bool is_metadata() const { return key_ == kSafetensorsMetadata; }

  std::string tensor() const { return str_cat("tensor ", shown(key_)); }
  std::string where() const {
    if (at_ == At::kHeader) return tensor();
    return str_cat(tensor(), ": ",
                   field_ == Field::kDtype   ? "dtype"
                   : field_ == Field::kShape ? "shape"
                                             : "data_offsets");
  }

  // A value that has no place of its own: within an unknown field it is passed over, elsewhere it is a fault.
  bool other(std::string_view what, int deeper = 0) {
    if (depth_ > 0 || (at_ == At::kEntry && field_ == Field::kUnknown)) {
      depth_ += deeper;
      if (depth_ > kMaxDepth) fail(tensor(), ": a field is nested deeper than ", kMaxDepth);
      return true;
    }
    switch (at_) {
      case At::kStart:
        fail("the header expects an object, got ", what);
      case At::kHeader:
        if (is_metadata()) fail("__metadata__: expects an object of strings, got ", what);
        fail(where(), ": expects an object with dtype, shape and data_offsets, got ", what);
      case At::kMetadata:
        fail("__metadata__: ", shown(key_), ": expects a string, got ", what);
      case At::kShape:
        fail(where(), ": expects sizes, integers from 0 on, got ", what);
      case At::kOffsets:
        fail(where(), ": expects two integers from 0 on, got ", what);
      case At::kEntry:
        break;
    }
    fail(where(), ": expects ", field_ == Field::kDtype ? "a string" : "an array", ", got ", what);
  }

  bool leave() {
    --depth_;
    return true;
  }

  void finish_entry() {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(field)) fail(tensor(), ": has no ", field);
    }
    header_.tensors.push_back(std::move(entry_));
  }

  RawSafetensorsHeader header_;
  At at_ = At::kStart;
  int depth_ = 0;  // of arrays and objects within an unknown field
  std::unordered_set<std::string> names_;
  std::string key_;  // of the header, then of the metadata
  RawSafetensorsEntry entry_;
  std::set<std::string, std::less<>> fields_;
  Field field_ = Field::kUnknown;
  size_t offsets_ = 0;
};

}  // namespace

RawSafetensorsHeader read_safetensors_json(std::string_view text) {
  if (!text.starts_with('{')) {
    fail("the header begins with ", shown(text.substr(0, 1)), "; a safetensors header begins with '{'");
  }
  // To the JSON library a NUL is the end of the text, whatever follows.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    fail("the header is not JSON: at byte ", nul + 1, ": '\\x00'");
  }
  HeaderReader reader;
  json::sax_parse(text.begin(), text.end(), &reader);
  return reader.take();
}

}  // namespace tapewire
