#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "client/cpp/client.h"
#include "client/cpp/status.h"
#include "tapewire/v1/autograd_service.grpc.pb.h"
#include "tapewire/v1/hook_service.grpc.pb.h"
#include "tapewire/v1/model_service.grpc.pb.h"
#include "tapewire/v1/server_service.grpc.pb.h"

namespace tapewire::client {

/// Private to the library: the stubs, the numbering of steps, and the making of a call.
class Client::Connection {
 public:
  Connection(std::string address, std::shared_ptr<grpc::Channel> channel, ClientOptions options);

  const std::string& address() const { return address_; }
  const std::string& client_id() const { return options_.client_id; }
  int max_message_bytes() const { return options_.max_message_bytes; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::ModelService::Stub& models() { return models_; }
  v1::AutogradService::Stub& autograd() { return autograd_; }
  v1::HookService::Stub& hooks() { return hooks_; }
  v1::ServerService::Stub& server() { return server_; }

  /// The moment at which a call that starts now is out of time.
  absl::Time deadline(const CallOptions& options) const {
    return absl::Now() + options.timeout.value_or(options_.timeout);
  }

  /// The context of one call, which cancel_calls reaches while it lives.
  class Call {
   public:
    Call(Connection& connection, absl::Time deadline);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();

    grpc::ClientContext* context() { return &context_; }

   private:
    Connection& connection_;
    grpc::ClientContext context_;
  };
  void cancel_calls();

  /// `attempt(context)` until it is OK, fails with something other than UNAVAILABLE, or has been tried max_attempts
  /// times.
  template <class Attempt>
  absl::Status retry(absl::Time deadline, const Attempt& attempt) {
    absl::Duration pause = absl::Milliseconds(100);
    for (int tried = 1;; ++tried) {
      Call call(*this, deadline);
      const absl::Status status = attempt(call.context());
      if (!absl::IsUnavailable(status) || tried >= options_.max_attempts || absl::Now() + pause >= deadline) {
        return status;
      }
      absl::SleepFor(pause);
      pause *= 4;
    }
  }

  /// A unary call that may be repeated: it reads, is numbered, or changes nothing the second time.
  template <class Stub, class Request, class Response>
  absl::StatusOr<Response> call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request, absl::Time deadline) {
    Response response;
    const absl::Status status = retry(deadline, [&](grpc::ClientContext* context) {
      response.Clear();
      return to_status((stub.*method)(context, request, &response));
    });
    if (!status.ok()) return status;
    return response;
  }

  /// A unary call that is tried once.
  template <class Stub, class Request, class Response>
  absl::StatusOr<Response> call_once(Stub& stub,
                                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                     const Request& request, const CallOptions& options) {
    Call call(*this, deadline(options));
    Response response;
    const absl::Status status = to_status((stub.*method)(call.context(), request, &response));
    if (!status.ok()) return status;
    return response;
  }

  /// A step of a model: gives the request its CallId and keeps this client's other steps of the model back, since
  /// numbers must arrive in order.
  template <class Stub, class Request, class Response>
  absl::StatusOr<Response> step(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                Request request, const CallOptions& options) {
    const absl::Time limit = deadline(options);
    Turn& turn = turn_of(request.model());
    const std::lock_guard lock(turn.mutex);
    request.mutable_call_id()->set_client_id(client_id());
    request.mutable_call_id()->set_sequence(++turn.sequence);
    return call(stub, method, request, limit);
  }

 private:
  struct Turn {
    std::mutex mutex;
    int64_t sequence = 0;
  };

  Turn& turn_of(const std::string& model);

  const std::string address_;
  const ClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  v1::ModelService::Stub models_;
  v1::AutogradService::Stub autograd_;
  v1::HookService::Stub hooks_;
  v1::ServerService::Stub server_;

  std::mutex calls_mutex_;
  std::set<grpc::ClientContext*> calls_;

  std::mutex turns_mutex_;
  std::map<std::string, Turn> turns_;  // nodes stay where they are; never erased, so that numbers are not used twice
};

}  // namespace tapewire::client
