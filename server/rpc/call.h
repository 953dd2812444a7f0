#pragma once

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "server/rpc/call_context.h"
#include "server/rpc/wire.h"

namespace tapewire::rpc {

/// A method as calls need it. Outlives them.
struct MethodInfo {
  std::string name;  // "tapewire.v1.ModelService/CreateModel"
  MethodMetrics* metrics = nullptr;
  bool background = false;  // its calls keep no drain waiting
  bool stream = false;      // its calls last as long as the client likes
};

Context make_context(const MethodInfo& method, const grpc::CallbackServerContext& call);

/// Begins when a call arrives, ends with its status: admission, metrics, log.
///
/// Logged are, at info, what a handler announced, rejections and unary calls that took Environment::slow_call or
/// longer; at error, faults of the server; at debug, every other call. Each has the request's id and the handler's
/// notes. Lines above debug are limited in number, by event and reason.
class CallRecord {
 public:
  CallRecord(const Environment& environment, const MethodInfo& method, Context context);

  const Environment& environment() const { return environment_; }
  const Context& context() const { return context_; }
  /// OK, or UNAVAILABLE while draining.
  absl::Status admission() const;
  /// gRPC is done with the call: it keeps no drain waiting any more, and nobody hears of its cancellation.
  void leave();
  /// The call's last word, counted and logged. A cancellation is told by its cause: the deadline, or the server's end.
  grpc::Status close(absl::Status status);

 private:
  void log(const absl::Status& status, const std::string& rejection, double seconds) const;

  const Environment& environment_;
  const MethodInfo& method_;
  Context context_;
  CallGate::Entry entry_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

}  // namespace tapewire::rpc
