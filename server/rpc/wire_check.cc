#include "server/rpc/wire_check.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/strings.h"
#include "core/base/suggest.h"
#include "server/rpc/wire_schema.h"

namespace tapewire::rpc {
namespace {

using Field = WireSchema::Field;

constexpr size_t kLongestPath = 200;
constexpr size_t kPathHead = 120;
constexpr size_t kPathTail = 60;
constexpr size_t kSmallString = 15;     // characters that an std::string holds within
constexpr int64_t kUnknownMemory = 32;  // protobuf keeps fields that it does not know
constexpr int64_t kUnknownBytes = 48;   // those with a text
constexpr int64_t kUnknownGroup = 64;   // those with fields
constexpr int64_t kAllocation = 16;

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    // Overlong forms, surrogates and what lies beyond U+10FFFF are not UTF-8.
    const size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || length > text.size() - i) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<uint8_t>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const auto second = static_cast<uint8_t>(text[i + 1]);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f)) {
      return false;
    }
    i += length;
  }
  return true;
}

// Bytes that come in pieces, read in order.
class Reader {
 public:
  explicit Reader(google::protobuf::io::ZeroCopyInputStream& source) : source_(source) {}

  int64_t position() const { return before_ + (at_ - begin_); }

  // A varint within `end`; none when it does not end there or within ten bytes.
  std::optional<uint64_t> varint(int64_t end) {
    uint64_t value = 0;
    int64_t left = end - position();
    for (int shift = 0; shift < 70; shift += 7) {
      if (left-- <= 0 || (at_ == end_ && !refill())) return std::nullopt;
      const uint8_t byte = *at_++;
      value |= static_cast<uint64_t>(byte & 0x7f) << (shift < 64 ? shift : 63);
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

  // False when they end before.
  bool skip(int64_t count) {
    while (count > end_ - at_) {
      count -= end_ - at_;
      at_ = end_;
      if (!refill()) return false;
    }
    at_ += count;
    return true;
  }

  // Valid until the next call of any; none when they end before.
  std::optional<std::string_view> text(size_t size) {
    if (size <= static_cast<size_t>(end_ - at_)) {
      const std::string_view out(reinterpret_cast<const char*>(at_), size);
      at_ += size;
      return out;
    }
    joined_.clear();
    while (joined_.size() < size) {
      if (at_ == end_ && !refill()) return std::nullopt;
      const size_t part = std::min(size - joined_.size(), static_cast<size_t>(end_ - at_));
      joined_.append(reinterpret_cast<const char*>(at_), part);
      at_ += part;
    }
    return joined_;
  }

 private:
  bool refill() {
    before_ += end_ - begin_;
    const void* data = nullptr;
    int size = 0;
    do {
      if (!source_.Next(&data, &size)) {
        begin_ = at_ = end_ = nullptr;
        return false;
      }
    } while (size == 0);
    begin_ = at_ = static_cast<const uint8_t*>(data);
    end_ = begin_ + size;
    return true;
  }

  google::protobuf::io::ZeroCopyInputStream& source_;
  int64_t before_ = 0;  // bytes in front of begin_
  const uint8_t* begin_ = nullptr;
  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
  std::string joined_;
};

class Walk {
 public:
  Walk(google::protobuf::io::ZeroCopyInputStream& bytes, int64_t size, const WireSchema& type, const WireLimits& limits)
      : bytes_(bytes), size_(size), limits_(limits) {
    push(&type, size, 0);
  }

  WireCheck run() {
    WireCheck out;
    while (out.fault.empty()) {
      const Frame& top = frames_[depth_ - 1];
      if (bytes_.position() < top.end) {
        out.fault = read_field();
      } else if (top.group != 0) {
        out.fault = at("", "truncated: a group does not end");
      } else if (depth_ > 1) {
        pop();
      } else {
        break;
      }
    }
    if (out.fault.empty()) out.fault = check_memory();
    out.memory = memory_;
    return out;
  }

 private:
  // A message that is being walked.
  struct Frame {
    const WireSchema* type = nullptr;  // null within unknown fields
    int64_t end = 0;
    uint32_t group = 0;          // the number that ends it, if it is a group
    size_t counts = 0;           // where in counts_ its fields begin
    const Field* via = nullptr;  // the field that it stands in; null for the first and for unknown ones
    uint32_t number = 0;         // of that field
    int64_t index = 0;           // among the field's items
    std::string key;             // of a map's entry, as far as it was read
    bool has_key = false;
  };

  Frame& top() { return frames_[depth_ - 1]; }

  void push(const WireSchema* type, int64_t end, uint32_t group) {
    if (depth_ == frames_.size()) frames_.emplace_back();
    Frame& frame = frames_[depth_++];
    frame.type = type;
    frame.end = end;
    frame.group = group;
    frame.counts = counts_.size();
    frame.has_key = false;
    if (type != nullptr) counts_.resize(counts_.size() + type->field_count);
  }
  void pop() { counts_.resize(frames_[--depth_].counts); }

  std::string read_field() {
    Frame& frame = top();
    const std::optional<uint64_t> tag = bytes_.varint(frame.end);
    if (!tag) return at("", "truncated or malformed: no field begins here");
    const auto number = static_cast<uint32_t>(*tag >> 3);
    const auto wire = static_cast<uint32_t>(*tag & 7);
    if (number == 0 || *tag > UINT32_MAX) return at("", "malformed: a field has no valid number");
    const Field* known = frame.type != nullptr ? frame.type->find(number) : nullptr;
    // What comes in another form than the field's is unknown to protobuf, too.
    const bool fits = known != nullptr && (wire == known->wire || (wire == kBytes && known->packable));
    const Field* field = fits ? known : nullptr;
    switch (wire) {
      case kVarint:
        if (!bytes_.varint(frame.end)) return at(label(known, number), "truncated: a number");
        return count(field, number, 1);
      case kFixed64:
      case kFixed32: {
        const int64_t size = wire == kFixed64 ? 8 : 4;
        if (frame.end - bytes_.position() < size || !bytes_.skip(size)) {
          return at(label(known, number), "truncated: a number");
        }
        return count(field, number, 1);
      }
      case kBytes:
        return read_bytes(field, number);
      case kGroup:
        memory_ += kUnknownGroup;
        return enter(nullptr, number, frame.end, true);
      case kEndGroup:
        if (frame.group != number) return at("", "malformed: a group ends that did not begin");
        pop();
        return "";
      default:
        return at(label(known, number), "malformed: there is no such wire type");
    }
  }

  std::string read_bytes(const Field* field, uint32_t number) {
    const int64_t end = top().end;
    const std::optional<uint64_t> length = bytes_.varint(end);
    if (!length) return at(label(field, number), "truncated: no length");
    const int64_t left = end - bytes_.position();
    if (*length > static_cast<uint64_t>(left)) {
      return at(label(field, number), str_cat("truncated: expects ", *length, " bytes, got ", left));
    }
    const auto size = static_cast<int64_t>(*length);
    if (field == nullptr) {
      memory_ += kUnknownBytes + size;
      if (!bytes_.skip(size)) return at(label(field, number), "truncated");
      return count(field, number, 1);
    }
    if (field->wire != kBytes) return read_packed(*field, number, size);
    const int64_t max_bytes = is_key(*field) ? top().via->max_bytes : field->max_bytes;
    if (max_bytes > 0 && size > max_bytes && !field->map) {
      return at(label(field, number), str_cat(size, " bytes; at most ", max_bytes));
    }
    if (field->message != nullptr) return enter(field, number, bytes_.position() + size, false);
    if (!field->string) {
      payload_ += size;
      if (!bytes_.skip(size)) return at(label(field, number), "truncated");
      return count(field, number, 1);
    }
    const std::optional<std::string_view> text = bytes_.text(*length);
    if (!text) return at(label(field, number), "truncated");
    if (!is_utf8(*text)) return at(label(field, number), str_cat("not UTF-8: ", quoted(*text)));
    if (text->size() > kSmallString) memory_ += kAllocation + size;
    if (is_key(*field)) {
      top().key.assign(*text);
      top().has_key = true;
    }
    return count(field, number, 1);
  }

  bool is_key(const Field& field) { return top().type->map_entry && field.descriptor->number() == 1; }

  std::string read_packed(const Field& field, uint32_t number, int64_t size) {
    const std::optional<int64_t> items = packed_items(field, size);
    if (!items) return at(label(&field, number), "truncated: a list of numbers");
    return count(&field, number, *items);
  }

  // How many numbers the next `size` bytes are; none unless they are whole ones.
  std::optional<int64_t> packed_items(const Field& field, int64_t size) {
    if (field.wire != kVarint) {
      const int64_t each = field.wire == kFixed64 ? 8 : 4;
      if (size % each != 0 || !bytes_.skip(size)) return std::nullopt;
      return size / each;
    }
    int64_t items = 0;
    for (const int64_t end = bytes_.position() + size; bytes_.position() < end; ++items) {
      if (!bytes_.varint(end)) return std::nullopt;
    }
    return items;
  }

  std::string enter(const Field* field, uint32_t number, int64_t end, bool group) {
    if (depth_ > static_cast<size_t>(limits_.max_depth)) {
      return at(label(field, number), str_cat("nested deeper than ", limits_.max_depth, " levels"));
    }
    if (field != nullptr && field->max_depth > 0) {
      const auto around = std::count_if(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(depth_),
                                        [&](const Frame& frame) { return frame.type == field->message; });
      if (around > field->max_depth) {
        return at(label(field, number),
                  str_cat("nested deeper than ", field->max_depth, " levels of ", field->message->descriptor->name()));
      }
    }
    const int64_t index = field != nullptr ? counts_[top().counts + field->index] : 0;
    if (field != nullptr && !field->repeated && index > 0) {
      return at(label(field, number), "given twice; expected once");
    }
    if (std::string fault = count(field, number, 1, end); !fault.empty()) return fault;
    push(field != nullptr ? field->message : nullptr, end, group ? number : 0);
    top().via = field;
    top().number = number;
    top().index = index;
    return "";
  }

  // Counts what was read, or what ends at `end`, and its memory.
  std::string count(const Field* field, uint32_t number, int64_t items, int64_t end = 0) {
    if (field == nullptr) {
      memory_ += kUnknownMemory;
      return "";
    }
    int64_t& seen = counts_[top().counts + field->index];
    if (seen == 0 && items > 0) memory_ += field->first_memory;
    memory_ += items * field->item_memory;
    seen += items;
    if (field->max_items == 0 || seen <= field->max_items) return "";
    if (end > 0) bytes_.skip(end - bytes_.position());
    const bool all = count_rest(*field, number, seen);
    return at(field->descriptor->name(), str_cat(all ? "" : "at least ", seen, " items; at most ", field->max_items));
  }

  // Adds the items of the field that are still to come; false when something else is wrong with what comes.
  bool count_rest(const Field& field, uint32_t number, int64_t& seen) {
    const int64_t end = top().end;
    if (top().group != 0) return false;
    while (bytes_.position() < end) {
      const std::optional<uint64_t> tag = bytes_.varint(end);
      if (!tag) return false;
      const auto wire = static_cast<uint32_t>(*tag & 7);
      const bool same = *tag >> 3 == number;
      if (wire == kVarint) {
        if (!bytes_.varint(end)) return false;
        seen += same && field.wire == wire;
      } else if (wire == kFixed64 || wire == kFixed32) {
        const int64_t size = wire == kFixed64 ? 8 : 4;
        if (end - bytes_.position() < size || !bytes_.skip(size)) return false;
        seen += same && field.wire == wire;
      } else if (wire == kBytes) {
        const std::optional<uint64_t> length = bytes_.varint(end);
        if (!length || *length > static_cast<uint64_t>(end - bytes_.position())) return false;
        const auto size = static_cast<int64_t>(*length);
        if (same && field.wire != kBytes && field.packable) {
          const std::optional<int64_t> items = packed_items(field, size);
          if (!items) return false;
          seen += *items;
        } else {
          if (!bytes_.skip(size)) return false;
          seen += same && field.wire == kBytes;
        }
      } else {
        return false;
      }
    }
    return true;
  }

  std::string check_memory() const {
    const int64_t bytes = size_ - payload_;
    const int64_t most = std::min(limits_.max_memory, limits_.free_memory + limits_.memory_per_byte * bytes);
    if (memory_ <= most) return "";
    return str_cat("the request: its ", bytes, " bytes (without the data of tensors) would take ", memory_,
                   " bytes of memory; at most ", most);
  }

  // "modules[2]", "attributes['kernel_size']", or "field 77" for one that is not known.
  std::string label(const Field* field, uint32_t number) {
    if (field == nullptr) return str_cat("field ", number);
    if (field->map) return str_cat(field->descriptor->name(), "[?]");
    if (!field->repeated) return field->descriptor->name();
    return str_cat(field->descriptor->name(), "[", counts_[top().counts + field->index], "]");
  }
  static std::string label(const Frame& frame) {
    if (frame.via == nullptr) return str_cat("field ", frame.number);
    const std::string& name = frame.via->descriptor->name();
    if (frame.via->map) return str_cat(name, "[", frame.has_key ? quoted(frame.key) : "?", "]");
    return frame.via->repeated ? str_cat(name, "[", frame.index, "]") : name;
  }

  std::string at(std::string_view name, std::string_view fault) const {
    std::string path;
    const auto add = [&](std::string_view part) {
      if (!path.empty()) path += '.';
      path += part;
    };
    for (size_t i = 1; i < depth_; ++i) add(label(frames_[i]));
    if (!name.empty()) add(name);
    if (path.empty()) path = "the request";
    if (path.size() > kLongestPath) {
      path = str_cat(path.substr(0, kPathHead), "…", path.substr(path.size() - kPathTail));
    }
    return str_cat(path, ": ", fault);
  }

  Reader bytes_;
  const int64_t size_;
  const WireLimits& limits_;
  std::vector<Frame> frames_;  // the first depth_ of them; their strings are used again
  size_t depth_ = 0;
  std::vector<int64_t> counts_;  // items of each field of each frame
  int64_t memory_ = 0;
  int64_t payload_ = 0;
};

}  // namespace

WireCheck check_wire(google::protobuf::io::ZeroCopyInputStream& bytes, int64_t size,
                     const google::protobuf::Descriptor& type, const WireLimits& limits) {
  return Walk(bytes, size, wire_schema(type), limits).run();
}

}  // namespace tapewire::rpc
