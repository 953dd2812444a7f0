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

class EventStreamTest : public RpcTest {
 protected:
  // Opens each stream and keeps it. A stream's `ready` holds a share of `held_`.
  void bind_watch() {
    hooks_.event_stream<v1::WatchHooksRequest, v1::WatchHooksResponse>(
        "WatchHooks", [this](const Context& context, const auto&, const EventStream& stream) {
          context->cancel()->on_cancel([this] { cancelled_ = true; });
          {
            std::lock_guard lock(mutex_);
            stream_ = stream;
          }
          stream.open([this, held = held_] { ++ready_; });
        });
  }
  // The one that the handler was given.
  EventStream stream() {
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(mutex_);
      return stream_.has_value();
    }));
    std::lock_guard lock(mutex_);
    return *stream_;
  }
  bool ready(int times) {
    return eventually([&] { return ready_ == times; });
  }
  static grpc::ByteBuffer message(int sequence, size_t bytes = 0) {
    v1::WatchHooksResponse response;
    response.mutable_event()->set_sequence(sequence);
    response.mutable_event()->set_path(std::string(bytes, 'x'));
    return *serialize_message(response, {});
  }

  std::shared_ptr<int> held_ = std::make_shared<int>();
  std::atomic<int> ready_{0};
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::optional<EventStream> stream_;
};

TEST_F(EventStreamTest, ItIsReadyAtFirstAndAfterEachMessage) {
  bind_watch();
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  const EventStream events = stream();
  v1::WatchHooksResponse response;
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(ready(i + 1));
    events.write(message(i));
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.event().sequence(), i);
  }
  context.TryCancel();
}

TEST_F(EventStreamTest, AClientThatDoesNotReadLeavesItNotReady) {
  bind_watch();
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  const EventStream events = stream();
  // Until the connection takes no more.
  constexpr int kMost = 1000;
  int written = 0;
  while (written < kMost && ready(written + 1)) {
    events.write(message(written++, 500'000));
    if (written < 10) continue;
    ASSERT_TRUE(wait_until_still([&] { return ready_.load(); }, 20ms));
    if (ready_ == written) break;
  }
  EXPECT_LT(written, kMost);
  v1::WatchHooksResponse response;
  for (int i = 0; i < written; ++i) {
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.event().sequence(), i);
  }
  EXPECT_TRUE(ready(written + 1));
  context.TryCancel();
}

TEST_F(EventStreamTest, TheEndComesAfterWhatWasWritten) {
  bind_watch();
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  const EventStream events = stream();
  ASSERT_TRUE(ready(1));
  events.write(message(1, 500'000));
  events.finish(absl::NotFoundError("the model was deleted"));
  events.write(message(2));
  events.finish(absl::InternalError("too late"));
  v1::WatchHooksResponse response;
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_message(), "the model was deleted");
}

TEST_F(EventStreamTest, CancelledWatchEndsAndTellsTheHandler) {
  bind_watch();
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  const EventStream events = stream();
  ASSERT_TRUE(ready(1));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(eventually([&] { return cancelled_.load(); }));
  // What `ready` holds is let go though the stream's handle lives on.
  EXPECT_TRUE(eventually([&] { return held_.use_count() == 1; }));
  events.write(message(1));
}

TEST_F(EventStreamTest, DroppedStreamIsInternal) {
  hooks_.event_stream<v1::WatchHooksRequest, v1::WatchHooksResponse>(
      "WatchHooks", [](const Context&, const auto&, const EventStream&) {});
  start();
  grpc::ClientContext context;
  const auto reader = hook_stub_->WatchHooks(&context, v1::WatchHooksRequest());
  v1::WatchHooksResponse message;
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INTERNAL);
}

}  // namespace
}  // namespace tapewire::rpc
