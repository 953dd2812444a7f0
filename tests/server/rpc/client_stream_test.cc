#include <future>

#include "core/base/error.h"
#include "server/model/strand.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace tapewire::rpc {
namespace {

using testing::HasSubstr;

// What the handlers of a test saw, and how many of them live.
struct Seen {
  std::atomic<int> arrived{0}, messages{0}, ends{0}, handlers{0}, at_once{0}, most_at_once{0};
};

// Adds up EvaluateRequest.inputs_size on a strand; "bad" in a metric name is an error.
class Summing : public ClientStreamHandler<v1::EvaluateRequest, v1::EvaluateResponse> {
 public:
  Summing(Context context, Strand& strand, Seen& seen) : context_(std::move(context)), strand_(strand), seen_(seen) {
    ++seen_.handlers;
  }
  ~Summing() override { --seen_.handlers; }
  void message(v1::EvaluateRequest request, Answer<void> answer) override {
    ++seen_.arrived;
    strand_.submit(
        {.cancel = context_->cancel()},
        [this, request = std::move(request)] {
          const int now = ++seen_.at_once;
          if (now > seen_.most_at_once) seen_.most_at_once = now;
          std::this_thread::yield();  // to whoever might be here too
          --seen_.at_once;
          ++seen_.messages;
          if (request.metrics_size() > 0) fail("metrics[0]: bad");
          sum_ += request.inputs_size();
        },
        answer);
  }
  void end(Answer<v1::EvaluateResponse> answer) override {
    ++seen_.ends;
    v1::EvaluateResponse response;
    response.set_samples(sum_);
    answer(response);
  }

 private:
  Context context_;
  Strand& strand_;
  Seen& seen_;
  int64_t sum_ = 0;
};

// Answers a TrainStepRequest with its loss_scale as the loss; a negative one is an error.
class Scaling : public BidiHandler<v1::TrainRequest, v1::TrainResponse> {
 public:
  Scaling(Context context, Strand& strand, Seen& seen) : context_(std::move(context)), strand_(strand), seen_(seen) {
    ++seen_.handlers;
  }
  ~Scaling() override { --seen_.handlers; }
  void message(v1::TrainRequest request, Answer<v1::TrainResponse> answer) override {
    ++seen_.arrived;
    strand_.submit(
        {.cancel = context_->cancel()},
        [this, scale = request.step().loss_scale()] {
          const int now = ++seen_.at_once;
          if (now > seen_.most_at_once) seen_.most_at_once = now;
          --seen_.at_once;
          if (scale < 0) fail("step.loss_scale: negative");
          ++seen_.messages;
          v1::TrainResponse response;
          response.mutable_result()->mutable_info()->set_loss(scale);
          return response;
        },
        answer);
  }
  void end(const Answer<void>& answer) override {
    ++seen_.ends;
    answer(absl::OkStatus());
  }

 private:
  Context context_;
  Strand& strand_;
  Seen& seen_;
};

class ClientStreamTest : public RpcTest {
 protected:
  ClientStreamTest() {
    autograd_.client_stream<v1::EvaluateRequest, v1::EvaluateResponse>(
        "Evaluate", [this](const Context& context) { return std::make_unique<Summing>(context, strand_, seen_); });
    autograd_.bidi<v1::TrainRequest, v1::TrainResponse>(
        "Train", [this](const Context& context) { return std::make_unique<Scaling>(context, strand_, seen_); });
    start();
  }
  ~ClientStreamTest() override {
    server_.reset();
    // A strand may let go of the last handler after the server is done.
    EXPECT_TRUE(eventually([&] { return seen_.handlers == 0; }));
    EXPECT_LE(seen_.most_at_once, 1);
  }

  static v1::TrainRequest step(double scale) {
    v1::TrainRequest request;
    request.mutable_step()->set_loss_scale(scale);
    return request;
  }

  Seen seen_;
  ComputePool pool_{{.permits = 2}};
  Strand strand_{pool_, {.name = "model 'm'"}};
};

TEST_F(ClientStreamTest, ConsumesAllAndAnswersOnce) {
  grpc::ClientContext context;
  v1::EvaluateResponse response;
  const auto writer = stub_->Evaluate(&context, &response);
  v1::EvaluateRequest request;
  request.add_inputs();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(writer->Write(request));
  writer->WritesDone();
  EXPECT_TRUE(writer->Finish().ok());
  EXPECT_EQ(response.samples(), 50);
}

TEST_F(ClientStreamTest, AnEmptyStreamIsJustTheEnd) {
  grpc::ClientContext context;
  v1::EvaluateResponse response;
  const auto writer = stub_->Evaluate(&context, &response);
  writer->WritesDone();
  EXPECT_TRUE(writer->Finish().ok());
  EXPECT_EQ(seen_.ends, 1);
}

TEST_F(ClientStreamTest, AnErrorEndsTheCallBeforeItsEnd) {
  grpc::ClientContext context;
  v1::EvaluateResponse response;
  const auto writer = stub_->Evaluate(&context, &response);
  v1::EvaluateRequest bad;
  bad.add_metrics("bad");
  writer->Write(v1::EvaluateRequest());
  writer->Write(bad);
  for (int i = 0; i < 5; ++i) writer->Write(v1::EvaluateRequest());
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_message(), "metrics[0]: bad");
  EXPECT_EQ(seen_.messages, 2);
  EXPECT_EQ(seen_.ends, 0);
}

TEST_F(ClientStreamTest, ACancelledStreamIsNeverTakenForAWholeOne) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    v1::EvaluateResponse response;
    const auto writer = stub_->Evaluate(&context, &response);
    const int before = seen_.arrived;
    for (int k = 0; k < i % 4; ++k) writer->Write(v1::EvaluateRequest());
    // At once, after the first message, or after the last.
    const int awaited = i % 3 == 0 ? 0 : i % 3 == 1 ? std::min(1, i % 4) : i % 4;
    EXPECT_TRUE(eventually([&] { return seen_.arrived >= before + awaited; }));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(eventually([&] { return seen_.handlers == 0; }));
  EXPECT_EQ(seen_.ends, 0);
}

TEST_F(ClientStreamTest, MalformedMessageEndsTheStream) {
  const grpc::Status status = send_raw("AutogradService/Evaluate", "\x0a\x7f");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("model: truncated"));
  EXPECT_EQ(seen_.ends, 0);
}

TEST_F(ClientStreamTest, BidiAnswersEachMessageInOrder) {
  grpc::ClientContext context;
  const auto stream = stub_->Train(&context);
  std::thread writer([&] {
    for (int i = 0; i < 300; ++i) stream->Write(step(i));
    stream->WritesDone();
  });
  v1::TrainResponse response;
  int next = 0;
  while (stream->Read(&response)) EXPECT_EQ(response.result().info().loss(), next++);
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(next, 300);
  EXPECT_EQ(seen_.ends, 1);
}

TEST_F(ClientStreamTest, BidiErrorComesAfterTheAnswersBeforeItAndNothingBehindItIsApplied) {
  grpc::ClientContext context;
  const auto stream = stub_->Train(&context);
  for (const double scale : {1.0, 2.0, 3.0, -1.0, 5.0, 6.0}) stream->Write(step(scale));
  stream->WritesDone();
  v1::TrainResponse response;
  int answers = 0;
  while (stream->Read(&response)) ++answers;
  EXPECT_EQ(answers, 3);
  EXPECT_EQ(stream->Finish().error_message(), "step.loss_scale: negative");
  EXPECT_EQ(seen_.messages, 3);
  EXPECT_EQ(seen_.ends, 0);
}

TEST_F(ClientStreamTest, BidiInterleaved) {
  grpc::ClientContext context;
  const auto stream = stub_->Train(&context);
  v1::TrainResponse response;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(stream->Write(step(i)));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.result().info().loss(), i);
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ClientStreamTest, AClientThatReadsNoAnswersIsHeldBack) {
  grpc::ClientContext context;
  const auto stream = stub_->Train(&context);
  std::atomic<int> written{0};
  std::thread writer([&] {
    v1::TrainRequest request = step(1);
    request.mutable_step()->add_inputs()->mutable_tensor()->set_data(std::string(200000, 'x'));
    for (int i = 0; i < 2000 && stream->Write(request); ++i) ++written;
  });
  EXPECT_TRUE(wait_until_still([&] { return written.load(); }));
  context.TryCancel();
  writer.join();
  EXPECT_FALSE(stream->Finish().ok());
  EXPECT_TRUE(eventually([&] { return seen_.handlers == 0; }));
}

TEST_F(ClientStreamTest, CancelledWhileAJobWaitsInTheQueue) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<bool> held{false};
  strand_.submit(
      {},
      [&held, released] {
        held = true;
        released.wait();
      },
      [](const auto&) {});
  ASSERT_TRUE(eventually([&] { return held.load(); }));
  grpc::ClientContext context;
  const auto stream = stub_->Train(&context);
  stream->Write(step(1));
  stream->Write(step(2));
  ASSERT_TRUE(eventually([&] { return seen_.arrived > 0; }));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  // The call ends though the strand is still held.
  EXPECT_TRUE(eventually([&] { return seen_.handlers == 0; }));
  release.set_value();
  EXPECT_EQ(seen_.messages, 0);
}

TEST_F(ClientStreamTest, ManyStreamsManyCancellations) {
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 15; ++i) {
        grpc::ClientContext context;
        const auto stream = stub_->Train(&context);
        v1::TrainResponse response;
        for (int k = 0; k < i; ++k) {
          if (!stream->Write(step(k))) break;
          if ((k + c) % 3 == 0) stream->Read(&response);
        }
        if ((i + c) % 2 == 0) {
          context.TryCancel();
        } else {
          stream->WritesDone();
          while (stream->Read(&response)) {
          }
        }
        stream->Finish();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(eventually([&] { return seen_.handlers == 0; }));
}

}  // namespace
}  // namespace tapewire::rpc
