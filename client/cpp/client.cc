#include "client/cpp/client.h"

#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <future>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/connection.h"

namespace tapewire::client {
namespace {

// grpc.health.v1's messages, whose proto is not part of the contract, look like these on the wire: a string in field 1,
// and an enum in field 1.
using HealthCheckRequest = google::protobuf::StringValue;
using HealthCheckResponse = google::protobuf::Int32Value;
constexpr int kHealthServing = 1;

grpc::ChannelArguments channel_arguments(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_message_bytes);
  arguments.SetMaxSendMessageSize(options.max_message_bytes);
  if (options.keepalive != absl::InfiniteDuration()) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                     static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(options.keepalive), INT32_MAX)));
  }
  arguments.SetUserAgentPrefix("tapewire-cpp");
  return arguments;
}

/// Waits until the channel is connected, or has failed to and is not to be waited for.
bool connected(grpc::Channel& channel, const ClientOptions& options) {
  const auto deadline =
      absl::ToChronoTime(std::min(absl::Now() + options.connect_timeout, absl::Now() + absl::Hours(24)));
  for (auto state = channel.GetState(true); state != GRPC_CHANNEL_READY; state = channel.GetState(true)) {
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && !options.wait_for_server) return false;
    if (!channel.WaitForStateChange(state, deadline)) return false;
  }
  return true;
}

}  // namespace

std::string make_client_id() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

Client::Connection::Connection(std::string address, std::shared_ptr<grpc::Channel> channel, ClientOptions options)
    : address_(std::move(address)),
      options_(std::move(options)),
      channel_(std::move(channel)),
      models_(channel_),
      autograd_(channel_),
      hooks_(channel_),
      server_(channel_) {}

Client::Connection::Call::Call(Connection& connection, absl::Time deadline) : connection_(connection) {
  if (deadline != absl::InfiniteFuture()) context_.set_deadline(absl::ToChronoTime(deadline));
  const std::lock_guard lock(connection_.calls_mutex_);
  connection_.calls_.insert(&context_);
}

Client::Connection::Call::~Call() {
  const std::lock_guard lock(connection_.calls_mutex_);
  connection_.calls_.erase(&context_);
}

void Client::Connection::cancel_calls() {
  const std::lock_guard lock(calls_mutex_);
  for (grpc::ClientContext* context : calls_) context->TryCancel();
}

Client::Connection::Turn& Client::Connection::turn_of(const std::string& model) {
  const std::lock_guard lock(turns_mutex_);
  return turns_[model];
}

absl::StatusOr<Client> Client::connect(const std::string& address, ClientOptions options) {
  auto credentials = options.credentials ? options.credentials : grpc::InsecureChannelCredentials();
  const auto channel = grpc::CreateCustomChannel(address, credentials, channel_arguments(options));
  const bool wait_for_server = options.wait_for_server;
  const bool ready = connected(*channel, options);
  Client client = on_channel(channel, address, std::move(options));
  if (ready) return client;
  std::string why = "no answer in time";
  if (!wait_for_server && channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE) {
    // A call that fails for the same reason is the only way to learn it.
    why = std::string(client.check_health({}, {.timeout = absl::Seconds(1)}).status().message());
  }
  return absl::UnavailableError(absl::StrCat("cannot connect to ", address, ": ", why));
}

Client Client::on_channel(std::shared_ptr<grpc::Channel> channel, const std::string& address, ClientOptions options) {
  if (options.client_id.empty()) options.client_id = make_client_id();
  return Client(std::make_shared<Connection>(address, std::move(channel), std::move(options)));
}

const std::string& Client::address() const { return connection_->address(); }
const std::string& Client::client_id() const { return connection_->client_id(); }
void Client::cancel_calls() const { connection_->cancel_calls(); }

// Models

absl::StatusOr<v1::Model> Client::create_model(const std::string& name, const v1::ModelSpec& spec,
                                               const CreateOptions& create, const CallOptions& options) const {
  v1::CreateModelRequest request;
  request.set_name(name);
  *request.mutable_spec() = spec;
  request.set_seed(create.seed);
  request.set_validate_only(create.validate_only);
  request.mutable_call_id()->set_client_id(client_id());
  auto response = connection_->call_once(connection_->models(), &v1::ModelService::Stub::CreateModel, request, options);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_model());
}

absl::StatusOr<v1::Model> Client::get_model(const std::string& name, const CallOptions& options) const {
  v1::GetModelRequest request;
  request.set_name(name);
  auto response = connection_->call(connection_->models(), &v1::ModelService::Stub::GetModel, request,
                                    connection_->deadline(options));
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_model());
}

absl::StatusOr<std::vector<v1::Model>> Client::list_models(int page_size, const CallOptions& options) const {
  const absl::Time deadline = connection_->deadline(options);
  std::vector<v1::Model> models;
  v1::ListModelsRequest request;
  request.set_page_size(page_size);
  while (true) {
    auto page = connection_->call(connection_->models(), &v1::ModelService::Stub::ListModels, request, deadline);
    if (!page.ok()) return page.status();
    for (auto& model : *page->mutable_models()) models.push_back(std::move(model));
    if (page->next_page_token().empty()) return models;
    if (page->next_page_token() == request.page_token()) {
      return absl::InternalError("the server's list of models does not advance");
    }
    request.set_page_token(page->next_page_token());
  }
}

absl::Status Client::delete_model(const std::string& name, const CallOptions& options) const {
  v1::DeleteModelRequest request;
  request.set_name(name);
  request.mutable_call_id()->set_client_id(client_id());
  return connection_->call_once(connection_->models(), &v1::ModelService::Stub::DeleteModel, request, options).status();
}

absl::StatusOr<v1::DescribeModelResponse> Client::describe_model(const std::string& name,
                                                                 const CallOptions& options) const {
  v1::DescribeModelRequest request;
  request.set_name(name);
  return connection_->call(connection_->models(), &v1::ModelService::Stub::DescribeModel, request,
                           connection_->deadline(options));
}

absl::Status Client::set_training(const std::string& model, bool training, const std::string& path,
                                  const CallOptions& options) const {
  v1::SetTrainingRequest request;
  request.set_name(model);
  request.set_training(training);
  request.set_path(path);
  request.mutable_call_id()->set_client_id(client_id());
  return connection_
      ->call(connection_->models(), &v1::ModelService::Stub::SetTraining, request, connection_->deadline(options))
      .status();
}

// Autograd

absl::StatusOr<v1::ForwardResponse> Client::forward(v1::ForwardRequest request, const CallOptions& options) const {
  auto& stub = connection_->autograd();
  request.mutable_call_id()->set_client_id(client_id());
  const bool reads = !request.keep_tape() && request.has_training() && !request.training();
  return reads ? connection_->call(stub, &v1::AutogradService::Stub::Forward, request, connection_->deadline(options))
               : connection_->call_once(stub, &v1::AutogradService::Stub::Forward, request, options);
}

absl::StatusOr<v1::ForwardResponse> Client::infer(const std::string& model, v1::NamedTensor input,
                                                  const CallOptions& options) const {
  v1::ForwardRequest request;
  request.set_model(model);
  request.set_training(false);
  *request.add_inputs() = std::move(input);
  return forward(std::move(request), options);
}

absl::StatusOr<v1::BackwardResponse> Client::backward(v1::BackwardRequest request, const CallOptions& options) const {
  request.mutable_call_id()->set_client_id(client_id());
  return connection_->call_once(connection_->autograd(), &v1::AutogradService::Stub::Backward, request, options);
}

absl::StatusOr<v1::GradResponse> Client::grad(const v1::GradRequest& request, const CallOptions& options) const {
  return connection_->call_once(connection_->autograd(), &v1::AutogradService::Stub::Grad, request, options);
}

absl::Status Client::release_tape(const std::string& model, const std::string& tape_id,
                                  const CallOptions& options) const {
  v1::ReleaseTapeRequest request;
  request.set_model(model);
  request.set_tape_id(tape_id);
  return connection_->call_once(connection_->autograd(), &v1::AutogradService::Stub::ReleaseTape, request, options)
      .status();
}

absl::StatusOr<std::vector<v1::Tape>> Client::list_tapes(const std::string& model, const CallOptions& options) const {
  v1::ListTapesRequest request;
  request.set_model(model);
  auto response = connection_->call(connection_->autograd(), &v1::AutogradService::Stub::ListTapes, request,
                                    connection_->deadline(options));
  if (!response.ok()) return response.status();
  return std::vector<v1::Tape>(std::make_move_iterator(response->mutable_tapes()->begin()),
                               std::make_move_iterator(response->mutable_tapes()->end()));
}

absl::Status Client::zero_grad(const std::string& model, const CallOptions& options) const {
  v1::ZeroGradRequest request;
  request.set_model(model);
  request.mutable_call_id()->set_client_id(client_id());
  return connection_
      ->call(connection_->autograd(), &v1::AutogradService::Stub::ZeroGrad, request, connection_->deadline(options))
      .status();
}

absl::StatusOr<v1::StepInfo> Client::step(v1::StepRequest request, const CallOptions& options) const {
  auto response =
      connection_->step(connection_->autograd(), &v1::AutogradService::Stub::Step, std::move(request), options);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_info());
}

absl::StatusOr<v1::TrainStepResponse> Client::train_step(v1::TrainStepRequest request,
                                                         const CallOptions& options) const {
  return connection_->step(connection_->autograd(), &v1::AutogradService::Stub::TrainStep, std::move(request), options);
}

TrainStream Client::train(const std::string& model, const TrainOptions& train) const {
  return TrainStream(connection_->channel(), model, train);
}

absl::StatusOr<v1::EvaluateResponse> Client::evaluate(const std::string& model, const EvaluateOptions& evaluate,
                                                      const std::function<std::optional<Batch>()>& next,
                                                      const CallOptions& options) const {
  // Not retried: the batches are given once.
  Connection::Call call(*connection_, connection_->deadline(options));
  v1::EvaluateResponse response;
  const auto writer = connection_->autograd().Evaluate(call.context(), &response);
  v1::EvaluateRequest request;
  request.set_model(model);
  for (const auto& metric : evaluate.metrics) request.add_metrics(metric);
  if (evaluate.loss.ByteSizeLong() > 0) *request.mutable_loss() = evaluate.loss;
  while (std::optional<Batch> batch = next()) {
    for (auto& input : batch->inputs) *request.add_inputs() = std::move(input);
    for (auto& target : batch->targets) *request.add_targets() = std::move(target);
    if (!writer->Write(request)) break;  // Finish says why
    request.Clear();
  }
  writer->WritesDone();
  if (const absl::Status status = to_status(writer->Finish()); !status.ok()) return status;
  return response;
}

// Hooks

absl::StatusOr<v1::Hook> Client::register_hook(const std::string& model, const v1::Hook& hook,
                                               const CallOptions& options) const {
  v1::RegisterHookRequest request;
  request.set_model(model);
  *request.mutable_hook() = hook;
  request.mutable_call_id()->set_client_id(client_id());
  auto response = connection_->call_once(connection_->hooks(), &v1::HookService::Stub::RegisterHook, request, options);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_hook());
}

absl::StatusOr<std::vector<v1::Hook>> Client::list_hooks(const std::string& model, const CallOptions& options) const {
  v1::ListHooksRequest request;
  request.set_model(model);
  auto response = connection_->call(connection_->hooks(), &v1::HookService::Stub::ListHooks, request,
                                    connection_->deadline(options));
  if (!response.ok()) return response.status();
  return std::vector<v1::Hook>(std::make_move_iterator(response->mutable_hooks()->begin()),
                               std::make_move_iterator(response->mutable_hooks()->end()));
}

absl::Status Client::remove_hook(const std::string& model, const std::string& hook_id,
                                 const CallOptions& options) const {
  v1::RemoveHookRequest request;
  request.set_model(model);
  request.set_hook_id(hook_id);
  return connection_->call_once(connection_->hooks(), &v1::HookService::Stub::RemoveHook, request, options).status();
}

HookWatcher Client::watch_hooks(v1::WatchHooksRequest request) const {
  if (request.max_event_bytes() == 0) request.set_max_event_bytes(connection_->max_message_bytes());
  return HookWatcher(connection_->channel(), request);
}

// Server

absl::StatusOr<v1::GetServerInfoResponse> Client::server_info(const CallOptions& options) const {
  return connection_->call(connection_->server(), &v1::ServerService::Stub::GetServerInfo, v1::GetServerInfoRequest(),
                           connection_->deadline(options));
}

absl::StatusOr<std::vector<v1::Operator>> Client::list_operators(v1::OperatorKind kind,
                                                                 const std::string& name_contains,
                                                                 const CallOptions& options) const {
  v1::ListOperatorsRequest request;
  request.set_kind(kind);
  request.set_name_contains(name_contains);
  auto response = connection_->call(connection_->server(), &v1::ServerService::Stub::ListOperators, request,
                                    connection_->deadline(options));
  if (!response.ok()) return response.status();
  return std::vector<v1::Operator>(std::make_move_iterator(response->mutable_operators()->begin()),
                                   std::make_move_iterator(response->mutable_operators()->end()));
}

absl::StatusOr<bool> Client::check_health(const std::string& service, const CallOptions& options) const {
  HealthCheckRequest request;
  request.set_value(service);
  HealthCheckResponse response;
  const absl::Status status = connection_->retry(connection_->deadline(options), [&](grpc::ClientContext* context) {
    grpc::TemplatedGenericStub<HealthCheckRequest, HealthCheckResponse> stub(connection_->channel());
    std::promise<grpc::Status> done;
    stub.UnaryCall(context, "/grpc.health.v1.Health/Check", {}, &request, &response,
                   [&done](grpc::Status result) { done.set_value(std::move(result)); });
    return to_status(done.get_future().get());
  });
  if (!status.ok()) return status;
  return response.value() == kHealthServing;
}

}  // namespace tapewire::client
