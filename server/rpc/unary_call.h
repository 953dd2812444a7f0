#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/model/caught.h"
#include "server/rpc/answer.h"
#include "server/rpc/call.h"

namespace tapewire::rpc {

/// Answers one request: decode, call a function of model/, hook/ or store/, encode. Runs on gRPC's thread, so it must
/// not block or compute: it submits work and returns. What it throws is the answer.
template <class Request, class Response>
using UnaryHandler = std::function<void(const Context&, Request, Answer<Response>)>;

/// A unary call, from its arrival to OnDone; the one that is answered holds it.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  /// The handler below the types.
  using Handler = std::function<void(const std::shared_ptr<UnaryCall>&, grpc::ByteBuffer& request)>;

  /// For gRPC, which keeps `request` and `response` until OnDone. Without a handler the call is UNIMPLEMENTED.
  static grpc::ServerUnaryReactor* start(const Environment& environment, const MethodInfo& method,
                                         const Handler& handler, grpc::CallbackServerContext& call,
                                         grpc::ByteBuffer& request, grpc::ByteBuffer& response);

  UnaryCall(const Environment& environment, const MethodInfo& method, const grpc::CallbackServerContext& call,
            grpc::ByteBuffer& response)
      : record_(environment, method, make_context(method, call)), response_(response) {}

  const Context& context() const { return record_.context(); }
  const Environment& environment() const { return record_.environment(); }
  /// Ends the call; once, from any thread.
  void finish(absl::StatusOr<grpc::ByteBuffer> answer);

 private:
  void OnCancel() override { context()->cancel()->cancel(); }
  void OnDone() override {
    record_.leave();
    self_.reset();
  }

  CallRecord record_;
  grpc::ByteBuffer& response_;
  std::shared_ptr<UnaryCall> self_;  // gRPC's share
};

/// `handler` for gRPC's bytes.
template <class Request, class Response>
UnaryCall::Handler untyped(UnaryHandler<Request, Response> handler) {
  return [handler = std::move(handler)](const std::shared_ptr<UnaryCall>& call, grpc::ByteBuffer& bytes) {
    Request request;
    const absl::Status parsed = parse_message(bytes, request, call->environment().limits);
    bytes.Clear();
    if (!parsed.ok()) return call->finish(parsed);
    const Answer<Response> answer([call](absl::StatusOr<Response> response) {
      call->finish(response.ok() ? serialize_message(*std::move(response), call->environment().limits)
                                 : response.status());
    });
    try {
      handler(call->context(), std::move(request), answer);
    } catch (...) {
      answer(caught_status());
    }
  };
}

}  // namespace tapewire::rpc
