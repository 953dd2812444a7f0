#include <deque>
#include <mutex>

#include "core/base/error.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace tapewire::rpc {
namespace {

using testing::HasSubstr;

class ServerStreamTest : public RpcTest {
 protected:
  using Handler = ServerStreamHandler<v1::ReadGradientsRequest, v1::ReadGradientsResponse>;
  using Source = MessageSource<v1::ReadGradientsResponse>;

  void bind(Handler handler) {
    autograd_.server_stream<v1::ReadGradientsRequest, v1::ReadGradientsResponse>("ReadGradients", std::move(handler));
  }
  // Messages 0 .. count-1, each with `bytes` of data; then `end`.
  static Source counting(int count, size_t bytes, absl::Status end = absl::OkStatus(),
                         std::shared_ptr<void> held = {}) {
    return [=, i = 0, keep = std::move(held)]() mutable -> absl::StatusOr<std::optional<v1::ReadGradientsResponse>> {
      if (i == count) {
        if (!end.ok()) return end;
        return std::nullopt;
      }
      v1::ReadGradientsResponse message;
      message.mutable_chunk()->set_offset(i++);
      message.mutable_chunk()->set_data(std::string(bytes, 'x'));
      return message;
    };
  }
};

TEST_F(ServerStreamTest, MessagesComeInOrder) {
  bind([](const Context&, const auto&, const auto& answer) { answer(counting(200, 10000)); });
  start();
  grpc::ClientContext context;
  const auto reader = stub_->ReadGradients(&context, v1::ReadGradientsRequest());
  v1::ReadGradientsResponse message;
  int count = 0;
  while (reader->Read(&message)) EXPECT_EQ(message.chunk().offset(), count++);
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(count, 200);
}

TEST_F(ServerStreamTest, AnErrorComesAfterTheMessagesBeforeIt) {
  bind([](const Context&, const auto&, const auto& answer) {
    answer(counting(3, 1, absl::FailedPreconditionError("no more")));
  });
  start();
  grpc::ClientContext context;
  const auto reader = stub_->ReadGradients(&context, v1::ReadGradientsRequest());
  v1::ReadGradientsResponse message;
  int count = 0;
  while (reader->Read(&message)) ++count;
  EXPECT_EQ(count, 3);
  EXPECT_EQ(reader->Finish().error_message(), "no more");
}

TEST_F(ServerStreamTest, ErrorsBeforeTheFirstMessage) {
  bind([](const Context&, const auto& request, const auto& answer) {
    if (request.model() == "throws") fail("bad");
    if (request.model() == "source") {
      return answer([]() -> absl::StatusOr<std::optional<v1::ReadGradientsResponse>> { fail("worse"); });
    }
    if (request.model() == "answers") answer(absl::NotFoundError("none"));
  });
  start();
  const auto status = [&](const std::string& model) {
    grpc::ClientContext context;
    v1::ReadGradientsRequest request;
    request.set_model(model);
    v1::ReadGradientsResponse message;
    const auto reader = stub_->ReadGradients(&context, request);
    EXPECT_FALSE(reader->Read(&message));
    return reader->Finish();
  };
  EXPECT_EQ(status("throws").error_message(), "bad");
  EXPECT_EQ(status("source").error_message(), "worse");
  EXPECT_EQ(status("answers").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status("drops").error_code(), grpc::StatusCode::INTERNAL);
}

TEST_F(ServerStreamTest, CancelledStreamLetsItsSourceGo) {
  std::weak_ptr<int> watch;
  bind([&](const Context&, const auto&, const auto& answer) {
    auto held = std::make_shared<int>(1);
    watch = held;
    answer(counting(1 << 30, 100000, absl::OkStatus(), std::move(held)));
  });
  start();
  {
    grpc::ClientContext context;
    const auto reader = stub_->ReadGradients(&context, v1::ReadGradientsRequest());
    v1::ReadGradientsResponse message;
    EXPECT_TRUE(reader->Read(&message));
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(eventually([&] { return watch.expired(); }));
}

TEST_F(ServerStreamTest, AClientThatDoesNotReadHoldsTheSourceBack) {
  std::atomic<int> made{0};
  bind([&](const Context&, const auto&, const auto& answer) {
    answer([&]() -> absl::StatusOr<std::optional<v1::ReadGradientsResponse>> {
      ++made;
      v1::ReadGradientsResponse message;
      message.mutable_chunk()->set_data(std::string(500000, 'x'));
      return message;
    });
  });
  start();
  grpc::ClientContext context;
  const auto reader = stub_->ReadGradients(&context, v1::ReadGradientsRequest());
  ASSERT_TRUE(eventually([&] { return made > 0; }));
  EXPECT_TRUE(wait_until_still([&] { return made.load(); }));
  EXPECT_LT(made, 50);
  context.TryCancel();
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(ServerStreamTest, MalformedRequestAndUnboundStream) {
  bind([](const Context&, const auto&, const auto& answer) { answer(counting(1, 1)); });
  start();
  const grpc::Status malformed = send_raw("AutogradService/ReadGradients", "\x0a\x7f");
  EXPECT_EQ(malformed.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(malformed.error_message(), HasSubstr("model: truncated"));
  const grpc::Status unbound = send_raw("AutogradService/Train", "");
  EXPECT_EQ(unbound.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(unbound.error_message(), HasSubstr("tapewire.v1.AutogradService/Train"));
}

// What a hook room would keep for a watcher.
struct Queue {
  std::mutex mutex;
  std::deque<int> events;

  void push(int event) {
    std::lock_guard lock(mutex);
    events.push_back(event);
  }
  std::optional<v1::WatchHooksResponse> pop() {
    std::lock_guard lock(mutex);
    if (events.empty()) return std::nullopt;
    v1::WatchHooksResponse message;
    message.mutable_event()->set_sequence(events.front());
    events.pop_front();
    return message;
  }
};

class EventStreamTest : public RpcTest {
 protected:
  using Stream = EventStream<v1::WatchHooksResponse>;

  // Opens each stream on `queue_` and keeps it.
  void bind_watch() {
    hooks_.event_stream<v1::WatchHooksRequest, v1::WatchHooksResponse>(
        "WatchHooks", [this](const Context& context, const auto&, Stream stream) {
          context->cancel()->on_cancel([this] { cancelled_ = true; });
          stream.open([queue = queue_] { return queue->pop(); });
          std::lock_guard lock(mutex_);
          streams_.push_back(std::move(stream));
        });
  }
  Stream stream() {
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(mutex_);
      return !streams_.empty();
    }));
    std::lock_guard lock(mutex_);
    return streams_.front();
  }

  std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::vector<Stream> streams_;
};

TEST_F(EventStreamTest, EventsComeAsTheyHappenAndBeforeTheEnd) {
  bind_watch();
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  v1::WatchHooksResponse message;
  Stream events = stream();
  for (int i = 0; i < 5; ++i) {
    queue_->push(i);
    events.notify();
    ASSERT_TRUE(reader->Read(&message));
    EXPECT_EQ(message.event().sequence(), i);
  }
  for (int i = 5; i < 500; ++i) queue_->push(i);
  events.notify();
  events.finish(absl::NotFoundError("the model was deleted"));
  int next = 5;
  while (reader->Read(&message)) EXPECT_EQ(message.event().sequence(), next++);
  EXPECT_EQ(next, 500);
  EXPECT_EQ(reader->Finish().error_message(), "the model was deleted");
  events.notify();  // after the end: nothing
}

TEST_F(EventStreamTest, ManyThreadsNotifyAndNothingIsLost) {
  bind_watch();
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  const Stream events = stream();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) {
        queue_->push(i);
        events.notify();
      }
    });
  }
  v1::WatchHooksResponse message;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(reader->Read(&message));
  for (std::thread& thread : threads) thread.join();
  context.TryCancel();
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(EventStreamTest, CancelledWatchEndsAndTellsTheHandler) {
  bind_watch();
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  const Stream events = stream();
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(eventually([&] { return cancelled_.load(); }));
  // The source, and with it the queue, is let go though the stream's handle lives on.
  EXPECT_TRUE(eventually([&] { return queue_.use_count() == 1; }));
  queue_->push(1);
  events.notify();
}

TEST_F(EventStreamTest, DroppedStreamIsInternal) {
  hooks_.event_stream<v1::WatchHooksRequest, v1::WatchHooksResponse>("WatchHooks",
                                                                     [](const Context&, const auto&, const auto&) {});
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  v1::WatchHooksResponse message;
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INTERNAL);
}

}  // namespace
}  // namespace tapewire::rpc
