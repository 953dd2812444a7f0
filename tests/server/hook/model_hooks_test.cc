#include "server/hook/hook_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/meta.h"
#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ModelHooksTest : public ModelTest {
 protected:
  // The hub outlives the models.
  void TearDown() override {
    for (const auto& model : registry_.list("", 100)) registry_.remove(model->name());
  }

  HookInfo add(const std::shared_ptr<LiveModel>& model, HookSpec spec) {
    const auto hooks = hub_.of(model);
    return in_turn(model, [hooks, spec](ModelState& m) { return hooks->add(m, spec); }).value();
  }
  void step(const std::shared_ptr<LiveModel>& model) {
    in_turn(model, [](ModelState& m) { return m.train_step(batch()).step; }).value();
  }

  HookHub hub_{8};
};

TEST_F(ModelHooksTest, ABackwardHookShowsFiniteGradientsOfEveryMatchedLayer) {
  const auto model = create(kSimpleNet);
  const HookInfo info = add(model, {.target = "fc*", .kind = HookKind::kBackward, .observe = {.stats = true}});
  EXPECT_THAT(info.matched, ElementsAre("fc1", "fc2"));
  const auto watcher = hub_.of(model)->watch({});
  step(model);
  // The tape is walked from the loss, so fc2 comes first.
  const auto first = watcher->pop();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->event->path, "fc2");
  EXPECT_EQ(first->event->tensors[0].name, "grad_input");
  EXPECT_EQ(first->event->tensors[1].name, "grad_output");
  EXPECT_GT(first->event->tensors[1].stats->l2_norm, 0);
  const auto second = watcher->pop();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->event->path, "fc1");
  EXPECT_TRUE(second->event->tensors[0].none) << "the data needs no gradient";
  EXPECT_FALSE(watcher->pop());
}

TEST_F(ModelHooksTest, AForwardHookShowsArgumentsAndOutput) {
  const auto model = create(kSimpleNet);
  add(model, {.target = "fc2", .kind = HookKind::kForward});
  const auto watcher = hub_.of(model)->watch({});
  step(model);
  const auto seen = watcher->pop();
  ASSERT_TRUE(seen);
  ASSERT_THAT(seen->event->tensors, testing::SizeIs(2));
  EXPECT_EQ(seen->event->tensors[0].name, "input");
  EXPECT_EQ(to_string(seen->event->tensors[0].spec), "float32[4, 5]");
  EXPECT_EQ(seen->event->tensors[1].name, "output");
  EXPECT_EQ(to_string(seen->event->tensors[1].spec), "float32[4, 1]");
}

TEST_F(ModelHooksTest, WatchingChangesNoBit) {
  const auto watched = create(kSimpleNet, "watched");
  const auto alone = create(kSimpleNet, "alone");
  add(watched, {.target = "*",
                .kind = HookKind::kForward,
                .observe = {.stats = true, .histogram_bins = 4, .tensor = true, .max_tensor_bytes = 1 << 20}});
  add(watched, {.target = "fc1.weight", .kind = HookKind::kTensor, .observe = {.stats = true}});
  add(watched,
      {.target = "fc2", .kind = HookKind::kBackwardPre, .observe = {.tensor = true, .max_tensor_bytes = 1 << 20}});
  const auto watcher = hub_.of(watched)->watch({});
  for (int i = 0; i < 5; ++i) {
    step(watched);
    step(alone);
  }
  const auto weights = [](ModelState& m) {
    std::vector<float> out;
    for (const NamedTensor& p : m.root().named_parameters()) {
      for (const float v : p.tensor.to_vector<float>()) out.push_back(v);
    }
    return out;
  };
  EXPECT_EQ(*in_turn(watched, weights), *in_turn(alone, weights));
  EXPECT_TRUE(watcher->pop());
}

TEST_F(ModelHooksTest, EveryNStepsAndRemoval) {
  const auto model = create(kSimpleNet);
  const HookInfo info = add(model, {.target = "fc1", .kind = HookKind::kForward, .every_n_steps = 2});
  const auto hooks = hub_.of(model);
  const auto watcher = hooks->watch({});
  for (int i = 0; i < 4; ++i) step(model);
  EXPECT_EQ(watcher->pop()->event->step, 0);
  EXPECT_EQ(watcher->pop()->event->step, 2);
  EXPECT_FALSE(watcher->pop());
  in_turn(model, [&](ModelState& m) {
    hooks->remove(m, info.id);
    return 0;
  }).value();
  step(model);
  EXPECT_FALSE(watcher->pop());
  EXPECT_THAT(hooks->list(), testing::IsEmpty());
}

TEST_F(ModelHooksTest, ASlowWatcherLosesTheOldestOrIsEnded) {
  const auto model = create(kSimpleNet);
  add(model, {.target = "fc1", .kind = HookKind::kForward});
  const auto dropping = hub_.of(model)->watch({.buffer_events = 2});
  const auto failing = hub_.of(model)->watch({.buffer_events = 2, .slow = SlowWatcher::kFail});
  for (int i = 0; i < 3; ++i) step(model);
  const auto next = dropping->pop();
  EXPECT_EQ(next->event->step, 1);
  EXPECT_EQ(next->sequence, 2) << "the dropped one counts";
  EXPECT_EQ(next->dropped, 1);
  failing->pop();
  failing->pop();
  ASSERT_TRUE(failing->finished());
  EXPECT_EQ(failing->finished()->code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ModelHooksTest, ALeaseEndsAHook) {
  const auto model = create(kSimpleNet);
  add(model, {.target = "fc1", .kind = HookKind::kForward, .lease = std::chrono::milliseconds(0)});
  const auto watcher = hub_.of(model)->watch({});
  step(model);
  EXPECT_FALSE(watcher->pop());
  EXPECT_THAT(hub_.of(model)->list(), testing::IsEmpty());
}

TEST_F(ModelHooksTest, BadTargetsAndTooManyHooksAreRefused) {
  const auto model = create(kSimpleNet);
  const auto hooks = hub_.of(model);
  const auto error_of = [&](HookSpec spec) {
    return in_turn(model, [&](ModelState& m) { return hooks->add(m, spec); }).status();
  };
  EXPECT_THAT(std::string(error_of({.target = "fc3"}).message()),
              HasSubstr("hook.target: no module 'fc3'; did you mean 'fc"));
  EXPECT_THAT(std::string(error_of({.target = "conv*"}).message()), HasSubstr("'conv*' matches no module"));
  EXPECT_THAT(std::string(error_of({.target = "fc1", .kind = HookKind::kTensor}).message()),
              HasSubstr("no parameter 'fc1'"));
  for (int i = 0; i < 8; ++i) add(model, {.target = "fc1"});
  EXPECT_EQ(error_of({.target = "fc1"}).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ModelHooksTest, ARefusedHookLeavesNothingBehind) {
  const auto model = create(kSimpleNet);
  const auto hooks = hub_.of(model);
  const auto status = in_turn(model, [&](ModelState& m) {
                        set_requires_grad(m.require_parameter("fc1.bias", ""), false);
                        return hooks->add(m, {.target = "fc1.*", .kind = HookKind::kTensor}).id;
                      }).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("parameter 'fc1.bias' does not require gradients"));
  const auto watcher = hooks->watch({});
  step(model);
  EXPECT_FALSE(watcher->pop());
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_hook_events_total{model=\"net\"} 0"));
}

TEST_F(ModelHooksTest, AnExpiredHookIsGone) {
  const auto model = create(kSimpleNet);
  const HookInfo info = add(model, {.target = "fc1", .lease = std::chrono::milliseconds(0)});
  const auto hooks = hub_.of(model);
  EXPECT_THROW(hooks->watch({.hook_ids = {info.id}}), Error);
  model->expire(TapeStore::Clock::now());
  in_turn(model, [](ModelState&) { return 0; }).value();  // behind the turn that takes it off
  EXPECT_FALSE(hooks->any_expired());
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_hooks{model=\"net\"} 0"));
}

TEST_F(ModelHooksTest, DeletingTheModelEndsTheWatch) {
  const auto model = create(kSimpleNet);
  const auto watcher = hub_.of(model)->watch({});
  registry_.remove("net");
  ASSERT_TRUE(watcher->finished());
  EXPECT_EQ(watcher->finished()->code(), absl::StatusCode::kNotFound);
}

TEST_F(ModelHooksTest, AWatchTellsItsNewsAndLetsItsListenerGoAtTheEnd) {
  const auto model = create(kSimpleNet);
  add(model, {.target = "fc1", .kind = HookKind::kForward});
  const auto watcher = hub_.of(model)->watch({});
  step(model);
  std::vector<std::string> told;
  const auto listener = std::make_shared<int>();
  watcher->on_news([&told, listener](const std::optional<absl::Status>& end) {
    told.push_back(end ? std::string(end->message()) : "event");
  });
  EXPECT_THAT(told, ElementsAre("event")) << "of what is there already";
  step(model);
  watcher->finish(absl::CancelledError("enough"));
  step(model);
  watcher->finish(absl::CancelledError("more than enough"));
  EXPECT_THAT(told, ElementsAre("event", "event", "enough"));
  EXPECT_EQ(listener.use_count(), 1);
  EXPECT_TRUE(watcher->pop()) << "what came before the end stays";
  EXPECT_TRUE(watcher->pop());
  EXPECT_FALSE(watcher->pop());
}

}  // namespace
}  // namespace tapewire
