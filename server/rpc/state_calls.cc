#include "server/rpc/state_calls.h"

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "server/codec/chunks.h"
#include "server/rpc/message.h"
#include "server/rpc/stream_model.h"

namespace tapewire::rpc {
namespace {

v1::WriteStateResponse encode(const LoadStateResult& result) {
  v1::WriteStateResponse out;
  for (const std::string& key : result.keys.missing_keys) out.add_missing_keys(key);
  for (const std::string& key : result.keys.unexpected_keys) out.add_unexpected_keys(key);
  out.set_parameter_version(result.parameter_version);
  return out;
}

class WriteStateHandler final : public ClientStreamHandler<v1::WriteStateRequest, v1::WriteStateResponse> {
 public:
  WriteStateHandler(const Backend& backend, const Context& call)
      : backend_(backend), call_(call), model_(call), chunks_(backend.tensors) {}

  void message(v1::WriteStateRequest request, Answer<void> answer) override {
    if (!model_) {
      model_.set(model_of(call_, backend_.models, request.name()));
      id_ = decode_call_id(request.call_id());
      args_.allow_partial = request.allow_partial();
      args_.max_answer_bytes = backend_.max_answer_bytes;
    } else if (!request.name().empty() && request.name() != model_->name()) {
      fail("name: a state is of one model, ", model_->name(), "; got ", quoted(request.name()));
    } else if (request.allow_partial() || request.has_call_id()) {
      fail("allow_partial, call_id: belong into the first message of a state");
    }
    if (request.has_chunk()) chunks_.add(std::move(*request.mutable_chunk()));
    answer(absl::OkStatus());
  }

  void end(Answer<v1::WriteStateResponse> answer) override {
    if (!model_) fail("name: the stream ended before its first message");
    args_.state = chunks_.finish();
    model_->submit(
        call_->cancel(),
        [args = std::move(args_), id = id_](ModelState& m) {
          return once<v1::WriteStateResponse>(m, id, [&] { return encode(m.load_state(args)); });
        },
        std::move(answer));
  }

 private:
  const Backend& backend_;
  const Context call_;
  StreamModel model_;
  ChangeId id_;
  LoadStateArgs args_;
  codec::ChunkAssembler chunks_;
};

}  // namespace

std::unique_ptr<ClientStreamHandler<v1::WriteStateRequest, v1::WriteStateResponse>> make_write_state_handler(
    const Backend& backend, const Context& call) {
  return std::make_unique<WriteStateHandler>(backend, call);
}

}  // namespace tapewire::rpc
