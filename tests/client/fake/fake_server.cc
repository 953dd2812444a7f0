#include "tests/client/fake/fake_server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/tensor.h"
#include "tapewire/v1/autograd_service.grpc.pb.h"
#include "tapewire/v1/hook_service.grpc.pb.h"
#include "tapewire/v1/model_service.grpc.pb.h"
#include "tapewire/v1/server_service.grpc.pb.h"

namespace tapewire::client {
namespace {

constexpr std::chrono::seconds kPatience(20);
constexpr std::chrono::milliseconds kPoll(2);

grpc::Status to_grpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

grpc::Status not_found(const std::string& what) { return {grpc::StatusCode::NOT_FOUND, what}; }

v1::HookEvent make_event(const v1::Hook& hook, int64_t step, int64_t nans, const v1::EventDrops& drops) {
  v1::HookEvent event;
  event.set_hook_id(hook.id());
  event.set_path(hook.target());
  event.set_kind(hook.kind());
  event.set_step(step);
  event.set_dropped(drops.buffer_full() + drops.memory() + drops.too_large());
  *event.mutable_drops() = drops;
  auto& tensor = *event.add_tensors();
  tensor.set_name("grad_output");
  tensor.mutable_spec()->add_shape(2);
  tensor.mutable_spec()->add_shape(3);
  tensor.mutable_stats()->set_count(6);
  tensor.mutable_stats()->set_l2_norm(static_cast<double>(step));
  tensor.mutable_stats()->set_min(-0.5);
  tensor.mutable_stats()->set_max(0.25);
  tensor.mutable_stats()->set_nans(nans);
  auto& none = *event.add_tensors();
  none.set_name("grad_input");
  none.set_none(true);
  return event;
}

}  // namespace

class FakeServer::Services : public v1::ModelService::Service,
                             public v1::AutogradService::Service,
                             public v1::HookService::Service,
                             public v1::ServerService::Service {
 public:
  // What tests set and read; guarded by mutex.
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::map<std::string, v1::Model> models;
  std::map<std::string, v1::Hook> hooks;
  std::map<std::string, bool> tapes;  // id -> walked
  std::map<std::string, std::pair<absl::Status, int>> failures;
  std::map<std::string, int64_t> calls;
  std::set<std::string> on_hold;
  std::vector<v1::TensorChunk> chunks;
  std::vector<v1::WriteStateRequest> written;
  v1::WriteStateResponse write_state_response;
  std::vector<SeenCall> seen;
  std::vector<v1::TrainStepRequest> steps;
  bool held = false;
  int64_t read_ahead = 1;
  int64_t received = 0;
  int64_t fail_train_at = 0;
  absl::Status train_failure;
  int watchers = 0;
  std::vector<v1::HookEvent> events;
  bool watchers_ended = false;
  absl::Status watchers_end;
  int64_t nans = 0;
  v1::EventDrops drops;
  std::vector<v1::Hook> registered;     // ever
  v1::WatchHooksRequest watch_request;  // the last
  bool stopping = false;
  std::unique_ptr<grpc::Server> server;

  /// What a test asked of this method: a failure, or to wait.
  grpc::Status enter(const std::string& method) {
    std::unique_lock lock(mutex);
    ++calls[method];
    changed.notify_all();
    if (const auto found = failures.find(method); found != failures.end() && found->second.second > 0) {
      --found->second.second;
      return to_grpc(found->second.first);
    }
    changed.wait(lock, [&] { return !on_hold.contains(method) || stopping; });
    return grpc::Status::OK;
  }

  template <class Request>
  grpc::Status change(const std::string& method, const Request& request) {
    {
      const std::lock_guard lock(mutex);
      seen.push_back({method, request.call_id(), request.has_call_id()});
      changed.notify_all();
    }
    return enter(method);
  }

  template <class Response>
  void send_chunks(grpc::ServerWriter<Response>& writer) {
    std::vector<v1::TensorChunk> sent;
    {
      const std::lock_guard lock(mutex);
      sent = chunks;
    }
    for (const auto& chunk : sent) {
      Response response;
      *response.mutable_chunk() = chunk;
      writer.Write(response);
    }
  }

  grpc::Status CreateModel(grpc::ServerContext* /*context*/, const v1::CreateModelRequest* request,
                           v1::CreateModelResponse* response) override {
    if (auto status = change("CreateModel", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex);
    if (models.count(request->name()) > 0) {
      return {grpc::StatusCode::ALREADY_EXISTS, absl::StrCat("model \"", request->name(), "\" exists")};
    }
    v1::Model model;
    model.set_name(request->name());
    *model.mutable_spec() = request->spec();
    model.set_training(true);
    model.set_parameter_count(request->seed());
    *response->mutable_model() = model;
    if (!request->validate_only()) models[request->name()] = model;
    return grpc::Status::OK;
  }

  grpc::Status GetModel(grpc::ServerContext* /*context*/, const v1::GetModelRequest* request,
                        v1::GetModelResponse* response) override {
    if (auto status = enter("GetModel"); !status.ok()) return status;
    const std::lock_guard lock(mutex);
    const auto found = models.find(request->name());
    if (found == models.end()) return not_found(absl::StrCat("no model \"", request->name(), "\""));
    *response->mutable_model() = found->second;
    return grpc::Status::OK;
  }

  grpc::Status ListModels(grpc::ServerContext* /*context*/, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override {
    if (auto status = enter("ListModels"); !status.ok()) return status;
    const std::lock_guard lock(mutex);
    const int size = request->page_size() > 0 ? request->page_size() : 2;
    auto at = models.lower_bound(request->page_token());
    for (int i = 0; i < size && at != models.end(); ++i, ++at) *response->add_models() = at->second;
    if (at != models.end()) response->set_next_page_token(at->first);
    return grpc::Status::OK;
  }

  grpc::Status DeleteModel(grpc::ServerContext* /*context*/, const v1::DeleteModelRequest* request,
                           v1::DeleteModelResponse* /*response*/) override {
    if (auto status = change("DeleteModel", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex);
    return models.erase(request->name()) > 0 ? grpc::Status::OK : not_found("no such model");
  }

  grpc::Status DescribeModel(grpc::ServerContext* /*context*/, const v1::DescribeModelRequest* /*request*/,
                             v1::DescribeModelResponse* response) override {
    response->set_text("Graph(\n  (fc1): Linear(in_features=2, out_features=3, bias=True)\n)");
    auto& parameter = *response->add_parameters();
    parameter.set_path("fc1.weight");
    parameter.mutable_spec()->set_dtype(v1::DATA_TYPE_FLOAT32);
    parameter.mutable_spec()->add_shape(3);
    parameter.mutable_spec()->add_shape(2);
    parameter.set_requires_grad(true);
    return grpc::Status::OK;
  }

  grpc::Status ReadState(grpc::ServerContext* /*context*/, const v1::ReadStateRequest* /*request*/,
                         grpc::ServerWriter<v1::ReadStateResponse>* writer) override {
    if (auto status = enter("ReadState"); !status.ok()) return status;
    send_chunks(*writer);
    return grpc::Status::OK;
  }

  grpc::Status WriteState(grpc::ServerContext* context, grpc::ServerReader<v1::WriteStateRequest>* reader,
                          v1::WriteStateResponse* response) override {
    std::vector<v1::WriteStateRequest> came;
    for (v1::WriteStateRequest request; reader->Read(&request);) {
      if (came.empty()) {
        if (auto status = change("WriteState", request); !status.ok()) return status;
      }
      came.push_back(request);
    }
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    const std::lock_guard lock(mutex);
    written = std::move(came);
    *response = write_state_response;
    return grpc::Status::OK;
  }

  grpc::Status SetTraining(grpc::ServerContext* /*context*/, const v1::SetTrainingRequest* request,
                           v1::SetTrainingResponse* /*response*/) override {
    return change("SetTraining", *request);
  }

  grpc::Status Forward(grpc::ServerContext* /*context*/, const v1::ForwardRequest* request,
                       v1::ForwardResponse* response) override {
    if (auto status = change("Forward", *request); !status.ok()) return status;
    if (request->inputs_size() > 0) *response->add_outputs() = named("output", request->inputs(0).tensor());
    const std::lock_guard lock(mutex);
    if (request->keep_tape()) {
      response->mutable_tape()->set_id(absl::StrCat("tape-", tapes.size()));
      tapes[response->tape().id()] = false;
    }
    return grpc::Status::OK;
  }

  grpc::Status Backward(grpc::ServerContext* /*context*/, const v1::BackwardRequest* request,
                        v1::BackwardResponse* /*response*/) override {
    if (auto status = change("Backward", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex);
    const auto found = tapes.find(request->tape_id());
    if (found == tapes.end()) return not_found("no such tape");
    if (std::exchange(found->second, true)) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "Trying to backward through the graph a second time"};
    }
    return grpc::Status::OK;
  }

  grpc::Status ListTapes(grpc::ServerContext* /*context*/, const v1::ListTapesRequest* /*request*/,
                         v1::ListTapesResponse* response) override {
    const std::lock_guard lock(mutex);
    for (const auto& [id, walked] : tapes) response->add_tapes()->set_id(id);
    return grpc::Status::OK;
  }

  grpc::Status ReleaseTape(grpc::ServerContext* /*context*/, const v1::ReleaseTapeRequest* request,
                           v1::ReleaseTapeResponse* /*response*/) override {
    const std::lock_guard lock(mutex);
    return tapes.erase(request->tape_id()) > 0 ? grpc::Status::OK : not_found("no such tape");
  }

  grpc::Status ReadGradients(grpc::ServerContext* /*context*/, const v1::ReadGradientsRequest* /*request*/,
                             grpc::ServerWriter<v1::ReadGradientsResponse>* writer) override {
    if (auto status = enter("ReadGradients"); !status.ok()) return status;
    send_chunks(*writer);
    return grpc::Status::OK;
  }

  grpc::Status ZeroGrad(grpc::ServerContext* /*context*/, const v1::ZeroGradRequest* request,
                        v1::ZeroGradResponse* /*response*/) override {
    return change("ZeroGrad", *request);
  }

  grpc::Status Step(grpc::ServerContext* /*context*/, const v1::StepRequest* request,
                    v1::StepResponse* response) override {
    if (auto status = change("Step", *request); !status.ok()) return status;
    response->mutable_info()->set_step(7);
    return grpc::Status::OK;
  }

  grpc::Status TrainStep(grpc::ServerContext* /*context*/, const v1::TrainStepRequest* request,
                         v1::TrainStepResponse* response) override {
    if (auto status = change("TrainStep", *request); !status.ok()) return status;
    response->mutable_info()->set_loss(0.5);
    return grpc::Status::OK;
  }

  grpc::Status Train(grpc::ServerContext* context,
                     grpc::ServerReaderWriter<v1::TrainResponse, v1::TrainRequest>* stream) override {
    v1::TrainRequest request;
    int64_t unanswered = 0;
    int64_t step = 0;
    while (stream->Read(&request)) {
      ++unanswered;
      {
        std::unique_lock lock(mutex);
        if (step + unanswered == 1 && models.count(request.step().model()) == 0) return not_found("no such model");
        seen.push_back({"Train", request.step().call_id(), request.step().has_call_id()});
        steps.push_back(request.step());
        ++received;
        changed.notify_all();
        if (unanswered < read_ahead) continue;
        changed.wait_for(lock, kPatience, [&] { return !held || context->IsCancelled() || stopping; });
      }
      for (; unanswered > 0; --unanswered) {
        if (++step == fail_train_at) return to_grpc(train_failure);
        answer(*stream, step);
      }
    }
    for (; unanswered > 0; --unanswered) answer(*stream, ++step);
    return grpc::Status::OK;
  }

  grpc::Status Evaluate(grpc::ServerContext* /*context*/, grpc::ServerReader<v1::EvaluateRequest>* reader,
                        v1::EvaluateResponse* response) override {
    if (auto status = enter("Evaluate"); !status.ok()) return status;
    int64_t right = 0;
    int64_t samples = 0;
    std::vector<std::string> metrics;
    v1::EvaluateRequest request;
    while (reader->Read(&request)) {
      for (const auto& metric : request.metrics()) metrics.push_back(metric);
      if (request.inputs().empty()) continue;
      const auto inputs = *to_doubles(request.inputs(0).tensor());
      const auto targets = *to_doubles(request.targets(0).tensor());
      const size_t width = targets.empty() ? 0 : inputs.size() / targets.size();
      for (size_t i = 0; i < targets.size(); ++i) {
        const auto row = inputs.begin() + static_cast<ptrdiff_t>(i * width);
        const auto best = std::max_element(row, row + static_cast<ptrdiff_t>(width)) - row;
        right += static_cast<double>(best) == targets[i] ? 1 : 0;
      }
      samples += static_cast<int64_t>(targets.size());
    }
    response->set_samples(samples);
    response->set_loss(0.25);
    for (const auto& metric : metrics) {
      if (metric != "accuracy")
        return {grpc::StatusCode::INVALID_ARGUMENT, absl::StrCat("unknown metric \"", metric, "\"")};
      (*response->mutable_metrics())[metric] =
          static_cast<double>(right) / static_cast<double>(std::max<int64_t>(samples, 1));
    }
    return grpc::Status::OK;
  }

  grpc::Status RegisterHook(grpc::ServerContext* /*context*/, const v1::RegisterHookRequest* request,
                            v1::RegisterHookResponse* response) override {
    if (auto status = change("RegisterHook", *request); !status.ok()) return status;
    const std::lock_guard lock(mutex);
    v1::Hook hook = request->hook();
    hook.set_id(absl::StrCat("hook-", hooks.size()));
    hook.add_matched(hook.target());
    hooks[hook.id()] = hook;
    registered.push_back(hook);
    *response->mutable_hook() = hook;
    return grpc::Status::OK;
  }

  grpc::Status ListHooks(grpc::ServerContext* /*context*/, const v1::ListHooksRequest* /*request*/,
                         v1::ListHooksResponse* response) override {
    const std::lock_guard lock(mutex);
    for (const auto& [id, hook] : hooks) *response->add_hooks() = hook;
    return grpc::Status::OK;
  }

  grpc::Status RemoveHook(grpc::ServerContext* /*context*/, const v1::RemoveHookRequest* request,
                          v1::RemoveHookResponse* /*response*/) override {
    const std::lock_guard lock(mutex);
    return hooks.erase(request->hook_id()) > 0 ? grpc::Status::OK : not_found("no such hook");
  }

  grpc::Status WatchHooks(grpc::ServerContext* context, const v1::WatchHooksRequest* request,
                          grpc::ServerWriter<v1::WatchHooksResponse>* writer) override {
    std::unique_lock lock(mutex);
    watch_request = *request;
    ++watchers;
    changed.notify_all();
    writer->SendInitialMetadata();
    size_t at = 0;
    while (!context->IsCancelled() && !stopping) {
      if (at < events.size()) {
        v1::WatchHooksResponse response;
        *response.mutable_event() = events[at++];
        lock.unlock();
        writer->Write(response);
        lock.lock();
        continue;
      }
      if (watchers_ended) return to_grpc(watchers_end);
      changed.wait_for(lock, kPoll);
    }
    return grpc::Status::CANCELLED;
  }

  grpc::Status GetServerInfo(grpc::ServerContext* /*context*/, const v1::GetServerInfoRequest* /*request*/,
                             v1::GetServerInfoResponse* response) override {
    if (auto status = enter("GetServerInfo"); !status.ok()) return status;
    response->set_version("1.2.3");
    (*response->mutable_limits())["max_models"] = 64;
    (*response->mutable_limits())["max_queue"] = 256;
    (*response->mutable_limits())["max_hooks"] = 100;
    response->set_tensor_bytes(3 << 20);
    return grpc::Status::OK;
  }

  grpc::Status ListOperators(grpc::ServerContext* /*context*/, const v1::ListOperatorsRequest* request,
                             v1::ListOperatorsResponse* response) override {
    for (const std::string name : {"relu", "log_softmax", "softmax"}) {
      if (name.find(request->name_contains()) == std::string::npos) continue;
      auto& op = *response->add_operators();
      op.set_kind(v1::OPERATOR_KIND_OP);
      op.set_name(name);
      op.set_doc("what " + name + " computes");
      op.add_inputs()->set_name("input");
    }
    return grpc::Status::OK;
  }

  void send_events(int64_t step) {
    const std::lock_guard lock(mutex);
    for (const auto& [id, hook] : hooks) events.push_back(make_event(hook, step, nans, drops));
    changed.notify_all();
  }

 private:
  void answer(grpc::ServerReaderWriter<v1::TrainResponse, v1::TrainRequest>& stream, int64_t step) {
    v1::TrainResponse response;
    auto& info = *response.mutable_result()->mutable_info();
    info.set_step(step);
    info.set_loss(1.0 / static_cast<double>(step));
    info.set_learning_rate(0.1);
    send_events(step - 1);  // as the server: the steps before it
    stream.Write(response);
  }
};

FakeServer::FakeServer() : services_(std::make_unique<Services>()) {
  grpc::EnableDefaultHealthCheckService(true);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(static_cast<v1::ModelService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::AutogradService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::HookService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::ServerService::Service*>(services_.get()));
  services_->server = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() {
  {
    const std::lock_guard lock(services_->mutex);
    services_->stopping = true;
    services_->changed.notify_all();
  }
  services_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  services_->server->Wait();
}

void FakeServer::add_model(const std::string& name) {
  const std::lock_guard lock(services_->mutex);
  services_->models[name].set_name(name);
}

bool FakeServer::has_model(const std::string& name) const {
  const std::lock_guard lock(services_->mutex);
  return services_->models.count(name) > 0;
}

size_t FakeServer::hook_count() const {
  const std::lock_guard lock(services_->mutex);
  return services_->hooks.size();
}

void FakeServer::fail_next(const std::string& method, const absl::Status& status, int times) {
  const std::lock_guard lock(services_->mutex);
  services_->failures[method] = {status, times};
}

void FakeServer::hold(const std::string& method) {
  const std::lock_guard lock(services_->mutex);
  services_->on_hold.insert(method);
}

void FakeServer::release(const std::string& method) {
  const std::lock_guard lock(services_->mutex);
  services_->on_hold.erase(method);
  services_->changed.notify_all();
}

bool FakeServer::wait_for_call(const std::string& method) const {
  std::unique_lock lock(services_->mutex);
  return services_->changed.wait_for(lock, kPatience, [&] { return services_->calls[method] > 0; });
}

void FakeServer::set_chunks(std::vector<v1::TensorChunk> chunks) {
  const std::lock_guard lock(services_->mutex);
  services_->chunks = std::move(chunks);
}

std::vector<v1::WriteStateRequest> FakeServer::written_state() const {
  const std::lock_guard lock(services_->mutex);
  return services_->written;
}

void FakeServer::set_write_state_response(const v1::WriteStateResponse& response) {
  const std::lock_guard lock(services_->mutex);
  services_->write_state_response = response;
}

void FakeServer::hold_train_answers(int64_t count) {
  const std::lock_guard lock(services_->mutex);
  services_->held = true;
  services_->read_ahead = count;
}

void FakeServer::release_train_answers() {
  const std::lock_guard lock(services_->mutex);
  services_->held = false;
  services_->read_ahead = 1;
  services_->changed.notify_all();
}

void FakeServer::fail_train_at(int64_t step, const absl::Status& status) {
  const std::lock_guard lock(services_->mutex);
  services_->fail_train_at = step;
  services_->train_failure = status;
}

std::vector<v1::TrainStepRequest> FakeServer::train_steps() const {
  const std::lock_guard lock(services_->mutex);
  return services_->steps;
}

int64_t FakeServer::train_steps_received() const {
  const std::lock_guard lock(services_->mutex);
  return services_->received;
}

bool FakeServer::wait_for_train_steps(int64_t count) const {
  std::unique_lock lock(services_->mutex);
  return services_->changed.wait_for(lock, kPatience, [&] { return services_->received >= count; });
}

bool FakeServer::wait_for_watcher() const {
  std::unique_lock lock(services_->mutex);
  return services_->changed.wait_for(lock, kPatience, [&] { return services_->watchers > 0; });
}

void FakeServer::send_hook_events(int64_t step) { services_->send_events(step); }

void FakeServer::end_watchers(const absl::Status& status) {
  const std::lock_guard lock(services_->mutex);
  services_->watchers_ended = true;
  services_->watchers_end = status;
  services_->changed.notify_all();
}

void FakeServer::set_drops(int64_t buffer_full, int64_t memory) {
  const std::lock_guard lock(services_->mutex);
  services_->drops.set_buffer_full(buffer_full);
  services_->drops.set_memory(memory);
}

v1::WatchHooksRequest FakeServer::watch_request() const {
  const std::lock_guard lock(services_->mutex);
  return services_->watch_request;
}

std::vector<v1::Hook> FakeServer::registered_hooks() const {
  const std::lock_guard lock(services_->mutex);
  return services_->registered;
}

void FakeServer::set_nonfinite(int64_t nans) {
  const std::lock_guard lock(services_->mutex);
  services_->nans = nans;
}

std::vector<SeenCall> FakeServer::seen_calls() const {
  const std::lock_guard lock(services_->mutex);
  return services_->seen;
}

void FakeServer::set_serving(bool serving) { services_->server->GetHealthCheckService()->SetServingStatus(serving); }

}  // namespace tapewire::client
