#include "client/cpp/hook_watcher.h"

#include <gtest/gtest.h>

#include <thread>

#include "client/cpp/client.h"
#include "tests/client/fake/fake_server.h"

namespace tapewire::client {
namespace {

class HookWatcherTest : public testing::Test {
 protected:
  HookWatcherTest() {
    v1::Hook hook;
    hook.set_target("fc1");
    client_.register_hook("net", hook).IgnoreError();
  }

  FakeServer server_;
  Client client_ = *Client::connect(server_.address());
};

TEST_F(HookWatcherTest, EventsComeInOrderUntilTheServerEndsTheStream) {
  HookWatcher watcher = client_.watch_hooks({});
  server_.send_hook_events(1);
  server_.send_hook_events(2);
  for (int step = 1; step <= 2; ++step) {
    const auto event = watcher.next();
    ASSERT_TRUE(event.ok() && event->has_value());
    EXPECT_EQ((*event)->step(), step);
  }
  server_.end_watchers(absl::OkStatus());
  for (int i = 0; i < 2; ++i) {
    const auto end = watcher.next();
    EXPECT_TRUE(end.ok() && !end->has_value());
  }
}

TEST_F(HookWatcherTest, CancellingFromAnotherThreadEndsAWaitingRead) {
  HookWatcher watcher = client_.watch_hooks({});
  std::thread canceller([&] {
    server_.wait_for_watcher();
    watcher.cancel();
  });
  const auto end = watcher.next();
  EXPECT_TRUE(end.ok() && !end->has_value());
  canceller.join();
}

TEST_F(HookWatcherTest, ABrokenStreamIsAnErrorNowAndLater) {
  HookWatcher watcher = client_.watch_hooks({});
  server_.end_watchers(absl::ResourceExhaustedError("watcher is too slow"));
  EXPECT_EQ(watcher.next().status(), absl::ResourceExhaustedError("watcher is too slow"));
  EXPECT_EQ(watcher.next().status(), absl::ResourceExhaustedError("watcher is too slow"));
}

TEST_F(HookWatcherTest, ItTakesEventsAsLargeAsTheClientsMessages) {
  const HookWatcher watcher = client_.watch_hooks({});
  EXPECT_EQ(server_.watch_request().max_event_bytes(), ClientOptions().max_message_bytes);
}

TEST_F(HookWatcherTest, DroppingAWatcherDoesNotHang) {
  const HookWatcher watcher = client_.watch_hooks({});
  ASSERT_TRUE(server_.wait_for_watcher());
}

}  // namespace
}  // namespace tapewire::client
