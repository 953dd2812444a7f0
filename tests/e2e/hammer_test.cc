// Calls of every kind that is served, at random, from many threads: what the sanitizers are to see.

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/create_channel.h"
#include "tapewire/v1/autograd_service.grpc.pb.h"
#include "tapewire/v1/hook_service.grpc.pb.h"
#include "tapewire/v1/model_service.grpc.pb.h"
#include "tapewire/v1/server_service.grpc.pb.h"
#include "tests/e2e/server_fixture.h"

namespace tapewire {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// What a call of the hammer may end with: any of these is told to a caller who does such things.
bool is_expected(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return true;
    default:
      return false;
  }
}

/// One caller. Its calls are drawn from `seed`, so that a run can be made again as far as threads allow.
class Hammer {
 public:
  Hammer(const std::string& address, uint64_t seed)
      : random_(seed), models_(v1::ModelService::NewStub(channel(address))) {
    const auto shared = channel(address);
    autograd_ = v1::AutogradService::NewStub(shared);
    hooks_ = v1::HookService::NewStub(shared);
    info_ = v1::ServerService::NewStub(shared);
  }

  /// Makes one call.
  void strike() {
    switch (draw(20)) {
      case 0:
        return create();
      case 1:
        return draw(4) == 0 ? remove() : describe();
      case 2:
        return list();
      case 3:
      case 4:
      case 5:
        return forward();
      case 6:
      case 7:
        return backward();
      case 8:
        return grad();
      case 9:
      case 10:
        return train_step();
      case 11:
        return train();
      case 12:
        return evaluate();
      case 13:
        return step();
      case 14:
        return read_state();
      case 15:
        return write_state();
      case 16:
        return register_hook();
      case 17:
        return watch();
      case 18:
        return tapes();
      default:
        return set_training();
    }
  }

 private:
  static std::shared_ptr<grpc::Channel> channel(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }

  uint64_t draw(uint64_t below) { return random_() % below; }
  std::string model() { return "net" + std::to_string(draw(3)); }

  // Some calls have hardly any time, and some are cancelled from another thread.
  std::unique_ptr<grpc::ClientContext> context() {
    auto made = std::make_unique<grpc::ClientContext>();
    made->set_deadline(std::chrono::system_clock::now() + (draw(8) == 0 ? 1ms : 20s));
    return made;
  }
  void check(const grpc::Status& status, const char* call) {
    EXPECT_TRUE(is_expected(status)) << call << ": " << status.error_code() << " " << status.error_message();
  }
  void number(v1::CallId& id) {
    if (draw(2) == 0) return;
    id.set_client_id("hammer" + std::to_string(draw(4)));
    id.set_sequence(static_cast<int64_t>(draw(50)) + 1);
  }
  v1::NamedTensor tensor(const std::string& name, std::vector<int64_t> shape) {
    if (draw(30) == 0) shape.back() += 1;
    std::vector<float> values;
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(draw(2000)) / 1000 - 1);
    return client::named(name, client::make_tensor<float>(shape, values));
  }
  v1::NamedTensor input(int64_t rows) { return tensor("x", {rows, 10}); }

  void create() {
    const auto call = context();
    v1::CreateModelRequest request;
    request.set_name(model());
    *request.mutable_spec() = definition(kSimpleNet);
    if (draw(6) == 0) request.mutable_spec()->mutable_modules(1)->set_type("Lenear");
    request.set_validate_only(draw(4) == 0);
    number(*request.mutable_call_id());
    v1::CreateModelResponse response;
    check(models_->CreateModel(call.get(), request, &response), "CreateModel");
  }
  void remove() {
    const auto call = context();
    v1::DeleteModelRequest request;
    request.set_name(model());
    number(*request.mutable_call_id());
    v1::DeleteModelResponse response;
    check(models_->DeleteModel(call.get(), request, &response), "DeleteModel");
  }
  void describe() {
    {
      const auto call = context();
      v1::DescribeModelRequest request;
      request.set_name(model());
      v1::DescribeModelResponse response;
      check(models_->DescribeModel(call.get(), request, &response), "DescribeModel");
    }
    const auto call = context();
    v1::GetModelRequest request;
    request.set_name(model());
    v1::GetModelResponse response;
    check(models_->GetModel(call.get(), request, &response), "GetModel");
  }
  void list() {
    {
      const auto call = context();
      v1::ListModelsResponse response;
      check(models_->ListModels(call.get(), {}, &response), "ListModels");
    }
    const auto call = context();
    v1::GetServerInfoResponse response;
    check(info_->GetServerInfo(call.get(), {}, &response), "GetServerInfo");
  }
  void forward() {
    const auto call = context();
    v1::ForwardRequest request;
    request.set_model(model());
    *request.add_inputs() = input(static_cast<int64_t>(draw(8)) + 1);
    if (draw(2) == 0) request.set_training(draw(2) == 0);
    request.set_keep_tape(draw(2) == 0);
    if (draw(3) == 0) request.add_capture("fc1");
    if (request.keep_tape() && draw(2) == 0) request.add_inputs_require_grad("x");
    if (request.keep_tape() && draw(3) == 0) request.mutable_lease()->set_nanos(5'000'000);
    number(*request.mutable_call_id());
    v1::ForwardResponse response;
    check(autograd_->Forward(call.get(), request, &response), "Forward");
    if (!response.tape().id().empty()) tape_ = {request.model(), response.tape().id(), request.inputs(0)};
  }
  void backward() {
    const auto call = context();
    v1::BackwardRequest request;
    request.set_model(tape_.model.empty() ? model() : tape_.model);
    request.set_tape_id(tape_.id);
    *request.add_targets() = tensor("", {rows_of_tape(), 1});
    request.set_retain_tape(draw(2) == 0);
    request.set_return_input_grads(draw(2) == 0);
    if (draw(3) == 0) request.add_capture_grads("fc1");
    number(*request.mutable_call_id());
    v1::BackwardResponse response;
    check(autograd_->Backward(call.get(), request, &response), "Backward");
  }
  int64_t rows_of_tape() const { return tape_.input.tensor().shape_size() > 0 ? tape_.input.tensor().shape(0) : 1; }
  void grad() {
    const auto call = context();
    v1::GradRequest request;
    request.set_model(tape_.model.empty() ? model() : tape_.model);
    request.set_tape_id(tape_.id);
    *request.add_output_grads() = tensor("", {rows_of_tape(), 1});
    request.add_wrt("fc1.weight");
    request.set_create_graph(draw(2) == 0);
    request.set_retain_tape(draw(2) == 0);
    v1::GradResponse response;
    check(autograd_->Grad(call.get(), request, &response), "Grad");
  }
  v1::TrainStepRequest a_step() {
    v1::TrainStepRequest request;
    request.set_model(model());
    const int64_t rows = static_cast<int64_t>(draw(8)) + 1;
    *request.add_inputs() = input(rows);
    *request.add_targets() = tensor("", {rows, 1});
    request.set_accumulate_only(draw(5) == 0);
    request.set_return_outputs(draw(4) == 0);
    return request;
  }
  void train_step() {
    const auto call = context();
    v1::TrainStepRequest request = a_step();
    number(*request.mutable_call_id());
    v1::TrainStepResponse response;
    check(autograd_->TrainStep(call.get(), request, &response), "TrainStep");
  }
  void train() {
    const auto call = context();
    const auto stream = autograd_->Train(call.get());
    const std::string name = model();
    v1::TrainResponse response;
    for (uint64_t i = draw(6); i-- > 0;) {
      v1::TrainRequest request;
      *request.mutable_step() = a_step();
      request.mutable_step()->set_model(name);
      if (!stream->Write(request)) break;
      if (draw(2) == 0 && !stream->Read(&response)) break;
      if (draw(12) == 0) call->TryCancel();
    }
    stream->WritesDone();
    while (stream->Read(&response)) {
    }
    check(stream->Finish(), "Train");
  }
  void evaluate() {
    const auto call = context();
    v1::EvaluateResponse response;
    const auto stream = autograd_->Evaluate(call.get(), &response);
    for (uint64_t i = 0, count = draw(4) + 1; i < count; ++i) {
      v1::EvaluateRequest request;
      if (i == 0) {
        request.set_model(model());
        request.add_metrics("mse");
      }
      *request.add_inputs() = input(4);
      *request.add_targets() = tensor("", {4, 1});
      if (!stream->Write(request)) break;
    }
    stream->WritesDone();
    check(stream->Finish(), "Evaluate");
  }
  void step() {
    {
      const auto call = context();
      v1::StepRequest request;
      request.set_model(model());
      request.set_keep_gradients(draw(2) == 0);
      number(*request.mutable_call_id());
      v1::StepResponse response;
      check(autograd_->Step(call.get(), request, &response), "Step");
    }
    if (draw(2) == 0) return;
    const auto call = context();
    v1::ZeroGradRequest request;
    request.set_model(model());
    v1::ZeroGradResponse response;
    check(autograd_->ZeroGrad(call.get(), request, &response), "ZeroGrad");
  }
  void read_state() {
    const auto call = context();
    if (draw(2) == 0) {
      v1::ReadStateRequest request;
      request.set_name(model());
      if (draw(2) == 0) request.add_keys("fc*.weight");
      const auto stream = models_->ReadState(call.get(), request);
      v1::ReadStateResponse response;
      while (stream->Read(&response) && draw(20) != 0) {
      }
      call->TryCancel();
      return check(stream->Finish(), "ReadState");
    }
    v1::ReadGradientsRequest request;
    request.set_model(model());
    const auto stream = autograd_->ReadGradients(call.get(), request);
    v1::ReadGradientsResponse response;
    while (stream->Read(&response)) {
    }
    check(stream->Finish(), "ReadGradients");
  }
  void write_state() {
    const auto call = context();
    v1::WriteStateResponse response;
    const auto stream = models_->WriteState(call.get(), &response);
    v1::WriteStateRequest request;
    request.set_name(model());
    request.set_allow_partial(draw(2) == 0);
    const v1::NamedTensor bias = tensor("", {1});
    v1::TensorChunk& chunk = *request.mutable_chunk();
    chunk.set_name("fc2.bias");
    chunk.set_dtype(bias.tensor().dtype());
    *chunk.mutable_shape() = bias.tensor().shape();
    chunk.set_data(bias.tensor().data());
    stream->Write(request);
    stream->WritesDone();
    check(stream->Finish(), "WriteState");
  }
  void register_hook() {
    const std::string name = model();
    v1::RegisterHookResponse made;
    {
      const auto call = context();
      v1::RegisterHookRequest request;
      request.set_model(name);
      v1::Hook& hook = *request.mutable_hook();
      hook.set_target(draw(2) == 0 ? "fc*" : "fc1");
      hook.set_kind(static_cast<v1::HookKind>(v1::HOOK_KIND_FORWARD_PRE + static_cast<int>(draw(4))));
      hook.mutable_observe()->set_stats(draw(2) == 0);
      hook.mutable_observe()->set_tensor(draw(2) == 0);
      if (draw(2) == 0) hook.mutable_lease()->set_nanos(10'000'000);
      check(hooks_->RegisterHook(call.get(), request, &made), "RegisterHook");
    }
    {
      const auto call = context();
      v1::ListHooksRequest request;
      request.set_model(name);
      v1::ListHooksResponse response;
      check(hooks_->ListHooks(call.get(), request, &response), "ListHooks");
    }
    if (made.hook().id().empty() || draw(3) == 0) return;
    const auto call = context();
    v1::RemoveHookRequest request;
    request.set_model(name);
    request.set_hook_id(made.hook().id());
    v1::RemoveHookResponse response;
    check(hooks_->RemoveHook(call.get(), request, &response), "RemoveHook");
  }
  // Watches for a moment; often does not read what comes.
  void watch() {
    grpc::ClientContext call;
    call.set_deadline(std::chrono::system_clock::now() + 30ms);
    v1::WatchHooksRequest request;
    request.set_model(model());
    request.set_buffer_events(static_cast<int32_t>(draw(8)));
    if (draw(4) == 0) request.set_slow_watcher(v1::SLOW_WATCHER_FAIL);
    const auto stream = hooks_->WatchHooks(&call, request);
    v1::WatchHooksResponse response;
    while (draw(3) != 0 && stream->Read(&response)) {
    }
    if (draw(2) == 0) call.TryCancel();
    check(stream->Finish(), "WatchHooks");
  }
  void tapes() {
    {
      const auto call = context();
      v1::ListTapesRequest request;
      request.set_model(model());
      v1::ListTapesResponse response;
      check(autograd_->ListTapes(call.get(), request, &response), "ListTapes");
    }
    if (tape_.id.empty()) return;
    const auto call = context();
    v1::ReleaseTapeRequest request;
    request.set_model(tape_.model);
    request.set_tape_id(tape_.id);
    v1::ReleaseTapeResponse response;
    check(autograd_->ReleaseTape(call.get(), request, &response), "ReleaseTape");
  }
  void set_training() {
    const auto call = context();
    v1::SetTrainingRequest request;
    request.set_name(model());
    request.set_training(draw(2) == 0);
    if (draw(2) == 0) request.set_path("fc1");
    v1::SetTrainingResponse response;
    check(models_->SetTraining(call.get(), request, &response), "SetTraining");
  }

  struct Taped {
    std::string model;
    std::string id;
    v1::NamedTensor input;
  };

  std::mt19937_64 random_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::AutogradService::Stub> autograd_;
  std::unique_ptr<v1::HookService::Stub> hooks_;
  std::unique_ptr<v1::ServerService::Stub> info_;
  Taped tape_;
};

class HammerTest : public ServerTest {};

// TAPEWIRE_HAMMER_SECONDS makes it longer.
TEST_F(HammerTest, CallsOfEveryKindFromManyThreadsEndAsTheyMay) {
  constexpr uint64_t kThreads = 16;
  const char* asked = std::getenv("TAPEWIRE_HAMMER_SECONDS");
  const auto end = Clock::now() + std::chrono::seconds(asked != nullptr ? std::strtol(asked, nullptr, 10) : 3);
  std::atomic<int64_t> calls{0};
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= kThreads; ++seed) {
    threads.emplace_back([&, seed] {
      Hammer hammer(to_string(server_->address()), seed);
      while (Clock::now() < end) {
        hammer.strike();
        ++calls;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(calls, 0);
  // Nothing is left of it once its models are gone.
  for (const auto& model : models_.list("", 100)) models_.remove(model->name());
  EXPECT_EQ(models_.tape_count(), 0);
  EXPECT_TRUE(server_->drain(CancelToken::Clock::now() + 20s));
}

}  // namespace
}  // namespace tapewire
