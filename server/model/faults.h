#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tapewire {

/// The faults of a definition, one line each. Bounded in number and in bytes: whoever collects them stops when they
/// are full.
class Faults {
 public:
  static constexpr size_t kMost = 100;
  static constexpr size_t kLongest = 1000;  // bytes of one; the rest is cut
  static constexpr size_t kLongestText = 16 << 10;

  void add(std::string_view fault);
  /// Adds each, behind `prefix`.
  void add_all(std::string_view prefix, const std::vector<std::string>& faults);

  bool empty() const { return faults_.empty(); }
  size_t size() const { return faults_.size(); }
  bool full() const { return faults_.size() >= kMost; }

  /// Throws INVALID_ARGUMENT with the faults, when there are any.
  void throw_if_any() const;

 private:
  std::vector<std::string> faults_;
};

/// A path or another text of the client's as it comes, but in the middle of long ones.
std::string shortened(std::string_view text, size_t most = 200);

}  // namespace tapewire
