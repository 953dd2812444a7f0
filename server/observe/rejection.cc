#include "server/observe/rejection.h"

#include "absl/strings/cord.h"
#include "core/base/strings.h"

namespace tapewire {
namespace {

constexpr std::string_view kReason = "tapewire.dev/rejection";

absl::Status with_reason(absl::Status status, std::string_view reason) {
  status.SetPayload(to_absl(kReason), absl::Cord(to_absl(reason)));
  return status;
}

}  // namespace

absl::Status limit_status(std::string_view limit, std::string_view message, absl::StatusCode code) {
  return with_reason(absl::Status(code, to_absl(message)), limit);
}

absl::Status draining_status(std::string_view message) {
  return with_reason(absl::UnavailableError(str_cat("draining: ", message)), "draining");
}

std::string rejection_reason(const absl::Status& status) {
  if (const auto reason = status.GetPayload(to_absl(kReason))) return std::string(*reason);
  return status.code() == absl::StatusCode::kResourceExhausted ? "other" : "";
}

}  // namespace tapewire
