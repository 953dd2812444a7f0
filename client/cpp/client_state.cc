// Client's calls whose tensors come and go in pieces: gradients and states.

#include <algorithm>
#include <utility>

#include "client/cpp/connection.h"
#include "client/cpp/tensor_assembler.h"

namespace tapewire::client {
namespace {

// What one message carries.
constexpr size_t kChunkBytes = size_t{1} << 20;

// Reads a stream of chunks to its end. `progress` may be empty.
template <class Response>
absl::Status receive(grpc::ClientContext* context, grpc::ClientReader<Response>& reader,
                     const std::function<void(int64_t)>& progress, TensorAssembler& tensors) {
  tensors = {};
  int64_t bytes = 0;
  Response response;
  absl::Status assembled;
  while (assembled.ok() && reader.Read(&response)) {
    bytes += static_cast<int64_t>(response.chunk().data().size());
    assembled = tensors.add(std::move(*response.mutable_chunk()));
    if (progress) progress(bytes);
  }
  if (!assembled.ok()) context->TryCancel();
  const absl::Status received = to_status(reader.Finish());
  return assembled.ok() ? received : assembled;
}

// The pieces of tensors that outlive the source.
ChunkSource chunks_of(const std::map<std::string, v1::Tensor>& state) {
  return [&state, at = state.begin(), offset = size_t{0}]() mutable -> absl::StatusOr<std::optional<v1::TensorChunk>> {
    if (at == state.end()) return std::nullopt;
    const auto& [name, tensor] = *at;
    v1::TensorChunk chunk;
    chunk.set_name(name);
    if (offset == 0) {
      chunk.set_dtype(tensor.dtype());
      *chunk.mutable_shape() = tensor.shape();
    }
    chunk.set_offset(static_cast<int64_t>(offset));
    chunk.set_data(tensor.data().substr(offset, kChunkBytes));
    offset += chunk.data().size();
    if (offset == tensor.data().size()) {
      offset = 0;
      ++at;
    }
    return std::optional(std::move(chunk));
  };
}

}  // namespace

absl::StatusOr<std::map<std::string, v1::Tensor>> Client::read_gradients(const std::string& model,
                                                                         const std::vector<std::string>& parameters,
                                                                         const CallOptions& options) const {
  v1::ReadGradientsRequest request;
  request.set_model(model);
  for (const auto& pattern : parameters) request.add_parameters(pattern);
  TensorAssembler gradients;
  const absl::Status status = connection_->retry(connection_->deadline(options), [&](grpc::ClientContext* context) {
    return receive(context, *connection_->autograd().ReadGradients(context, request), {}, gradients);
  });
  if (!status.ok()) return status;
  return std::move(gradients).take();
}

absl::StatusOr<std::map<std::string, v1::Tensor>> Client::read_state(const std::string& model,
                                                                     const ReadStateOptions& read,
                                                                     const CallOptions& options) const {
  v1::ReadStateRequest request;
  request.set_name(model);
  for (const auto& pattern : read.keys) request.add_keys(pattern);
  TensorAssembler state;
  const absl::Status status = connection_->retry(connection_->deadline(options), [&](grpc::ClientContext* context) {
    return receive(context, *connection_->models().ReadState(context, request), read.progress, state);
  });
  if (!status.ok()) return status;
  return std::move(state).take();
}

absl::StatusOr<v1::WriteStateResponse> Client::write_state(const std::string& model, const ChunkSource& next,
                                                           const WriteStateOptions& write,
                                                           const CallOptions& options) const {
  // Not retried: the pieces are given once.
  Connection::Call call(*connection_, connection_->deadline(options));
  v1::WriteStateResponse response;
  const auto writer = connection_->models().WriteState(call.context(), &response);
  v1::WriteStateRequest request;
  request.set_name(model);
  request.set_allow_partial(write.allow_partial);
  request.mutable_call_id()->set_client_id(client_id());
  // The model and the options travel with the first piece, or alone if there is none.
  bool sent = false;
  for (;;) {
    absl::StatusOr<std::optional<v1::TensorChunk>> chunk = next();
    if (!chunk.ok()) {
      call.context()->TryCancel();  // lest the server take what it has for all
      writer->Finish();
      return chunk.status();
    }
    if (!chunk->has_value() && sent) break;
    if (chunk->has_value()) *request.mutable_chunk() = **std::move(chunk);
    if (!writer->Write(request)) break;  // Finish says why
    sent = true;
    request.Clear();
  }
  writer->WritesDone();
  if (const absl::Status status = to_status(writer->Finish()); !status.ok()) return status;
  return response;
}

absl::StatusOr<v1::WriteStateResponse> Client::write_state(const std::string& model,
                                                           const std::map<std::string, v1::Tensor>& state,
                                                           const WriteStateOptions& write,
                                                           const CallOptions& options) const {
  return write_state(model, chunks_of(state), write, options);
}

}  // namespace tapewire::client
