#include "server/rpc/call.h"

#include <array>

#include "core/base/strings.h"
#include "server/rpc/status.h"

namespace tapewire::rpc {
namespace {

// Every limit's error names its flag, which is then the reason in the metrics.
constexpr std::array<std::string_view, 8> kLimitFlags{"max_message_bytes", "max_tensor_bytes",   "max_models",
                                                      "max_queue",         "max_tapes",          "max_hooks",
                                                      "max_nodes",         "tensor_memory_limit"};

std::string rejection(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kUnavailable) return "draining";
  if (status.code() != absl::StatusCode::kResourceExhausted) return "";
  for (const std::string_view flag : kLimitFlags) {
    if (to_std(status.message()).find(str_cat("--", flag)) != std::string_view::npos) return std::string(flag);
  }
  return "other";
}

CancelToken::Clock::time_point steady_deadline(const grpc::CallbackServerContext& call) {
  const auto deadline = call.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return CancelToken::Clock::time_point::max();
  return CancelToken::Clock::now() +
         std::chrono::duration_cast<CancelToken::Clock::duration>(deadline - std::chrono::system_clock::now());
}

}  // namespace

Context make_context(const MethodInfo& method, const grpc::CallbackServerContext& call) {
  return std::make_shared<CallContext>(method.name, call.peer(), steady_deadline(call));
}

CallRecord::CallRecord(const Environment& environment, const MethodInfo& method, Context context)
    : environment_(environment), method_(method), context_(std::move(context)) {
  method_.metrics->begin();
  environment_.gate.enter(context_, method.background, stay_);
}

absl::Status CallRecord::admission() const {
  return stay_ ? absl::OkStatus() : absl::UnavailableError("draining: the server takes no new calls");
}

grpc::Status CallRecord::close(absl::Status status) {
  if (status.code() == absl::StatusCode::kCancelled) {
    if (environment_.gate.cancelling()) {
      status = absl::UnavailableError("draining: the server stopped before the call was done");
    } else if (context_->cancel()->status().code() == absl::StatusCode::kDeadlineExceeded) {
      status = context_->cancel()->status();
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun_;
  method_.metrics->end(status.code(), seconds.count());
  if (const std::string reason = rejection(status); !reason.empty()) environment_.metrics.add_rejected(reason);
  const bool ours = status.code() == absl::StatusCode::kInternal || status.code() == absl::StatusCode::kUnknown;
  const LogLevel level = ours ? LogLevel::kError : LogLevel::kDebug;
  if (environment_.logger.enabled(level)) {
    environment_.logger.log(level, ours ? "call failed" : "call",
                            {{"method", method_.name},
                             {"peer", context_->peer()},
                             {"code", absl::StatusCodeToString(status.code())},
                             {"seconds", seconds.count()},
                             {"message", to_std(status.message())}});
  }
  return to_grpc(status);
}

void CallRecord::leave() {
  stay_.leave();
  context_->cancel()->forget_all();
}

}  // namespace tapewire::rpc
