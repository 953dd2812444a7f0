#include "server/hook/model_hooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/meta.h"
#include "core/nn/container.h"
#include "core/ops/shape_ops.h"
#include "core/tensor/allocator.h"
#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ModelHooksTest : public ModelTest {
 protected:
  HookInfo add(const std::shared_ptr<LiveModel>& model, HookSpec spec) {
    return in_turn(model, [spec](ModelState& m) { return m.hooks()->add(m.hook_targets(), spec); }).value();
  }
  void step(const std::shared_ptr<LiveModel>& model) {
    in_turn(model, [](ModelState& m) { return m.train_step(batch()).step; }).value();
  }

  explicit ModelHooksTest(HookLimits limits = {.max_hooks = 8}) : ModelTest({.hooks = limits}) {}

  WatchMemory& memory() { return registry_.options().model.hooks->memory; }
};

// The same with room for little.
class TightHooksTest : public ModelHooksTest {
 protected:
  TightHooksTest() : ModelHooksTest({.max_watchers = 2, .buffer_bytes = 1 << 20, .memory_bytes = 2000}) {}
};

TEST_F(ModelHooksTest, ABackwardHookShowsFiniteGradientsOfEveryMatchedLayer) {
  const auto model = create(kSimpleNet);
  const HookInfo info = add(model, {.target = "fc*", .kind = HookKind::kBackward, .observe = {.stats = true}});
  EXPECT_THAT(info.matched, ElementsAre("fc1", "fc2"));
  const auto watcher = model->hooks_handle()->watch({});
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
  const auto watcher = model->hooks_handle()->watch({});
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
  const auto watcher = watched->hooks_handle()->watch({});
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
  const auto hooks = model->hooks_handle();
  const auto watcher = hooks->watch({});
  for (int i = 0; i < 4; ++i) step(model);
  EXPECT_EQ(watcher->pop()->event->step, 0);
  EXPECT_EQ(watcher->pop()->event->step, 2);
  EXPECT_FALSE(watcher->pop());
  in_turn(model, [&](ModelState&) {
    hooks->remove(info.id);
    return 0;
  }).value();
  step(model);
  EXPECT_FALSE(watcher->pop());
  EXPECT_THAT(hooks->list(), testing::IsEmpty());
}

TEST_F(ModelHooksTest, ASlowWatcherLosesTheOldestOrIsEnded) {
  const auto model = create(kSimpleNet);
  add(model, {.target = "fc1", .kind = HookKind::kForward});
  const auto dropping = model->hooks_handle()->watch({.buffer_events = 2});
  const auto failing = model->hooks_handle()->watch({.buffer_events = 2, .slow = SlowWatcher::kFail});
  for (int i = 0; i < 3; ++i) step(model);
  const auto next = dropping->pop();
  EXPECT_EQ(next->event->step, 1);
  EXPECT_EQ(next->sequence, 2) << "the dropped one counts";
  EXPECT_EQ(next->drops.total(), 1);
  failing->pop();
  failing->pop();
  ASSERT_TRUE(failing->finished());
  EXPECT_EQ(failing->finished()->code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ModelHooksTest, ALeaseEndsAHook) {
  const auto model = create(kSimpleNet);
  add(model, {.target = "fc1", .kind = HookKind::kForward, .lease = std::chrono::milliseconds(0)});
  const auto watcher = model->hooks_handle()->watch({});
  step(model);
  EXPECT_FALSE(watcher->pop());
  EXPECT_THAT(model->hooks_handle()->list(), testing::IsEmpty());
}

TEST_F(ModelHooksTest, BadTargetsAndTooManyHooksAreRefused) {
  const auto model = create(kSimpleNet);
  const auto hooks = model->hooks_handle();
  const auto error_of = [&](HookSpec spec) {
    return in_turn(model, [&](ModelState& m) { return hooks->add(m.hook_targets(), spec); }).status();
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
  const auto hooks = model->hooks_handle();
  const auto status = in_turn(model, [&](ModelState& m) {
                        set_requires_grad(m.require_parameter("fc1.bias", ""), false);
                        return hooks->add(m.hook_targets(), {.target = "fc1.*", .kind = HookKind::kTensor}).id;
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
  const auto hooks = model->hooks_handle();
  EXPECT_THROW(hooks->watch({.hook_ids = {info.id}}), Error);
  model->expire(TapeStore::Clock::now());
  // A turn takes it off, which the registry's clock may have begun and not queued yet.
  while (hooks->size() > 0) in_turn(model, [](ModelState&) { return 0; }).value();
  EXPECT_FALSE(hooks->next_expiry());
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_hooks{model=\"net\"} 0"));
}

// A server's rooms for one model, which end with the threads in them.
class HigherOrderRooms : public ModelHooksTest {
 public:
  void differentiate(bool hooked, bool captured) {
    // The output is of a gradient that depends on what flowed.
    std::string curved = kSimpleNet;
    const std::string outputs = "outputs: \"y\"";
    curved.replace(curved.find(outputs), outputs.size(),
                   "calls { op: \"sin\" args { ref: \"y\" } results: \"z\" } outputs: \"z\"");
    const auto model = create(curved);
    for (const HookKind kind : {HookKind::kBackward, HookKind::kBackwardPre, HookKind::kForward}) {
      if (hooked) add(model, {.target = "*", .kind = kind});
    }
    ForwardArgs forward{.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true};
    if (captured) forward.capture = {"fc1", "fc2"};
    const auto tape = in_turn(model, [&](ModelState& m) { return m.forward(forward); }).value().tape;
    for (const char* wrt : {"fc1.weight", "fc2.weight"}) {
      const GradArgs args{
          .tape = tape, .output_grads = {{"", Tensor::full({4, 1}, 1.0)}}, .wrt = {wrt}, .create_graph = true};
      EXPECT_TRUE(in_turn(model, [&](ModelState& m) { return m.grad(args); }).ok());
    }
  }

 private:
  void TestBody() override {}
};

TEST(HigherOrderTapeTest, GoesWithItsModelWhateverLooksOn) {
  for (const bool hooked : {false, true}) {
    for (const bool captured : {false, true}) {
      const int64_t before = tensor_allocator().stats().live;
      HigherOrderRooms().differentiate(hooked, captured);
      EXPECT_EQ(tensor_allocator().stats().live, before) << "hooked: " << hooked << ", captured: " << captured;
    }
  }
}

TEST_F(ModelHooksTest, DeletingTheModelEndsTheWatch) {
  const auto model = create(kSimpleNet);
  const auto watcher = model->hooks_handle()->watch({});
  registry_.remove("net");
  ASSERT_TRUE(watcher->finished());
  EXPECT_EQ(watcher->finished()->code(), absl::StatusCode::kNotFound);
}

TEST_F(ModelHooksTest, AWatchKeepsTheLeaseOfTheHooksThatItNames) {
  const auto model = create(kSimpleNet);
  const auto hooks = model->hooks_handle();
  const HookInfo named = add(model, {.target = "fc1", .lease = std::chrono::hours(1)});
  const HookInfo other = add(model, {.target = "fc2", .lease = std::chrono::hours(2)});
  const auto first = hooks->next_expiry();
  ASSERT_TRUE(first);
  const auto all = hooks->watch({});
  EXPECT_EQ(hooks->next_expiry(), first) << "it names none";
  const auto watcher = hooks->watch({.hook_ids = {named.id}});
  EXPECT_GT(hooks->next_expiry(), *first + std::chrono::minutes(30)) << "only the other's is left";
  hooks->unwatch(watcher);
  hooks->unwatch(watcher);
  EXPECT_GT(hooks->next_expiry(), first) << "it begins anew";
  EXPECT_LT(hooks->next_expiry(), *first + std::chrono::minutes(30));
  EXPECT_THROW(hooks->watch({.hook_ids = {named.id, "nobody"}}), Error);
  EXPECT_LT(hooks->next_expiry(), *first + std::chrono::minutes(30)) << "no watch began";
}

TEST_F(ModelHooksTest, AWatchThatEndedGetsNothingAndCountsNoMore) {
  const auto model = create(kSimpleNet);
  add(model, {.target = "fc1"});
  const auto hooks = model->hooks_handle();
  const auto watcher = hooks->watch({.buffer_events = 1});
  hooks->unwatch(watcher);
  step(model);
  step(model);
  EXPECT_FALSE(watcher->pop());
  EXPECT_EQ(watcher.use_count(), 1);
  EXPECT_EQ(memory().used(), 0);
  EXPECT_THAT(metrics_.text(), testing::Not(HasSubstr("tapewire_hook_dropped_total")));
}

TEST_F(TightHooksTest, TooManyWatchersAreRefused) {
  const auto model = create(kSimpleNet);
  const auto hooks = model->hooks_handle();
  const auto one = hooks->watch({});
  const auto two = hooks->watch({});
  try {
    hooks->watch({});
    ADD_FAILURE() << "a third one was let in";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(error.message(), HasSubstr("--max_watchers (2)"));
  }
  hooks->unwatch(one);
  hooks->watch({});
  registry_.remove("net");
}

TEST_F(ModelHooksTest, AnEventThatIsTooLargeComesWithoutDataAndSaysWhy) {
  const auto model = create(kSimpleNet);
  const auto hooks = model->hooks_handle();
  add(model, {.target = "fc1", .observe = {.stats = true, .tensor = true, .max_tensor_bytes = 1 << 20}});
  const auto large = hooks->watch({});
  const auto none = hooks->watch({.max_event_bytes = 100});
  step(model);
  const auto whole = large->pop();
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->event->tensors[0].tensor.nbytes(), 160u);
  EXPECT_EQ(whole->event->tensors[0].omitted, DataOmitted::kNo);
  const int64_t bytes = wire_bound(whole->event->hook_id, "fc1", whole->event->tensors);
  const auto tight = hooks->watch({.max_event_bytes = bytes});
  step(model);
  const auto bare = tight->pop();
  ASSERT_TRUE(bare);
  EXPECT_FALSE(bare->event->tensors[0].tensor.defined());
  EXPECT_EQ(bare->event->tensors[0].omitted, DataOmitted::kEventTooLarge);
  EXPECT_TRUE(bare->event->tensors[0].stats);
  EXPECT_EQ(bare->drops.total(), 0) << "the event came";
  EXPECT_TRUE(large->pop()->event->tensors[0].tensor.defined());
  EXPECT_FALSE(none->pop());
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_hook_dropped_total{model=\"net\",reason=\"too_large\"} 3"));
}

TEST_F(ModelHooksTest, ATensorAboveItsHooksLimitSaysSo) {
  const auto model = create(kSimpleNet);
  add(model, {.target = "fc1", .observe = {.tensor = true, .max_tensor_bytes = 100}});
  const auto watcher = model->hooks_handle()->watch({});
  step(model);
  const auto next = watcher->pop();
  EXPECT_EQ(next->event->tensors[0].omitted, DataOmitted::kAboveMaxTensorBytes);
  EXPECT_EQ(next->event->tensors[1].omitted, DataOmitted::kNo);
  EXPECT_EQ(next->event->tensors[1].tensor.nbytes(), 80u);
}

TEST_F(TightHooksTest, WithoutMemoryForAnEventTheCallGoesOn) {
  const auto model = create(kSimpleNet);
  const auto hooks = model->hooks_handle();
  in_turn(model, [&](ModelState& m) { return hooks->add(m.hook_targets(), {.target = "fc1"}).id; }).value();
  const auto watcher = hooks->watch({});
  step(model);
  const auto held = watcher->pop();
  ASSERT_TRUE(held);
  const auto room = memory().reserve(2000 - memory().used());
  ASSERT_TRUE(room);
  step(model);
  EXPECT_FALSE(watcher->pop());
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_hook_dropped_total{model=\"net\",reason=\"memory\"} 1"));
  registry_.remove("net");
}

// Gives as many bytes as it was allowed when a hook's copy asks for more.
TEST_F(ModelHooksTest, ARefusalOfTheAllocatorDropsTheEventOnly) {
  const auto module = std::make_shared<Identity>();
  const std::vector<NamedModule> modules{{"", module}};
  const std::vector<NamedTensor> parameters;
  const auto resources = std::make_shared<HookResources>(HookLimits{});
  const auto series = metrics_.add_model("direct");
  const auto hooks = std::make_shared<ModelHooks>(resources, series, [] { return int64_t{0}; });
  hooks->add({modules, parameters}, {.observe = {.tensor = true, .max_tensor_bytes = 1 << 20}});
  const auto watcher = hooks->watch({});
  const Tensor strided = transpose(ramp({16, 64}), 0, 1);  // must be copied to be sent
  const int64_t limit = tensor_allocator().limit();
  tensor_allocator().set_limit(tensor_allocator().stats().live, "test");
  const Value out = (*module)(Args{{strided}});
  tensor_allocator().set_limit(limit, "--tensor_memory_limit");
  EXPECT_EQ(out.tensor().sizes(), strided.sizes());
  EXPECT_FALSE(watcher->pop());
  EXPECT_EQ(resources->memory.used(), 0);
  (*module)(Args{{strided}});
  const auto next = watcher->pop();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->drops.memory, 1);
  EXPECT_EQ(next->sequence, 2);
}

TEST_F(ModelHooksTest, TheModulesThatHooksSitOnAreCountedTogether) {
  std::vector<NamedModule> modules;
  for (int i = 0; i < 40'000; ++i) modules.push_back({str_cat("m", i), std::make_shared<Identity>()});
  const std::vector<NamedTensor> parameters;
  const auto resources = std::make_shared<HookResources>(HookLimits{});
  const auto hooks = std::make_shared<ModelHooks>(resources, metrics_.add_model("wide"), [] { return int64_t{0}; });
  const HookTargets targets{modules, parameters};
  const std::string first = hooks->add(targets, {.target = "*"}).id;
  hooks->add(targets, {.target = "*"});
  EXPECT_THROW(hooks->add(targets, {.target = "*"}), Error);
  EXPECT_EQ(hooks->size(), 2);
  hooks->remove(first);
  hooks->add(targets, {.target = "*"});
}

}  // namespace
}  // namespace tapewire
