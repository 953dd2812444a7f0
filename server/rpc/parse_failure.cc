#include "server/rpc/parse_failure.h"

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/strings.h"
#include "core/base/suggest.h"

namespace tapewire::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr size_t kLongestPath = 200;
constexpr size_t kPathHead = 120;
constexpr size_t kPathTail = 60;

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kEndGroup = 4, kFixed32 = 5 };

// A varint at `pos`, which moves behind it; none when it does not end within `end` or within ten bytes.
std::optional<uint64_t> read_varint(std::string_view bytes, size_t& pos, size_t end) {
  uint64_t value = 0;
  for (int shift = 0; shift < 70 && pos < end; shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[pos++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << (shift < 64 ? shift : 63);
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// Overlong forms, surrogates and what lies beyond U+10FFFF are not UTF-8.
bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || length > text.size() - i) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<uint8_t>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const auto second = length > 1 ? static_cast<uint8_t>(text[i + 1]) : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f)) {
      return false;
    }
    i += length;
  }
  return true;
}

class Walk {
 public:
  Walk(std::string_view bytes, const Descriptor& type, int max_depth) : bytes_(bytes), max_depth_(max_depth) {
    frames_.push_back({&type, bytes.size(), "", 0, {}});
  }

  std::string run() {
    std::string fault;
    while (fault.empty()) {
      const Frame& top = frames_.back();
      if (pos_ < top.end) {
        fault = read_field();
      } else if (top.group != 0) {
        fault = at("", "truncated: a group does not end");
      } else if (frames_.size() > 1) {
        frames_.pop_back();
      } else {
        return "";
      }
    }
    return fault;
  }

 private:
  struct Frame {
    const Descriptor* type;  // null within unknown fields
    size_t end;
    std::string label;
    uint32_t group;  // the number that ends this frame, if it is a group
    std::map<int, int> seen;
  };

  std::string read_field() {
    const std::optional<uint64_t> tag = read_varint(bytes_, pos_, frames_.back().end);
    if (!tag) return at("", "truncated or malformed: no field begins here");
    const auto number = static_cast<uint32_t>(*tag >> 3);
    const auto wire = static_cast<uint32_t>(*tag & 7);
    if (number == 0 || *tag > UINT32_MAX) return at("", "malformed: a field has no valid number");
    const Descriptor* type = frames_.back().type;
    const FieldDescriptor* field = type != nullptr ? type->FindFieldByNumber(static_cast<int>(number)) : nullptr;
    switch (wire) {
      case kVarint:
        if (!read_varint(bytes_, pos_, frames_.back().end)) return at(label(field, number), "truncated: a number");
        count(number);
        return "";
      case kFixed64:
        return skip(field, number, 8);
      case kFixed32:
        return skip(field, number, 4);
      case kBytes:
        return read_bytes(field, number);
      case kGroup:
        return enter(nullptr, number, frames_.back().end, label(field, number), true);
      case kEndGroup:
        if (frames_.back().group != number) return at("", "malformed: a group ends that did not begin");
        frames_.pop_back();
        return "";
      default:
        return at(label(field, number), "malformed: there is no such wire type");
    }
  }

  std::string read_bytes(const FieldDescriptor* field, uint32_t number) {
    const size_t end = frames_.back().end;
    const std::optional<uint64_t> length = read_varint(bytes_, pos_, end);
    if (!length) return at(label(field, number), "truncated: no length");
    if (*length > end - pos_) {
      return at(label(field, number), str_cat("truncated: expects ", *length, " bytes, got ", end - pos_));
    }
    const std::string_view payload = bytes_.substr(pos_, *length);
    if (field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE) {
      return enter(field->message_type(), number, pos_ + *length, label(field, number), false);
    }
    if (field != nullptr && field->type() == FieldDescriptor::TYPE_STRING && !is_utf8(payload)) {
      return at(label(field, number), str_cat("not UTF-8: ", quoted(payload)));
    }
    if (field != nullptr && field->is_packable() && !is_packed(*field, payload)) {
      return at(label(field, number), "truncated: a list of numbers");
    }
    pos_ += *length;
    count(number);
    return "";
  }

  // A list of numbers in one field: whole elements.
  static bool is_packed(const FieldDescriptor& field, std::string_view payload) {
    switch (field.type()) {
      case FieldDescriptor::TYPE_DOUBLE:
      case FieldDescriptor::TYPE_FIXED64:
      case FieldDescriptor::TYPE_SFIXED64:
        return payload.size() % 8 == 0;
      case FieldDescriptor::TYPE_FLOAT:
      case FieldDescriptor::TYPE_FIXED32:
      case FieldDescriptor::TYPE_SFIXED32:
        return payload.size() % 4 == 0;
      default:
        break;
    }
    for (size_t pos = 0; pos < payload.size();) {
      if (!read_varint(payload, pos, payload.size())) return false;
    }
    return true;
  }

  std::string skip(const FieldDescriptor* field, uint32_t number, size_t size) {
    if (frames_.back().end - pos_ < size) return at(label(field, number), "truncated: a number");
    pos_ += size;
    count(number);
    return "";
  }

  std::string enter(const Descriptor* type, uint32_t number, size_t end, std::string name, bool group) {
    if (static_cast<int>(frames_.size()) > max_depth_) {
      return at(name, str_cat("nested deeper than ", max_depth_, " levels"));
    }
    count(number);
    frames_.push_back({type, end, std::move(name), group ? number : 0, {}});
    return "";
  }

  void count(uint32_t number) { ++frames_.back().seen[static_cast<int>(number)]; }

  // "modules[2]", "attributes['kernel_size']", or "field 77" for one that is not known.
  std::string label(const FieldDescriptor* field, uint32_t number) {
    if (field == nullptr) return str_cat("field ", number);
    if (field->is_map()) return str_cat(field->name(), "[", map_key(), "]");
    if (field->is_repeated()) return str_cat(field->name(), "[", frames_.back().seen[field->number()], "]");
    return field->name();
  }

  // The key of the map entry that begins at pos_; ours are strings, and writers put them first.
  std::string map_key() {
    constexpr uint8_t kStringKey = (1 << 3) | kBytes;
    size_t pos = pos_;
    const size_t end = frames_.back().end;
    if (pos >= end || static_cast<uint8_t>(bytes_[pos]) != kStringKey) return "?";
    ++pos;
    const std::optional<uint64_t> length = read_varint(bytes_, pos, end);
    return length && *length <= end - pos ? quoted(bytes_.substr(pos, *length)) : "?";
  }

  std::string at(std::string_view name, std::string_view fault) const {
    std::string path;
    for (size_t i = 1; i <= frames_.size(); ++i) {
      const std::string_view part = i < frames_.size() ? std::string_view(frames_[i].label) : name;
      if (part.empty()) continue;
      if (!path.empty()) path += '.';
      path += part;
    }
    if (path.empty()) path = "the request";
    if (path.size() > kLongestPath) {
      path = str_cat(path.substr(0, kPathHead), "…", path.substr(path.size() - kPathTail));
    }
    return str_cat(path, ": ", fault);
  }

  std::string_view bytes_;
  int max_depth_;
  size_t pos_ = 0;
  std::vector<Frame> frames_;
};

}  // namespace

std::string describe_parse_failure(std::string_view bytes, const Descriptor& type, int max_depth) {
  return Walk(bytes, type, max_depth).run();
}

}  // namespace tapewire::rpc
