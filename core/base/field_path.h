#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/strings.h"
#include "core/base/suggest.h"

namespace tapewire {

/// Where something stands in what a client sent: "fc1: forward.calls[2].args[0]". A link to what it stands in, so that
/// the text is made only when a fault names it. REQUIRES: the texts, names and paths that it is made of outlive it.
class FieldPath {
 public:
  FieldPath(std::string_view text) : text_(text) {}    // NOLINT: a text is a path
  FieldPath(const std::string& text) : text_(text) {}  // NOLINT
  FieldPath(const char* text) : text_(text) {}         // NOLINT

  /// this + ".when"
  FieldPath field(std::string_view text) const { return {*this, text, Kind::kText, 0, ""}; }
  /// this + ".calls" + "[2]"
  FieldPath item(std::string_view text, int64_t index) const { return {*this, text, Kind::kItem, index, ""}; }
  /// this + ".kwargs" + "['dim']"
  FieldPath key(std::string_view text, std::string_view name) const { return {*this, text, Kind::kKey, 0, name}; }
  /// this + ": attribute " + "'dim'"
  FieldPath named(std::string_view text, std::string_view name) const { return {*this, text, Kind::kNamed, 0, name}; }

  std::string str() const {
    std::string out = parent_ != nullptr ? parent_->str() : "";
    out += text_;
    if (kind_ == Kind::kItem) out += str_cat("[", index_, "]");
    if (kind_ == Kind::kKey) out += str_cat("[", quoted(name_), "]");
    if (kind_ == Kind::kNamed) out += quoted(name_);
    return out;
  }

 private:
  enum class Kind : uint8_t { kText, kItem, kKey, kNamed };

  FieldPath(const FieldPath& parent, std::string_view text, Kind kind, int64_t index, std::string_view name)
      : parent_(&parent), text_(text), kind_(kind), index_(index), name_(name) {}

  const FieldPath* parent_ = nullptr;
  std::string_view text_;
  Kind kind_ = Kind::kText;
  int64_t index_ = 0;
  std::string_view name_;
};

}  // namespace tapewire
