#include "client/cpp/hook_watcher.h"
#include "tests/e2e/server_fixture.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

// 16 KiB of output a sample.
constexpr const char* kWide = R"(
  inputs { name: "input" dtype: DATA_TYPE_FLOAT32 shape: [-1, 4] }
  modules { type: "Sequential" }
  modules {
    path: "wide" type: "Linear"
    attributes { key: "in_features" value { int_value: 4 } }
    attributes { key: "out_features" value { int_value: 4096 } }
  }
  modules {
    path: "narrow" type: "Linear"
    attributes { key: "in_features" value { int_value: 4096 } }
    attributes { key: "out_features" value { int_value: 1 } }
  }
)";

class WatchTest : public ServerTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(client_.create_model("net", definition(kWide), {.seed = 1}).ok());
    v1::Hook hook;
    hook.set_target("wide");
    hook.set_kind(v1::HOOK_KIND_FORWARD);
    hook.mutable_observe()->set_tensor(true);
    hook.mutable_observe()->set_max_tensor_bytes(int64_t{64} << 20);
    ASSERT_TRUE(client_.register_hook("net", hook).ok());
  }
  ~WatchTest() override { tensor_allocator().set_limit(int64_t{1} << 30, "--tensor_memory_limit"); }

  absl::Status forward(int samples) {
    v1::ForwardRequest request;
    request.set_model("net");
    v1::Tensor& x = *request.add_inputs()->mutable_tensor();
    x.set_dtype(v1::DATA_TYPE_FLOAT32);
    x.add_shape(samples);
    x.add_shape(4);
    x.mutable_data()->assign(static_cast<size_t>(samples) * 4 * sizeof(float), '\0');
    return client_.forward(request).status();
  }
  static v1::WatchHooksRequest watch(int64_t max_event_bytes = 0) {
    v1::WatchHooksRequest request;
    request.set_model("net");
    request.set_max_event_bytes(max_event_bytes);
    return request;
  }

  client::Client client_ = connect();
};

TEST_F(WatchTest, AStalledWatcherLosesEventsIsToldAndCostsTheModelNothing) {
  const client::Client other = connect();
  client::HookWatcher stalled = other.watch_hooks(watch());
  // Less than all events would hold: 1 MiB each.
  tensor_allocator().set_limit(tensor_allocator().stats().live + (int64_t{120} << 20), "test");
  constexpr int kCalls = 200;
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(forward(64).ok()) << i;
  EXPECT_LE(models_.options().model.hooks->memory.used(), int64_t{80} << 20);
  int64_t last = 0;
  int64_t got = 0;
  int64_t dropped = 0;
  while (last < kCalls) {
    const auto event = stalled.next();
    ASSERT_TRUE(event.ok() && *event) << event.status();
    EXPECT_GT((*event)->sequence(), last);
    last = (*event)->sequence();
    dropped = (*event)->dropped();
    EXPECT_EQ((*event)->drops().buffer_full(), dropped);
    ++got;
  }
  EXPECT_EQ(got + dropped, kCalls);
  EXPECT_GT(dropped, kCalls / 4);
  EXPECT_THAT(metrics_.text(),
              HasSubstr(str_cat("tapewire_hook_dropped_total{model=\"net\",reason=\"buffer_full\"} ", dropped)));
}

TEST_F(WatchTest, AnEventTooLargeForTheClientComesWithoutDataAndTheStreamGoesOn) {
  client::HookWatcher watcher = client_.watch_hooks(watch(int64_t{4} << 20));
  ASSERT_TRUE(forward(300).ok());
  ASSERT_TRUE(forward(2).ok());
  auto event = watcher.next();
  ASSERT_TRUE(event.ok() && *event) << event.status();
  ASSERT_EQ((*event)->tensors_size(), 2);
  EXPECT_EQ((*event)->tensors(1).omitted(), v1::DATA_OMITTED_EVENT_TOO_LARGE);
  EXPECT_FALSE((*event)->tensors(1).has_tensor());
  EXPECT_EQ((*event)->tensors(1).spec().shape(0), 300);
  EXPECT_EQ((*event)->dropped(), 0);
  event = watcher.next();
  ASSERT_TRUE(event.ok() && *event) << event.status();
  EXPECT_EQ((*event)->tensors(1).tensor().data().size(), 2u * 4096 * 4);
  EXPECT_EQ((*event)->sequence(), 2);
}

TEST_F(WatchTest, WatchersGetTheSameBytesAndTheirOwnNumbers) {
  client::HookWatcher early = client_.watch_hooks(watch());
  ASSERT_TRUE(forward(3).ok());
  client::HookWatcher late = client_.watch_hooks(watch());
  ASSERT_TRUE(forward(3).ok());
  ASSERT_TRUE(early.next().ok());
  auto one = early.next();
  auto two = late.next();
  ASSERT_TRUE(one.ok() && *one && two.ok() && *two);
  EXPECT_EQ((*one)->sequence(), 2);
  EXPECT_EQ((*two)->sequence(), 1);
  (*one)->set_sequence(1);
  EXPECT_EQ((*one)->SerializeAsString(), (*two)->SerializeAsString());
}

}  // namespace
}  // namespace tapewire
