#include "server/rpc/rpc_server.h"

#include <future>
#include <mutex>

#include "tests/server/rpc/rpc_fixture.h"

namespace tapewire::rpc {
namespace {

using testing::HasSubstr;

class RpcServerTest : public RpcTest {
 protected:
  // ZeroGrad answers when release() is called, or with the cancellation.
  void bind_waiting() {
    autograd_.unary<v1::ZeroGradRequest, v1::ZeroGradResponse>(
        "ZeroGrad", [this](const Context& context, const auto&, ZeroGradAnswer answer) {
          context->cancel()->on_cancel([context, answer] { answer(context->cancel()->status()); });
          std::lock_guard lock(mutex_);
          waiting_.push_back(answer);
        });
  }
  size_t waiting() {
    std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  void release() {
    std::lock_guard lock(mutex_);
    for (const ZeroGradAnswer& answer : waiting_) answer(v1::ZeroGradResponse());
    waiting_.clear();
  }

  std::mutex mutex_;
  std::vector<ZeroGradAnswer> waiting_;
};

TEST_F(RpcServerTest, DrainRefusesNewCallsAndWaitsForRunningOnes) {
  bind_waiting();
  start();
  auto running = std::async(std::launch::async, [&] { return zero_grad("net"); });
  ASSERT_TRUE(eventually([&] { return waiting() == 1; }));
  auto drained = std::async(std::launch::async, [&] { return server_->drain(CancelToken::Clock::now() + 30s); });
  ASSERT_TRUE(eventually([&] { return gate_.draining(); }));
  const grpc::Status refused = zero_grad("net");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(refused.error_message(), HasSubstr("draining"));
  EXPECT_EQ(metric("tapewire_rejected_total", "draining"), 1);
  EXPECT_EQ(drained.wait_for(50ms), std::future_status::timeout);
  release();
  EXPECT_TRUE(running.get().ok());
  EXPECT_TRUE(drained.get());
}

TEST_F(RpcServerTest, DrainCancelsWhatIsLeftAtItsDeadlineAsUnavailable) {
  bind_waiting();
  start();
  auto running = std::async(std::launch::async, [&] { return zero_grad("net"); });
  ASSERT_TRUE(eventually([&] { return waiting() == 1; }));
  EXPECT_FALSE(server_->drain(CancelToken::Clock::now() + 50ms));
  const grpc::Status status = running.get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("draining"));
  release();
}

TEST_F(RpcServerTest, WatchersDoNotHoldADrainUpAndAreTold) {
  std::vector<EventStream> streams;
  std::atomic<bool> watching{false};
  hooks_.event_stream<v1::WatchHooksRequest, v1::WatchHooksResponse>("WatchHooks",
                                                                     [&](const Context&, const auto&, auto stream) {
                                                                       streams.push_back(std::move(stream));
                                                                       watching = true;
                                                                     });
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  ASSERT_TRUE(eventually([&] { return watching.load(); }));
  const auto begun = CancelToken::Clock::now();
  EXPECT_TRUE(server_->drain(begun + 30s));
  EXPECT_LT(CancelToken::Clock::now() - begun, 5s);
  v1::WatchHooksResponse message;
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RpcServerTest, DestroyedWithCallsOfEveryKindInTheAir) {
  bind_waiting();
  std::vector<EventStream> streams;
  std::mutex mutex;
  hooks_.event_stream<v1::WatchHooksRequest, v1::WatchHooksResponse>("WatchHooks",
                                                                     [&](const Context&, const auto&, auto stream) {
                                                                       std::lock_guard lock(mutex);
                                                                       streams.push_back(std::move(stream));
                                                                     });
  struct Idle : BidiHandler<v1::TrainRequest, v1::TrainResponse> {
    void message(v1::TrainRequest, Answer<v1::TrainResponse> answer) override { answer(v1::TrainResponse()); }
  };
  autograd_.bidi<v1::TrainRequest, v1::TrainResponse>("Train", [](const Context&) { return std::make_unique<Idle>(); });
  start();
  auto unary = std::async(std::launch::async, [&] { return zero_grad("net"); });
  grpc::ClientContext watch, train;
  const auto reader = hook_stub_->WatchHooks(&watch, v1::WatchHooksRequest());
  const auto stream = stub_->Train(&train);
  v1::TrainResponse response;
  stream->Write(v1::TrainRequest());
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_TRUE(eventually([&] { return waiting() == 1; }));
  server_.reset();
  EXPECT_EQ(unary.get().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  release();
}

TEST_F(RpcServerTest, ATakenPortIsAnError) {
  start();
  const auto second = RpcServer::start(server_->address(), environment_, std::vector<std::unique_ptr<RawService>>());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("cannot listen on 127.0.0.1:"));
}

}  // namespace
}  // namespace tapewire::rpc
