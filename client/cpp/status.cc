#include "client/cpp/status.h"

#include <grpcpp/support/status.h>

namespace tapewire::client {

absl::Status to_status(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

absl::Status annotate(const absl::Status& status, const std::string& context) {
  if (status.ok()) return status;
  return {status.code(), context + ": " + std::string(status.message())};
}

}  // namespace tapewire::client
