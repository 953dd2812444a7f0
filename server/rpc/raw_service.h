#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "google/protobuf/descriptor.h"
#include "grpcpp/impl/service_type.h"
#include "server/rpc/client_stream.h"
#include "server/rpc/server_stream.h"
#include "server/rpc/stream_call.h"
#include "server/rpc/unary_call.h"

namespace tapewire::rpc {

/// A service of the contract on gRPC's raw callback API: it registers every method that the contract has, and those
/// that are not bound answer UNIMPLEMENTED by name. (Generated handlers would answer a request that is nested too
/// deeply with an empty UNIMPLEMENTED, and give no say in how a message is parsed.) Binding is done before the server
/// starts:
///   unary<v1::GetModelRequest, v1::GetModelResponse>("GetModel", [this](const Context&, auto request, auto answer)
///   {...});
/// A method that the service does not have, or has with other types or another kind of stream, throws Error at the
/// start.
class RawService : public grpc::Service {
 public:
  /// `full_name`: "tapewire.v1.ModelService". `environment` outlives the service.
  RawService(const Environment& environment, const std::string& full_name);

  const std::string& full_name() const { return full_name_; }

 protected:
  template <class Request, class Response>
  void unary(std::string_view method, UnaryHandler<Request, Response> handler) {
    find<Request, Response>(method, false, false).unary = untyped<Request, Response>(std::move(handler));
  }
  template <class Request, class Response>
  void server_stream(std::string_view method, ServerStreamHandler<Request, Response> handler) {
    bind_stream<detail::ServerStreamCall<Request, Response>>(find<Request, Response>(method, false, true),
                                                             std::move(handler));
  }
  /// Its calls keep no drain waiting: they end when all others have.
  template <class Request, class Response>
  void event_stream(std::string_view method, EventStreamHandler<Request> handler) {
    Method& found = find<Request, Response>(method, false, true);
    found.info.background = true;
    bind_stream<detail::EventStreamCall<Request>>(found, std::move(handler));
  }
  template <class Request, class Response>
  void client_stream(std::string_view method, ClientStreamFactory<Request, Response> factory) {
    bind_stream<detail::ClientStreamCall<Request, Response>>(find<Request, Response>(method, true, false),
                                                             std::move(factory));
  }
  /// The calls of a `background` one keep no drain waiting.
  template <class Request, class Response>
  void bidi(std::string_view method, BidiFactory<Request, Response> factory, bool background = false) {
    Method& found = find<Request, Response>(method, true, true);
    found.info.background = background;
    bind_stream<detail::BidiCall<Request, Response>>(found, std::move(factory));
  }

 private:
  struct Method {
    MethodInfo info;
    std::string path;  // "/tapewire.v1.ModelService/CreateModel", which gRPC points into
    const google::protobuf::MethodDescriptor* descriptor;
    UnaryCall::Handler unary;
    StreamCall::Factory stream;
  };

  void add(Method& method);
  Method& find_method(std::string_view name, const google::protobuf::Descriptor* request,
                      const google::protobuf::Descriptor* response, bool client_streams, bool server_streams);
  template <class Request, class Response>
  Method& find(std::string_view name, bool client_streams, bool server_streams) {
    return find_method(name, Request::descriptor(), Response::descriptor(), client_streams, server_streams);
  }
  template <class Call, class Handler>
  void bind_stream(Method& method, Handler handler) {
    method.stream = [this, &method, handler = std::move(handler)](const grpc::CallbackServerContext& call) {
      return std::make_shared<Call>(environment_, method.info, call, handler);
    };
  }

  const Environment& environment_;
  const std::string full_name_;
  std::deque<Method> methods_;
};

/// UNIMPLEMENTED for a field of the contract that this version does not serve, when it is set: never ignored.
///   if (request.detect_anomaly()) return answer(unserved_field("detect_anomaly"));
absl::Status unserved_field(std::string_view path);

}  // namespace tapewire::rpc
