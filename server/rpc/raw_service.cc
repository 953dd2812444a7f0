#include "server/rpc/raw_service.h"

#include "core/base/error.h"
#include "grpcpp/impl/codegen/server_callback_handlers.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "server/rpc/request_id.h"

namespace tapewire::rpc {
namespace {

using grpc::ByteBuffer;
using grpc::internal::RpcMethod;

// Stands in for a stream that is not bound.
class UnservedStream final : public StreamCall {
 public:
  UnservedStream(const Environment& environment, const MethodInfo& method, const grpc::CallbackServerContext& call)
      : StreamCall(environment, method, call), name_(method.name) {}

 private:
  void started() override { end(absl::UnimplementedError(str_cat(name_, " is not served by this version"))); }
  void cancelled() override { end(absl::CancelledError("the call was cancelled")); }
  Event received(ByteBuffer) override {
    return [] {};
  }

  const std::string& name_;
};

}  // namespace

RawService::RawService(const Environment& environment, const std::string& full_name)
    : environment_(environment), full_name_(full_name) {
  const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(full_name);
  if (service == nullptr) fail_internal("the contract has no service ", full_name);
  for (int i = 0; i < service->method_count(); ++i) {
    const std::string& name = service->method(i)->name();
    Method& method = methods_.emplace_back();
    method.descriptor = service->method(i);
    method.info.name = str_cat(full_name, "/", name);
    method.info.metrics = &environment.metrics.method(method.info.name);
    method.info.stream = method.descriptor->client_streaming() || method.descriptor->server_streaming();
    method.path = str_cat("/", method.info.name);
    add(method);
  }
}

// As the generated services register their raw callback methods; streams all as bidirectional ones.
void RawService::add(Method& method) {
  const auto index = static_cast<int>(methods_.size()) - 1;
  AddMethod(new grpc::internal::RpcServiceMethod(
      method.path.c_str(), method.info.stream ? RpcMethod::BIDI_STREAMING : RpcMethod::NORMAL_RPC, nullptr));
  if (method.info.stream) {
    MarkMethodRawCallback(index, new grpc::internal::CallbackBidiHandler<ByteBuffer, ByteBuffer>(
                                     [this, &method](grpc::CallbackServerContext* call) {
                                       const std::shared_ptr<StreamCall> stream =
                                           method.stream
                                               ? method.stream(*call)
                                               : std::make_shared<UnservedStream>(environment_, method.info, *call);
                                       call->AddInitialMetadata(kRequestIdKey, stream->context()->request_id());
                                       return StreamCall::start(stream);
                                     }));
  } else {
    MarkMethodRawCallback(
        index, new grpc::internal::CallbackUnaryHandler<ByteBuffer, ByteBuffer>(
                   [this, &method](grpc::CallbackServerContext* call, const ByteBuffer* request, ByteBuffer* response) {
                     // gRPC's request is not const; it is shown so to those who do not free it early.
                     return UnaryCall::start(environment_, method.info, method.unary, *call,
                                             *const_cast<ByteBuffer*>(request), *response);
                   }));
  }
}

RawService::Method& RawService::find_method(std::string_view name, const google::protobuf::Descriptor* request,
                                            const google::protobuf::Descriptor* response, bool client_streams,
                                            bool server_streams) {
  for (Method& method : methods_) {
    if (method.descriptor->name() != name) continue;
    if (method.descriptor->input_type() != request || method.descriptor->output_type() != response ||
        method.descriptor->client_streaming() != client_streams ||
        method.descriptor->server_streaming() != server_streams) {
      fail_internal(method.info.name, " is bound with other types or streams than the contract's");
    }
    if (method.unary || method.stream) fail_internal(method.info.name, " is bound twice");
    return method;
  }
  fail_internal("the contract has no method ", name);
}

absl::Status unserved_field(std::string_view path) {
  return absl::UnimplementedError(str_cat(path, ": this field is not served by this version"));
}

}  // namespace tapewire::rpc
