#include "client/cpp/train_stream.h"

#include <gtest/gtest.h>

#include <thread>

#include "client/cpp/client.h"
#include "tests/client/fake/fake_server.h"

namespace tapewire::client {
namespace {

class TrainStreamTest : public testing::Test {
 protected:
  TrainStreamTest() { server_.add_model("net"); }

  FakeServer server_;
  Client client_ = *Client::connect(server_.address());
};

TEST_F(TrainStreamTest, AnswersComeInTheOrderOfTheSteps) {
  TrainStream stream = client_.train("net");
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(stream.write({}).ok());
  ASSERT_TRUE(stream.finish().ok());
  for (int i = 1; i <= 20; ++i) {
    const auto answer = stream.read();
    ASSERT_TRUE(answer.ok() && answer->has_value());
    EXPECT_EQ((*answer)->info().step(), i);
  }
  const auto end = stream.read();
  EXPECT_TRUE(end.ok() && !end->has_value());
  EXPECT_TRUE(stream.finish().ok());
}

TEST_F(TrainStreamTest, StepsAreNumberedUnderAnIdOfTheStreamsOwn) {
  ASSERT_TRUE(client_.zero_grad("net").ok());
  TrainStream stream = client_.train("net");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(stream.write({}).ok());
  ASSERT_TRUE(stream.finish().ok());
  const auto calls = server_.seen_calls();
  ASSERT_EQ(calls.size(), 4u);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(calls[i].call_id.sequence(), static_cast<int64_t>(i));
    EXPECT_NE(calls[i].call_id.client_id(), client_.client_id());
    EXPECT_EQ(calls[i].call_id.client_id(), calls[1].call_id.client_id());
  }
}

TEST_F(TrainStreamTest, NoMoreThanMaxInFlightStepsAreUnanswered) {
  server_.hold_train_answers(3);
  TrainStream stream = client_.train("net", {.max_in_flight = 3, .timeout = absl::Seconds(1)});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(stream.write({}).ok());
  EXPECT_EQ(stream.write({}).code(), absl::StatusCode::kDeadlineExceeded) << "it waits for an answer, and none comes";
  EXPECT_EQ(server_.train_steps_received(), 3);
}

TEST_F(TrainStreamTest, AnAnswerLetsTheNextStepGo) {
  server_.hold_train_answers(3);
  TrainStream stream = client_.train("net", {.max_in_flight = 3});
  std::thread writer([&] {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(stream.write({}).ok());
  });
  EXPECT_TRUE(server_.wait_for_train_steps(3));
  server_.release_train_answers();
  writer.join();
  EXPECT_TRUE(stream.finish().ok());
  EXPECT_EQ(server_.train_steps_received(), 5);
}

TEST_F(TrainStreamTest, AServerThatEndsTheStreamEarlyIsFoundOut) {
  server_.fail_train_at(3, absl::OkStatus());  // it ends without a word
  TrainStream stream = client_.train("net", {.max_in_flight = 8});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(stream.write({}).ok());
  for (int i = 0; i < 2; ++i) {
    const auto answer = stream.read();
    ASSERT_TRUE(answer.ok() && answer->has_value());
  }
  EXPECT_EQ(stream.read().status(), absl::InternalError("the server ended the training stream with steps unanswered"));
  EXPECT_EQ(stream.finish().code(), absl::StatusCode::kInternal);
}

TEST_F(TrainStreamTest, AnErrorEndsTheStreamAfterTheAnswersBeforeIt) {
  server_.fail_train_at(3, absl::InvalidArgumentError("target: class 11 out of range"));
  TrainStream stream = client_.train("net", {.max_in_flight = 2});
  absl::Status written;
  for (int i = 0; i < 1000 && written.ok(); ++i) written = stream.write({});
  EXPECT_EQ(written, absl::InvalidArgumentError("target: class 11 out of range"));
  for (int i = 1; i <= 2; ++i) {
    const auto answer = stream.read();
    ASSERT_TRUE(answer.ok() && answer->has_value());
    EXPECT_EQ((*answer)->info().step(), i);
  }
  EXPECT_EQ(stream.read().status(), written);
  EXPECT_EQ(stream.finish(), written);
}

TEST_F(TrainStreamTest, AnUnknownModelIsSaidByTheFirstAnswer) {
  TrainStream stream = client_.train("nobody");
  ASSERT_TRUE(stream.write({}).ok());
  EXPECT_EQ(stream.read().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TrainStreamTest, CancellingWakesAWaitingWriter) {
  server_.hold_train_answers(2);
  TrainStream stream = client_.train("net", {.max_in_flight = 2});
  ASSERT_TRUE(stream.write({}).ok());
  ASSERT_TRUE(stream.write({}).ok());
  std::thread canceller([&] {
    server_.wait_for_train_steps(2);
    stream.cancel();
  });
  EXPECT_EQ(stream.write({}).code(), absl::StatusCode::kCancelled);
  canceller.join();
}

TEST_F(TrainStreamTest, NothingIsWrittenAfterFinish) {
  TrainStream stream = client_.train("net");
  ASSERT_TRUE(stream.finish().ok());
  EXPECT_EQ(stream.write({}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(TrainStreamTest, DroppingAnUnfinishedStreamDoesNotHang) {
  server_.hold_train_answers(1);
  TrainStream stream = client_.train("net");
  ASSERT_TRUE(stream.write({}).ok());
  ASSERT_TRUE(server_.wait_for_train_steps(1));
}

TEST_F(TrainStreamTest, AStreamRunsOutOfTime) {
  server_.hold_train_answers(1);
  TrainStream stream = client_.train("net", {.timeout = absl::Milliseconds(100)});
  ASSERT_TRUE(stream.write({}).ok());
  EXPECT_EQ(stream.read().status().code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace tapewire::client
