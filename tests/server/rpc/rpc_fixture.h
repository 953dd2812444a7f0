#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/credentials.h"
#include "server/rpc/raw_service.h"
#include "server/rpc/rpc_server.h"
#include "tapewire/v1/autograd_service.grpc.pb.h"
#include "tapewire/v1/hook_service.grpc.pb.h"
#include "tests/wait.h"

namespace tapewire::rpc {

using namespace std::chrono_literals;

/// Whether `condition` comes true within ten seconds.
template <class Condition>
bool eventually(Condition condition) {
  return wait_until(condition);
}

/// A service whose methods the test binds.
class TestService : public RawService {
 public:
  using RawService::bidi;
  using RawService::client_stream;
  using RawService::event_stream;
  using RawService::RawService;
  using RawService::server_stream;
  using RawService::unary;
};

/// A server of AutogradService and HookService with handlers of the test's own: bind them, then start().
class RpcTest : public testing::Test {
 protected:
  static constexpr int64_t kMaxMessage = 1 << 20;

  RpcTest() : autograd_(*autograd_owner_), hooks_(*hooks_owner_) {}
  ~RpcTest() override {
    server_.reset();
    EXPECT_EQ(metric("tapewire_rpc_in_flight"), 0);
  }

  void start() {
    std::vector<std::unique_ptr<RawService>> services;
    services.push_back(std::move(autograd_owner_));
    services.push_back(std::move(hooks_owner_));
    auto server = RpcServer::start({"127.0.0.1", 0}, environment_, std::move(services));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = new_channel();
    stub_ = v1::AutogradService::NewStub(channel_);
    hook_stub_ = v1::HookService::NewStub(channel_);
  }

  std::shared_ptr<grpc::Channel> new_channel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(to_string(server_->address()), grpc::InsecureChannelCredentials(), arguments);
  }

  grpc::Status zero_grad(const std::string& model, std::chrono::milliseconds timeout = 10s) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    v1::ZeroGradRequest request;
    request.set_model(model);
    v1::ZeroGradResponse response;
    return stub_->ZeroGrad(&context, request, &response);
  }

  /// Sends these bytes to a unary method.
  grpc::Status send_raw(const std::string& method, const std::string& bytes) {
    const grpc::Slice slice(bytes);
    grpc::ByteBuffer request(&slice, 1), response;
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto call = stub.PrepareUnaryCall(&context, "/tapewire.v1." + method, request, &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

  /// The sum of a metric's series whose labels hold `label`; histograms by their count.
  double metric(const std::string& name, const std::string& label = "") const {
    double sum = 0;
    std::istringstream lines(metrics_.text());
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with(name + "{") && !line.starts_with(name + "_count{")) continue;
      if (line.find(label) != std::string::npos) sum += std::stod(line.substr(line.rfind(' ')));
    }
    return sum;
  }

  Metrics metrics_{BuildInfo{"test", "none"}};
  std::ostringstream log_;  // of the calls that have ended
  Logger logger_{LogFormat::kText, LogLevel::kInfo, &log_};
  CallGate gate_;
  Environment environment_{metrics_, logger_, gate_, {.max_message_bytes = kMaxMessage}};
  std::unique_ptr<TestService> autograd_owner_ =
      std::make_unique<TestService>(environment_, "tapewire.v1.AutogradService");
  std::unique_ptr<TestService> hooks_owner_ = std::make_unique<TestService>(environment_, "tapewire.v1.HookService");
  TestService& autograd_;
  TestService& hooks_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AutogradService::Stub> stub_;
  std::unique_ptr<v1::HookService::Stub> hook_stub_;
};

using ZeroGradAnswer = Answer<v1::ZeroGradResponse>;

}  // namespace tapewire::rpc
