#include "server/hook/watcher.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/strings.h"
#include "server/hook/event_dispatcher.h"
#include "server/observe/metrics.h"
#include "server/observe/rejection.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kPatience = std::chrono::seconds(10);

// What came through a watcher's sink, which may outlive it.
class Seen {
 public:
  Watcher::Sink sink() {
    return {.send =
                [state = state_](const Watcher::Next& next) {
                  std::unique_lock lock(state->mutex);
                  state->sequences.push_back(next.sequence);
                  state->drops = next.drops.total();
                  state->thread = std::this_thread::get_id();
                  state->changed.notify_all();
                  state->changed.wait_for(lock, kPatience, [&] { return !state->blocked; });
                },
            .finish =
                [state = state_](const absl::Status& status) {
                  const std::lock_guard lock(state->mutex);
                  state->end = status;
                  state->changed.notify_all();
                }};
  }
  bool wait_for(size_t events) {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, kPatience, [&] { return state_->sequences.size() >= events; });
  }
  bool wait_for_end() {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, kPatience, [&] { return state_->end.has_value(); });
  }
  // While blocked, send() does not return.
  void block(bool blocked) {
    const std::lock_guard lock(state_->mutex);
    state_->blocked = blocked;
    state_->changed.notify_all();
  }
  std::vector<int64_t> sequences() {
    const std::lock_guard lock(state_->mutex);
    return state_->sequences;
  }
  int64_t drops() {
    const std::lock_guard lock(state_->mutex);
    return state_->drops;
  }
  std::optional<absl::Status> end() {
    const std::lock_guard lock(state_->mutex);
    return state_->end;
  }
  std::thread::id thread() {
    const std::lock_guard lock(state_->mutex);
    return state_->thread;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<int64_t> sequences;
    int64_t drops = 0;
    std::optional<absl::Status> end;
    std::thread::id thread;
    bool blocked = false;
  };

  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class WatcherTest : public testing::Test {
 protected:
  ~WatcherTest() override {
    for (const auto& watcher : watchers_) watcher->detach();
  }

  std::shared_ptr<Watcher> watcher(Watcher::Options options = {}) {
    watchers_.push_back(std::make_shared<Watcher>(std::move(options), series_, dispatcher_));
    memory_.add(watchers_.back());
    return watchers_.back();
  }
  std::shared_ptr<const HookEvent> event(int64_t bytes = 1) {
    auto made = std::make_shared<HookEvent>();
    auto share = memory_.reserve(bytes);
    EXPECT_TRUE(share);
    made->memory = *std::move(share);
    return made;
  }
  std::string dropped(const std::string& reason, int count) {
    return str_cat("tapewire_hook_dropped_total{model=\"net\",reason=\"", reason, "\"} ", count);
  }

  Metrics metrics_{BuildInfo{}};
  std::shared_ptr<ModelMetrics> series_ = metrics_.add_model("net");
  WatchMemory memory_{1000};
  EventDispatcher dispatcher_{0};
  std::vector<std::shared_ptr<Watcher>> watchers_;
};

TEST_F(WatcherTest, DropsAddUpOverPopsAndAreCounted) {
  const auto slow = watcher({.buffer_events = 2});
  for (int i = 0; i < 5; ++i) slow->push(event());
  auto next = slow->pop();
  EXPECT_EQ(next->sequence, 4);
  EXPECT_EQ(next->drops.buffer_full, 3);
  for (int i = 0; i < 2; ++i) slow->push(event());
  slow->miss(HookDrop::kTooLarge);
  next = slow->pop();
  EXPECT_EQ(next->sequence, 6);
  EXPECT_EQ(next->drops.buffer_full, 4);
  EXPECT_EQ(next->drops.too_large, 1);
  EXPECT_EQ(next->drops.total(), 5);
  slow->push(event());
  slow->pop();
  EXPECT_EQ(slow->pop()->sequence, 9) << "the one that was missed counts";
  EXPECT_THAT(metrics_.text(), HasSubstr(dropped("buffer_full", 4)));
  EXPECT_THAT(metrics_.text(), HasSubstr(dropped("too_large", 1)));
}

TEST_F(WatcherTest, BytesThatWaitAreBounded) {
  const auto slow = watcher({.buffer_bytes = 100});
  for (int i = 0; i < 3; ++i) slow->push(event(40));
  EXPECT_EQ(slow->waiting_bytes(), 80);
  EXPECT_EQ(memory_.used(), 80);
  slow->push(event(100));
  EXPECT_EQ(slow->waiting_bytes(), 100);
  EXPECT_EQ(slow->pop()->sequence, 4);
  EXPECT_EQ(slow->waiting_bytes(), 0);
  EXPECT_EQ(memory_.used(), 0);
}

TEST_F(WatcherTest, AnEventIsCountedOnceUntilTheLastShareGoes) {
  const auto one = watcher();
  const auto two = watcher();
  {
    const auto shared = event(70);
    one->push(shared);
    two->push(shared);
  }
  EXPECT_EQ(memory_.used(), 70);
  std::optional<Watcher::Next> on_its_way = one->pop();
  two->detach();
  EXPECT_EQ(memory_.used(), 70) << "it is on its way";
  on_its_way.reset();
  EXPECT_EQ(memory_.used(), 0);
}

TEST_F(WatcherTest, WithoutRoomTheLargestWatcherLosesItsOldest) {
  const auto large = watcher();
  const auto small = watcher();
  small->push(event(100));
  for (int i = 0; i < 3; ++i) large->push(event(300));
  small->push(event(100));
  EXPECT_EQ(memory_.used(), 800);
  const auto next = large->pop();
  EXPECT_EQ(next->sequence, 2);
  EXPECT_EQ(next->drops.memory, 1);
  EXPECT_EQ(small->pop()->drops.total(), 0);
  EXPECT_THAT(metrics_.text(), HasSubstr(dropped("memory", 1)));
}

TEST_F(WatcherTest, WhatIsOnItsWayCannotBeLetGo) {
  const auto held = event(600);
  EXPECT_FALSE(memory_.reserve(500));
  EXPECT_FALSE(memory_.reserve(1001));
  EXPECT_TRUE(memory_.reserve(400));
  EXPECT_FALSE(memory_.give_way(1)) << "nothing waits";
}

TEST_F(WatcherTest, EventsGiveWayToOthersWhoNeedMemory) {
  const auto watching = watcher();
  for (int i = 0; i < 4; ++i) watching->push(event(100));
  EXPECT_TRUE(memory_.give_way(150));
  EXPECT_EQ(memory_.used(), 200);
  EXPECT_TRUE(memory_.give_way(1 << 30));
  EXPECT_EQ(memory_.used(), 0);
  EXPECT_FALSE(memory_.give_way(1));
  watching->push(event());
  const auto next = watching->pop();
  EXPECT_EQ(next->sequence, 5);
  EXPECT_EQ(next->drops.memory, 4);
}

TEST_F(WatcherTest, AWatcherThatFailsGetsWhatWaitsAndThenTheReason) {
  const auto failing = watcher({.buffer_events = 2, .slow = SlowWatcher::kFail});
  for (int i = 0; i < 4; ++i) failing->push(event());
  Seen seen;
  failing->attach(seen.sink());
  for (size_t i = 1; i <= 2; ++i) {
    failing->ready();
    ASSERT_TRUE(seen.wait_for(i));
  }
  ASSERT_TRUE(seen.wait_for_end());
  EXPECT_THAT(seen.sequences(), ElementsAre(1, 2));
  EXPECT_EQ(seen.end()->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(seen.end()->message()), HasSubstr("takes 2 (buffer_events)"));
  EXPECT_EQ(rejection_reason(*seen.end()), "watch_buffer_bytes");
}

TEST_F(WatcherTest, AWatcherThatFailsEndsWhenItsEventsMustGiveWay) {
  const auto given = watcher({.all_bytes = 1000, .slow = SlowWatcher::kFail});
  const auto missing = watcher({.all_bytes = 1000, .slow = SlowWatcher::kFail});
  for (int i = 0; i < 2; ++i) given->push(event(100));
  EXPECT_TRUE(memory_.give_way(1));
  missing->miss(HookDrop::kMemory);
  for (const auto& failing : {given, missing}) {
    ASSERT_TRUE(failing->finished());
    EXPECT_EQ(failing->finished()->code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(rejection_reason(*failing->finished()), "watch_memory");
    EXPECT_THAT(std::string(failing->finished()->message()), HasSubstr("(--watch_memory=1000): this one lost 1"));
  }
  Seen seen;
  given->attach(seen.sink());
  given->ready();
  ASSERT_TRUE(seen.wait_for_end());
  EXPECT_THAT(seen.sequences(), ElementsAre(2)) << "what waits is still given";
  const auto large = watcher({.slow = SlowWatcher::kFail});
  large->miss(HookDrop::kTooLarge);
  EXPECT_FALSE(large->finished()) << "that is no fault of being slow";
}

TEST_F(WatcherTest, TheSinkGetsOneEventForEachReadyOnAnotherThreadInOrder) {
  const auto watching = watcher();
  Seen seen;
  watching->attach(seen.sink());
  for (int i = 0; i < 3; ++i) watching->push(event());
  EXPECT_THAT(seen.sequences(), IsEmpty()) << "it is not ready";
  watching->ready();
  ASSERT_TRUE(seen.wait_for(1));
  const auto other = watcher();
  Seen others;
  other->attach(others.sink());
  for (size_t i = 1; i <= 2; ++i) {  // behind whatever the dispatcher might still do for the first
    other->push(event());
    other->ready();
    ASSERT_TRUE(others.wait_for(i));
  }
  EXPECT_THAT(seen.sequences(), ElementsAre(1));
  for (size_t i = 2; i <= 3; ++i) {
    watching->ready();
    ASSERT_TRUE(seen.wait_for(i));
  }
  EXPECT_THAT(seen.sequences(), ElementsAre(1, 2, 3));
  EXPECT_NE(seen.thread(), std::this_thread::get_id());
  watching->ready();
  watching->push(event());
  ASSERT_TRUE(seen.wait_for(4));
}

TEST_F(WatcherTest, AStalledWatcherDoesNotHoldAnotherBack) {
  const auto stalled = watcher({.buffer_events = 3});
  const auto reading = watcher({.buffer_events = 3});
  Seen nothing;
  Seen seen;
  stalled->attach(nothing.sink());
  reading->attach(seen.sink());
  for (size_t i = 1; i <= 20; ++i) {
    const auto shared = event();
    stalled->push(shared);
    reading->push(shared);
    reading->ready();
    ASSERT_TRUE(seen.wait_for(i));
  }
  EXPECT_EQ(seen.drops(), 0);
  EXPECT_THAT(nothing.sequences(), IsEmpty());
  stalled->ready();
  ASSERT_TRUE(nothing.wait_for(1));
  EXPECT_THAT(nothing.sequences(), ElementsAre(18));
  EXPECT_EQ(nothing.drops(), 17);
}

TEST_F(WatcherTest, TheEndComesAfterTheEventsThatAreLeft) {
  const auto watching = watcher();
  Seen seen;
  watching->attach(seen.sink());
  for (int i = 0; i < 2; ++i) watching->push(event());
  watching->finish(absl::NotFoundError("the model was deleted"));
  watching->finish(absl::CancelledError("too late"));
  watching->push(event());
  watching->ready();
  ASSERT_TRUE(seen.wait_for(1));
  EXPECT_FALSE(seen.end());
  watching->ready();
  ASSERT_TRUE(seen.wait_for_end());
  EXPECT_THAT(seen.sequences(), ElementsAre(1, 2));
  EXPECT_EQ(seen.end()->message(), "the model was deleted");
}

TEST_F(WatcherTest, AWatchMayEndWhileItsEventIsSent) {
  const auto watching = watcher();
  const auto other = watcher();
  Seen seen;
  Seen others;
  watching->attach(seen.sink());
  other->attach(others.sink());
  seen.block(true);
  for (int i = 0; i < 3; ++i) watching->push(event(100));
  watching->ready();
  ASSERT_TRUE(seen.wait_for(1));
  watching->ready();
  watching->detach();
  EXPECT_EQ(memory_.used(), 100) << "the one that is being sent";
  seen.block(false);
  other->push(event());
  other->ready();
  ASSERT_TRUE(others.wait_for(1));  // behind the watch that ended
  EXPECT_THAT(seen.sequences(), ElementsAre(1));
  EXPECT_FALSE(seen.end());
}

TEST_F(WatcherTest, LargeEventsWaitForTheRateAndSmallOnesPassThem) {
  WatchMemory memory(int64_t{1} << 30);
  EventDispatcher slow(1);  // the first large event uses the rate of an hour up
  const auto make = [&](int64_t bytes) {
    auto made = std::make_shared<HookEvent>();
    made->memory = *memory.reserve(bytes);
    return made;
  };
  const auto large = std::make_shared<Watcher>(Watcher::Options{}, series_, slow);
  const auto small = std::make_shared<Watcher>(Watcher::Options{}, series_, slow);
  Seen larges;
  Seen smalls;
  large->attach(larges.sink());
  small->attach(smalls.sink());
  for (int i = 0; i < 2; ++i) large->push(make(EventDispatcher::kLargeEvent));
  large->ready();
  ASSERT_TRUE(larges.wait_for(1));
  large->ready();
  for (size_t i = 1; i <= 3; ++i) {
    small->push(make(100));
    small->ready();
    ASSERT_TRUE(smalls.wait_for(i));
  }
  EXPECT_THAT(larges.sequences(), ElementsAre(1));
  large->detach();
  small->detach();
}

}  // namespace
}  // namespace tapewire
