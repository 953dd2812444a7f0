#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor/allocator.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/codec/chunks.h"
#include "server/model/live_model.h"
#include "server/model/model_registry.h"
#include "server/rpc/call_context.h"
#include "server/rpc/raw_service.h"
#include "tapewire/v1/autograd_service.pb.h"
#include "tapewire/v1/call.pb.h"
#include "tapewire/v1/model_service.pb.h"

namespace tapewire::rpc {

/// Pieces of messages that several services read or write.

google::protobuf::Timestamp encode_time(std::chrono::system_clock::time_point time);
/// A positive duration of at most a hundred years; throws INVALID_ARGUMENT with `where`.
std::chrono::milliseconds decode_duration(const google::protobuf::Duration& duration, std::string_view where);

/// The model of a call, which the call's log line names. Throws NOT_FOUND.
std::shared_ptr<LiveModel> model_of(const Context& call, const ModelRegistry& models, const std::string& name);

v1::Model encode_model(const LiveModel& model, bool with_spec);
v1::StepInfo encode_step(const StepResult& result);
/// Counts what an answer takes while it is made, if that is much: a small one is given at the limit of memory, too.
/// Throws RESOURCE_EXHAUSTED.
AdoptedCount answer_memory(size_t bytes);
v1::Tape encode_tape(const TapeInfo& tape);

/// The number of a change. Throws UNIMPLEMENTED for a wait_token, INVALID_ARGUMENT for what is no number.
ChangeId decode_call_id(const v1::CallId& id);

/// Makes a change of a model once: `change()` gives the response, which a duplicate gets again. In the model's turn.
template <class Response, class Change>
Response once(ModelState& model, const ChangeId& id, Change&& change) {
  if (id.sequence == 0) return change();
  std::string_view method = Response::descriptor()->name();
  method.remove_suffix(std::string_view("Response").size());
  Response response;
  if (const std::optional<std::string> remembered = model.once().check(id, method)) {
    response.ParseFromString(*remembered);
    return response;
  }
  response = change();
  const bool small = response.ByteSizeLong() <= OnceGuard::kMaxAnswerBytes;
  model.once().note(id, method, small ? std::optional(response.SerializeAsString()) : std::nullopt);
  return response;
}

/// Streams tensors that nobody writes any more, a chunk in each message.
template <class Response>
MessageSource<Response> chunk_source(std::vector<NamedTensor> tensors, int64_t chunk_bytes) {
  return [reader = codec::ChunkReader(std::move(tensors),
                                      chunk_bytes)]() mutable -> absl::StatusOr<std::optional<Response>> {
    Response out;
    if (!reader.next(*out.mutable_chunk())) return std::nullopt;
    return std::optional(std::move(out));
  };
}

/// A list of names or globs.
std::vector<std::string> strings(const google::protobuf::RepeatedPtrField<std::string>& field);

/// Throws UNIMPLEMENTED when `set`.
void refuse_field(bool set, std::string_view path);

}  // namespace tapewire::rpc
