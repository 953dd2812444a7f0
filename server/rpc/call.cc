#include "server/rpc/call.h"

#include "server/model/rejection.h"
#include "server/rpc/status.h"

namespace tapewire::rpc {
namespace {

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
  return stay_ ? absl::OkStatus() : draining_status("the server takes no new calls");
}

grpc::Status CallRecord::close(absl::Status status) {
  if (status.code() == absl::StatusCode::kCancelled) {
    if (environment_.gate.cancelling()) {
      status = draining_status("the server stopped before the call was done");
    } else if (context_->cancel()->status().code() == absl::StatusCode::kDeadlineExceeded) {
      status = context_->cancel()->status();
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun_;
  method_.metrics->end(status.code(), seconds.count());
  if (const std::string reason = rejection_reason(status); !reason.empty()) environment_.metrics.add_rejected(reason);
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
