#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cpp/hook_watcher.h"
#include "client/cpp/train_stream.h"
#include "tapewire/v1/autograd_service.pb.h"
#include "tapewire/v1/hook_service.pb.h"
#include "tapewire/v1/model_service.pb.h"
#include "tapewire/v1/server_service.pb.h"

namespace grpc {
class Channel;
class ChannelCredentials;
}  // namespace grpc

namespace tapewire::client {

struct ClientOptions {
  absl::Duration connect_timeout = absl::Seconds(10);
  /// False: connect() fails at once where nothing listens. True: it waits for a server to come, up to connect_timeout.
  bool wait_for_server = false;
  /// Deadline of a call whose CallOptions name none; streams have none of their own.
  absl::Duration timeout = absl::InfiniteDuration();
  /// Largest message taken from the server, and sent to it, in bytes.
  int max_message_bytes = 256 << 20;
  /// Pings an idle connection this often while a call is open; infinite turns it off.
  absl::Duration keepalive = absl::Minutes(5);
  /// Attempts at a call that fails with UNAVAILABLE: reads, steps (numbered, so that none applies twice) and calls that
  /// may be repeated without harm. Others are tried once, since their answer may be all that was lost.
  int max_attempts = 3;
  /// Default: without encryption.
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  /// Default: random, 128 bits. Whoever knows it can act on this client's hooks and sequences.
  std::string client_id;
};

struct CallOptions {
  /// Default: ClientOptions::timeout.
  std::optional<absl::Duration> timeout;
};

struct CreateOptions {
  int64_t seed = 0;
  bool validate_only = false;
};

struct Batch {
  std::vector<v1::NamedTensor> inputs;
  std::vector<v1::NamedTensor> targets;
};

struct ReadStateOptions {
  /// Globs over the keys of the state dict; none means all.
  std::vector<std::string> keys;
  /// Told, after each piece, how many bytes of tensors have come.
  std::function<void(int64_t bytes)> progress;
};

struct WriteStateOptions {
  /// load_state_dict(strict=False): keys may be missing or unknown; the answer names them.
  bool allow_partial = false;
};

/// Gives the pieces of a state, none after the last. What it fails with ends the call, and nothing is loaded.
using ChunkSource = std::function<absl::StatusOr<std::optional<v1::TensorChunk>>()>;

struct EvaluateOptions {
  std::vector<std::string> metrics;
  /// Default: the model's.
  v1::LossSpec loss;
};

/// A connection to one server. Handles are cheap to copy and share the connection; all methods may be called from any
/// thread. Errors carry the server's code and message (see the table in docs/rpc.md); UNAVAILABLE also means that the
/// server cannot be reached.
///
/// Steps carry a CallId of this client. They leave one at a time for each model, since the server refuses a number
/// below the last one applied; use several Clients, or train(), to queue several steps on one model.
///
/// Requests are taken by value and completed here (model, call_id); fields that are not mentioned are the caller's.
class Client {
 public:
  /// Connects to "host:port" or "unix:path". UNAVAILABLE if nobody answers in time.
  static absl::StatusOr<Client> connect(const std::string& address, ClientOptions options = {});

  /// The client over an existing channel; of `options` only timeout, max_attempts and client_id are used.
  static Client on_channel(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                           ClientOptions options = {});

  const std::string& address() const;
  const std::string& client_id() const;

  /// Ends the calls that are under way, from any thread: they fail with CANCELLED. Streams have a cancel() of their
  /// own.
  void cancel_calls() const;

  // Models

  absl::StatusOr<v1::Model> create_model(const std::string& name, const v1::ModelSpec& spec,
                                         const CreateOptions& create = {}, const CallOptions& options = {}) const;
  absl::StatusOr<v1::Model> get_model(const std::string& name, const CallOptions& options = {}) const;
  /// All models, fetched in pages of `page_size` (0: the server's default).
  absl::StatusOr<std::vector<v1::Model>> list_models(int page_size = 0, const CallOptions& options = {}) const;
  absl::Status delete_model(const std::string& name, const CallOptions& options = {}) const;
  absl::StatusOr<v1::DescribeModelResponse> describe_model(const std::string& name,
                                                           const CallOptions& options = {}) const;
  /// Module.train(training) of the module at `path`; the root's is "".
  absl::Status set_training(const std::string& model, bool training, const std::string& path = {},
                            const CallOptions& options = {}) const;

  /// The state dict by key, as of one moment between two calls on the model. DATA_LOSS if the stream's pieces do not
  /// make whole tensors.
  absl::StatusOr<std::map<std::string, v1::Tensor>> read_state(const std::string& model,
                                                               const ReadStateOptions& read = {},
                                                               const CallOptions& options = {}) const;
  /// load_state_dict with the tensors that `next` gives in pieces: all or nothing. INVALID_ARGUMENT names every key
  /// that is missing, unknown or of another shape.
  absl::StatusOr<v1::WriteStateResponse> write_state(const std::string& model, const ChunkSource& next,
                                                     const WriteStateOptions& write = {},
                                                     const CallOptions& options = {}) const;
  /// The same with whole tensors by key.
  absl::StatusOr<v1::WriteStateResponse> write_state(const std::string& model,
                                                     const std::map<std::string, v1::Tensor>& state,
                                                     const WriteStateOptions& write = {},
                                                     const CallOptions& options = {}) const;

  // Autograd

  /// Runs the model. With keep_tape the answer names a tape for backward.
  absl::StatusOr<v1::ForwardResponse> forward(v1::ForwardRequest request, const CallOptions& options = {}) const;
  /// Inference on one input: training is false, no tape is kept.
  absl::StatusOr<v1::ForwardResponse> infer(const std::string& model, v1::NamedTensor input,
                                            const CallOptions& options = {}) const;
  absl::StatusOr<v1::BackwardResponse> backward(v1::BackwardRequest request, const CallOptions& options = {}) const;
  /// Gradients of a tape's tensors by others, accumulating nothing; with create_graph they can be differentiated again
  /// under the name "grad:<name>".
  absl::StatusOr<v1::GradResponse> grad(const v1::GradRequest& request, const CallOptions& options = {}) const;
  absl::Status release_tape(const std::string& model, const std::string& tape_id,
                            const CallOptions& options = {}) const;
  absl::StatusOr<std::vector<v1::Tape>> list_tapes(const std::string& model, const CallOptions& options = {}) const;

  /// The accumulated gradients by parameter path; `parameters` are globs, none means all that have a gradient.
  /// DATA_LOSS if the stream's pieces do not make whole tensors.
  absl::StatusOr<std::map<std::string, v1::Tensor>> read_gradients(const std::string& model,
                                                                   const std::vector<std::string>& parameters = {},
                                                                   const CallOptions& options = {}) const;
  absl::Status zero_grad(const std::string& model, const CallOptions& options = {}) const;
  absl::StatusOr<v1::StepInfo> step(v1::StepRequest request, const CallOptions& options = {}) const;

  /// Zero gradients, forward, loss, backward, clip, step: in one call.
  absl::StatusOr<v1::TrainStepResponse> train_step(v1::TrainStepRequest request, const CallOptions& options = {}) const;
  /// Opens a stream of such steps.
  TrainStream train(const std::string& model, const TrainOptions& train = {}) const;

  /// Loss and metrics over the batches that `next` gives until it gives none; keeps no tape, changes nothing.
  absl::StatusOr<v1::EvaluateResponse> evaluate(const std::string& model, const EvaluateOptions& evaluate,
                                                const std::function<std::optional<Batch>()>& next,
                                                const CallOptions& options = {}) const;

  // Hooks

  absl::StatusOr<v1::Hook> register_hook(const std::string& model, const v1::Hook& hook,
                                         const CallOptions& options = {}) const;
  absl::StatusOr<std::vector<v1::Hook>> list_hooks(const std::string& model, const CallOptions& options = {}) const;
  absl::Status remove_hook(const std::string& model, const std::string& hook_id, const CallOptions& options = {}) const;
  /// Opens a stream of hook events; request.hook_ids empty means all of the model. Waits until the server watches, so
  /// no event of what is called afterwards is missed. A failure is told by the watcher's next().
  HookWatcher watch_hooks(v1::WatchHooksRequest request) const;

  // Server

  absl::StatusOr<v1::GetServerInfoResponse> server_info(const CallOptions& options = {}) const;
  absl::StatusOr<std::vector<v1::Operator>> list_operators(v1::OperatorKind kind = v1::OPERATOR_KIND_UNSPECIFIED,
                                                           const std::string& name_contains = {},
                                                           const CallOptions& options = {}) const;
  /// Whether grpc.health.v1 reports `service` ("" is the whole server) as SERVING.
  absl::StatusOr<bool> check_health(const std::string& service = {}, const CallOptions& options = {}) const;

 private:
  class Connection;
  explicit Client(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  std::shared_ptr<Connection> connection_;
};

/// A random, unguessable id: 128 bits from the system, as hex.
std::string make_client_id();

}  // namespace tapewire::client
