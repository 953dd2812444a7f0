#pragma once

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "core/base/strings.h"

namespace tapewire {

/// The one exception type of the engine: an Abseil status code and a message that names the op or module path, what
/// came and what was expected ("fc1: linear expects input [*, 320], got [64, 256]").
class Error : public std::exception {
 public:
  Error(absl::StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  absl::StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }

  /// The same error with `context` and ": " in front of its message.
  Error within(std::string_view context) const {
    Error out(code_, str_cat(context, ": ", message_));
    out.located_ = located_;
    return out;
  }
  /// The same error with the path of the module it arose in; of nested ones the innermost names itself.
  Error at(std::string_view path) const {
    Error out = located_ || path.empty() ? *this : within(path);
    out.located_ = true;
    return out;
  }

 private:
  absl::StatusCode code_;
  std::string message_;
  bool located_ = false;
};

/// Throws Error with `code` and the concatenation of `parts` (anything str_cat takes).
template <class... Parts>
[[noreturn]] void fail_with(absl::StatusCode code, const Parts&... parts) {
  throw Error(code, str_cat(parts...));
}

/// Throws an INVALID_ARGUMENT Error: the caller's input is at fault.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(absl::StatusCode::kInvalidArgument, str_cat(parts...));
}

/// Throws a FAILED_PRECONDITION Error: the input is fine, the state it meets is not.
template <class... Parts>
[[noreturn]] void fail_precondition(const Parts&... parts) {
  throw Error(absl::StatusCode::kFailedPrecondition, str_cat(parts...));
}

/// Throws an INTERNAL Error: a promise between two parts of the engine was broken.
template <class... Parts>
[[noreturn]] void fail_internal(const Parts&... parts) {
  throw Error(absl::StatusCode::kInternal, str_cat(parts...));
}

}  // namespace tapewire
