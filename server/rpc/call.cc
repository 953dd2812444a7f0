#include "server/rpc/call.h"

#include <variant>
#include <vector>

#include "core/base/strings.h"
#include "server/observe/rejection.h"
#include "server/rpc/request_id.h"
#include "server/rpc/status.h"

namespace tapewire::rpc {
namespace {

// Of an error's text in the log.
constexpr size_t kMaxLoggedMessage = 512;

CancelToken::Clock::time_point steady_deadline(const grpc::CallbackServerContext& call) {
  const auto deadline = call.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return CancelToken::Clock::time_point::max();
  return CancelToken::Clock::now() +
         std::chrono::duration_cast<CancelToken::Clock::duration>(deadline - std::chrono::system_clock::now());
}

}  // namespace

Context make_context(const MethodInfo& method, const grpc::CallbackServerContext& call) {
  const auto& metadata = call.client_metadata();
  const auto id = metadata.find(kRequestIdKey);
  const std::string_view from_client =
      id == metadata.end() ? std::string_view() : std::string_view(id->second.data(), id->second.size());
  return std::make_shared<CallContext>(method.name, call.peer(), steady_deadline(call), request_id(from_client));
}

CallRecord::CallRecord(const Environment& environment, const MethodInfo& method, Context context)
    : environment_(environment), method_(method), context_(std::move(context)) {
  method_.metrics->begin();
  environment_.gate.enter(context_, method.background, entry_);
}

absl::Status CallRecord::admission() const {
  return entry_ ? absl::OkStatus() : draining_status("the server takes no new calls");
}

grpc::Status CallRecord::close(absl::Status status) {
  if (status.code() == absl::StatusCode::kCancelled) {
    if (environment_.gate.cancelling()) {
      status = draining_status("the server stopped before the call was done");
    } else if (absl::Status cause = context_->cancel()->status(); !cause.ok()) {
      status = std::move(cause);
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun_;
  method_.metrics->end(status.code(), seconds.count());
  const std::string reason = rejection_reason(status);
  if (!reason.empty()) environment_.metrics.add_rejected(reason);
  log(status, reason, seconds.count());
  return to_grpc(status);
}

void CallRecord::log(const absl::Status& status, const std::string& rejection, double seconds) const {
  LogLevel level = LogLevel::kDebug;
  std::string_view event = "call";
  if (status.code() == absl::StatusCode::kInternal || status.code() == absl::StatusCode::kUnknown) {
    level = LogLevel::kError;
    event = "call failed";
  } else if (!rejection.empty()) {
    level = LogLevel::kInfo;
    event = "call rejected";
  } else if (status.ok() && !context_->event().empty()) {
    level = LogLevel::kInfo;
    event = context_->event();
  } else if (!method_.stream && std::chrono::duration<double>(seconds) >= environment_.slow_call) {
    level = LogLevel::kInfo;
    event = "slow call";
  }
  Logger& logger = environment_.logger;
  if (!logger.enabled(level)) return;
  const std::vector<CallContext::Note> notes = context_->notes();
  const std::string code = absl::StatusCodeToString(status.code());
  std::vector<LogField> fields{{"method", method_.name},
                               {"request_id", context_->request_id()},
                               {"peer", context_->peer()},
                               {"code", code},
                               {"seconds", seconds}};
  if (!rejection.empty()) fields.emplace_back("reason", rejection);
  for (const CallContext::Note& note : notes) {
    std::visit([&](const auto& value) { fields.emplace_back(note.key, value); }, note.value);
  }
  if (!status.ok()) fields.emplace_back("message", to_std(status.message()).substr(0, kMaxLoggedMessage));
  if (level == LogLevel::kDebug) {
    logger.log(level, event, fields);
  } else {
    logger.log_limited(level, event, rejection, fields);
  }
}

void CallRecord::leave() {
  entry_.leave();
  context_->leave();
}

}  // namespace tapewire::rpc
