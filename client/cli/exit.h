#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tapewire::client {

/// What scripts can rely on; repeated in --help and client/README.md.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,       // the server refused (a faulty definition, too) or failed, or the result is not what was asked for
  kUsage = 2,        // the command line
  kUnreachable = 3,  // no server there, it is draining, or the connection was lost
  kBadInput = 4,     // a definition or data file cannot be read, parsed or written
  kInterrupted = 130  // by a signal
};

/// Ends the command: thrown by commands and their helpers, caught in run_cli, which prints it.
class Exit : public std::runtime_error {
 public:
  Exit(ExitCode code, absl::StatusCode status, const std::string& message)
      : std::runtime_error(message), code_(code), status_(status) {}

  ExitCode code() const { return code_; }
  absl::StatusCode status() const { return status_; }

 private:
  ExitCode code_;
  absl::StatusCode status_;
};

/// Throws unless OK: kUnreachable for UNAVAILABLE, else kFailed.
inline void from_server(const absl::Status& status) {
  if (status.ok()) return;
  const auto code = absl::IsUnavailable(status) ? ExitCode::kUnreachable : ExitCode::kFailed;
  throw Exit(code, status.code(), std::string(status.message()));
}
template <class T>
T from_server(absl::StatusOr<T> result) {
  from_server(result.status());
  return *std::move(result);
}

/// Of a file: throws kBadInput unless OK.
inline void from_file(const absl::Status& status) {
  if (!status.ok()) throw Exit(ExitCode::kBadInput, status.code(), std::string(status.message()));
}
template <class T>
T from_file(absl::StatusOr<T> result) {
  from_file(result.status());
  return *std::move(result);
}

[[noreturn]] inline void fail_usage(const std::string& message) {
  throw Exit(ExitCode::kUsage, absl::StatusCode::kInvalidArgument, message);
}
[[noreturn]] inline void fail_input(const std::string& message) {
  throw Exit(ExitCode::kBadInput, absl::StatusCode::kInvalidArgument, message);
}

}  // namespace tapewire::client
