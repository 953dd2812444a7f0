#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace tapewire {

/// RESOURCE_EXHAUSTED at a limit that has a name, that of the flag which sets it: "max_tapes". The name travels beside
/// the message, so that nobody has to search it.
class LimitError : public Error {
 public:
  LimitError(std::string limit, std::string message)
      : Error(absl::StatusCode::kResourceExhausted, std::move(message)), limit_(std::move(limit)) {}
  LimitError(std::string limit, Error error) : Error(std::move(error)), limit_(std::move(limit)) {}

  const std::string& limit() const { return limit_; }

 private:
  std::string limit_;
};

/// Throws a LimitError with the concatenation of `parts`, which name what came, the limit and its flag.
template <class... Parts>
[[noreturn]] void fail_limit(std::string_view limit, const Parts&... parts) {
  throw LimitError(std::string(limit), str_cat(parts...));
}

/// Rethrows `error` with `context` in front (Error::within); a LimitError stays one. For whoever catches an Error that
/// may come from a computation.
[[noreturn]] inline void throw_within(const Error& error, std::string_view context) {
  if (const auto* at_limit = dynamic_cast<const LimitError*>(&error)) {
    throw LimitError(at_limit->limit(), error.within(context));
  }
  throw error.within(context);
}

/// As throw_within, by Error::at: of nested paths the innermost.
[[noreturn]] inline void throw_at(const Error& error, std::string_view path) {
  if (const auto* at_limit = dynamic_cast<const LimitError*>(&error)) {
    throw LimitError(at_limit->limit(), error.at(path));
  }
  throw error.at(path);
}

}  // namespace tapewire
