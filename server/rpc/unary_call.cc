#include "server/rpc/unary_call.h"

#include "core/base/strings.h"
#include "server/rpc/request_id.h"

namespace tapewire::rpc {

grpc::ServerUnaryReactor* UnaryCall::start(const Environment& environment, const MethodInfo& method,
                                           const Handler& handler, grpc::CallbackServerContext& call,
                                           grpc::ByteBuffer& request, grpc::ByteBuffer& response) {
  auto self = std::make_shared<UnaryCall>(environment, method, call, response);
  self->self_ = self;
  call.AddInitialMetadata(kRequestIdKey, self->context()->request_id());
  grpc::ServerUnaryReactor* reactor = self.get();
  if (const absl::Status admission = self->record_.admission(); !admission.ok()) {
    self->finish(admission);
  } else if (!handler) {
    self->finish(absl::UnimplementedError(str_cat(method.name, " is not served by this version")));
  } else {
    handler(self, request);
  }
  return reactor;
}

void UnaryCall::finish(absl::StatusOr<grpc::ByteBuffer> answer) {
  // gRPC may be done with the reactor, on another thread, before Finish returns.
  const std::shared_ptr<UnaryCall> keep = self_;
  if (answer.ok()) response_.Swap(&*answer);
  Finish(record_.close(answer.status()));
}

}  // namespace tapewire::rpc
