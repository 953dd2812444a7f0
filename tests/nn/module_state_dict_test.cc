#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/reduce.h"
#include "core/nn/container.h"
#include "core/nn/linear.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/autograd/removes_itself.h"
#include "tests/nn/module_support.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(StateDictTest, KeepsDuplicatesAndLeavesTransientBuffersOut) {
  const auto shared = std::make_shared<Linear>(2, 2, false);
  const auto root = std::make_shared<Sequential>(Modules{shared, shared});
  root->register_buffer("kept", Tensor::zeros({1}));
  root->register_buffer("transient", Tensor::zeros({1}), false);
  const StateDict state = root->state_dict();
  EXPECT_THAT(names(state), ElementsAre("kept", "0.weight", "1.weight"));
  EXPECT_EQ(state[1].tensor.raw_data(), shared->weight().raw_data());
  EXPECT_FALSE(state[1].tensor.requires_grad());
}

TEST(StateDictTest, LoadCopiesIntoTheSameParameters) {
  const auto from = std::make_shared<Linear>(2, 3);
  const auto into = std::make_shared<Linear>(2, 3);
  into->to(DType::kFloat64);
  const Tensor weight = into->weight();
  const LoadResult result = into->load_state_dict(from->state_dict());
  EXPECT_THAT(result.missing_keys, IsEmpty());
  EXPECT_THAT(result.unexpected_keys, IsEmpty());
  EXPECT_EQ(weight.to_vector<float>(), from->weight().to_vector<float>());
  EXPECT_EQ(weight.dtype(), DType::kFloat64);
  EXPECT_EQ(weight.version(), 1u);
  EXPECT_TRUE(into->named_parameters()[0].tensor.is_same(weight));
}

TEST(StateDictTest, ACancelledLoadCopiesAllOrNothing) {
  const auto net = std::make_shared<Sequential>(Modules{});
  for (int i = 0; i < 12; ++i) net->register_buffer("b" + std::to_string(i), Tensor::full({300'000}, 1.0));
  StateDict state;
  for (const NamedTensor& t : net->state_dict()) state.push_back({t.name, Tensor::full({300'000}, 2.0)});
  // Another thread cancels, at once or ever later, until it came too late a few times.
  int late = 0;
  for (int64_t turns = 0; late < 5 && turns < 1'000'000'000; turns += 1000 + turns / 8) {
    for (const NamedTensor& t : net->state_dict()) kernels::fill(t.tensor, 1.0);
    CancelToken token;
    std::atomic<bool> started{false};
    std::thread other([&] {
      started = true;
      for (std::atomic<int64_t> i = 0; i < turns;) i.fetch_add(1, std::memory_order_relaxed);
      token.cancel();
    });
    while (!started) std::this_thread::yield();
    double expected = 2;
    {
      const CancelScope scope(&token);
      try {
        net->load_state_dict(state);
        if (!token.cancelled()) ++late;
      } catch (const Error&) {
        expected = 1;
      }
    }
    other.join();
    for (const NamedTensor& t : net->state_dict()) {
      EXPECT_EQ(kernels::sum_of_squares(t.tensor), 300'000 * expected * expected);
    }
    if (HasFailure()) return;
  }
}

TEST(StateDictTest, LoadCollectsEveryFaultInOneMessage) {
  const auto net =
      std::make_shared<Sequential>(Modules{std::make_shared<Linear>(2, 3), std::make_shared<Linear>(3, 1)});
  const std::vector<float> before = net->named_parameters()[0].tensor.to_vector<float>();
  const StateDict state{{"0.weight", Tensor::zeros({3, 2})},
                        {"0.bias", Tensor::zeros({4})},
                        {"2.bias", Tensor::zeros({1})},
                        {"1.weight", Tensor::zeros({1, 3})}};
  EXPECT_EQ(error_of([&] { net->load_state_dict(state); }),
            "Error(s) in loading state_dict for Sequential:"
            "\n\tMissing key(s) in state_dict: \"1.bias\". "
            "\n\tUnexpected key(s) in state_dict: \"2.bias\". "
            "\n\tsize mismatch for 0.bias: copying a param with shape torch.Size([4]) from checkpoint, the shape in "
            "current model is torch.Size([3]).");
  EXPECT_EQ(error_of([&] { net->load_state_dict(state, false); }),
            "Error(s) in loading state_dict for Sequential:"
            "\n\tsize mismatch for 0.bias: copying a param with shape torch.Size([4]) from checkpoint, the shape in "
            "current model is torch.Size([3]).");
  EXPECT_EQ(net->named_parameters()[0].tensor.to_vector<float>(), before);
}

TEST(StateDictTest, LoadWithoutStrictTellsWhatDidNotFit) {
  const auto fc = std::make_shared<Linear>(1, 1);
  const LoadResult result =
      fc->load_state_dict({{"weight", Tensor::full({1, 1}, 5.0)}, {"scale", Tensor::zeros({1})}}, false);
  EXPECT_THAT(result.missing_keys, ElementsAre("bias"));
  EXPECT_THAT(result.unexpected_keys, ElementsAre("scale"));
  EXPECT_EQ(fc->weight().item<float>(), 5);
}

TEST(StateDictTest, LoadListsUnexpectedKeysByModuleInTheOrderInWhichTheyCame) {
  const auto net = std::make_shared<Sequential>(Modules{std::make_shared<Linear>(1, 1, false)});
  const Tensor x = Tensor::zeros({1, 1});
  const StateDict state{{"0.scale", x}, {"z.a", x}, {"0.weight.deep", x}, {"0.weight", x}, {"b", x}, {"0", x}};
  EXPECT_THAT(net->load_state_dict(state, false).unexpected_keys,
              ElementsAre("z.a", "b", "0", "0.scale", "0.weight.deep"));
}

TEST(StateDictTest, TakesAPrefixAndMayKeepVariables) {
  const auto fc = std::make_shared<Linear>(1, 1);
  EXPECT_THAT(names(fc->state_dict("model.")), ElementsAre("model.weight", "model.bias"));
  EXPECT_TRUE(fc->state_dict("", true)[0].tensor.is_same(fc->weight()));
  EXPECT_FALSE(fc->state_dict()[0].tensor.is_same(fc->weight()));
}

TEST(StateDictTest, LoadRefusesKeysThatComeTwiceAndTensorsThatAreNone) {
  const auto fc = std::make_shared<Linear>(1, 1, false);
  EXPECT_EQ(error_of([&] { fc->load_state_dict({{"weight", Tensor::zeros({1, 1})}, {"weight", Tensor()}}, false); }),
            "Error(s) in loading state_dict for Linear:\n\tKey \"weight\" is in state_dict twice.");
  EXPECT_EQ(error_of([&] { fc->load_state_dict({{"weight", Tensor()}}); }),
            "Error(s) in loading state_dict for Linear:\n\tWhile copying the parameter named \"weight\", expected "
            "torch.Tensor or Tensor-like object from checkpoint but received None");
}

TEST(StateDictTest, LoadTakesOneElementForAScalar) {
  const auto box = std::make_shared<Box>();
  const Tensor scale = box->register_parameter("scale", Tensor::zeros({}));
  box->load_state_dict({{"scale", Tensor::of<float>({3})}});
  EXPECT_EQ(scale.item<float>(), 3);
  EXPECT_THAT(error_of([&] { box->load_state_dict({{"scale", Tensor::zeros({2})}}); }),
              HasSubstr("size mismatch for scale: copying a param with shape torch.Size([2]) from checkpoint, the "
                        "shape in current model is torch.Size([])."));
}

TEST(StateDictTest, HooksRunBeforeAndAfterAModulesState) {
  const auto inner = std::make_shared<Linear>(1, 1);
  const auto net = std::make_shared<Sequential>(Modules{inner});
  std::vector<std::string> events;
  for (const NamedModule& m : net->named_modules()) {
    m.module->register_state_dict_pre_hook([&](Module& module, const std::string& prefix, bool keep_vars) {
      events.push_back(str_cat("before ", module.type(), " '", prefix, "' ", keep_vars));
    });
    m.module->register_state_dict_post_hook([&](Module& module, StateDict& state, const std::string& prefix) {
      events.push_back(str_cat("after ", module.type(), " '", prefix, "' ", state.size()));
    });
  }
  HookHandle drop =
      inner->register_state_dict_post_hook([](Module&, StateDict& state, const std::string&) { state.pop_back(); });
  EXPECT_THAT(names(net->state_dict()), ElementsAre("0.weight"));
  EXPECT_THAT(events, ElementsAre("before Sequential '' 0", "before Linear '0.' 0", "after Linear '0.' 2",
                                  "after Sequential '' 1"));
  drop.remove();
  EXPECT_THAT(names(net->state_dict()), ElementsAre("0.weight", "0.bias"));
}

TEST(StateDictTest, APreHookMayRenameKeysOfItsOwnPart) {
  const auto inner = std::make_shared<Linear>(1, 1, false);
  const auto net = std::make_shared<Sequential>(Modules{inner});
  HookHandle handle = inner->register_load_state_dict_pre_hook([](Module&, LoadStateDict& load) {
    EXPECT_EQ(load.prefix, "0.");
    EXPECT_THAT(names(load.state), ElementsAre("0.w"));
    for (NamedTensor& item : load.state) item.name = "0.weight";
  });
  const StateDict old{{"other", Tensor::zeros({1})}, {"0.w", Tensor::full({1, 1}, 4.0)}};
  const LoadResult result = net->load_state_dict(old, false);
  EXPECT_EQ(inner->weight().item<float>(), 4);
  EXPECT_THAT(result.missing_keys, IsEmpty());
  EXPECT_THAT(result.unexpected_keys, ElementsAre("other"));
  handle.remove();
  EXPECT_THAT(net->load_state_dict(old, false).unexpected_keys, ElementsAre("other", "0.w"));
}

TEST(StateDictTest, APreHookMayAddFaults) {
  const auto fc = std::make_shared<Linear>(1, 1, false);
  fc->register_load_state_dict_pre_hook(
      [](Module&, LoadStateDict& load) { load.error_msgs.emplace_back("this format is too old"); });
  EXPECT_EQ(error_of([&] { fc->load_state_dict({}); }),
            "Error(s) in loading state_dict for Linear:\n\tMissing key(s) in state_dict: \"weight\". "
            "\n\tthis format is too old");
}

TEST(StateDictTest, APostHookSeesTheNewValuesAndMayPardonKeys) {
  const auto inner = std::make_shared<Linear>(1, 1);
  const auto net = std::make_shared<Sequential>(Modules{inner});
  std::vector<std::string> events;
  net->register_load_state_dict_post_hook([&](Module&, LoadResult& keys) {
    events.emplace_back("outer");
    EXPECT_THAT(keys.missing_keys, ElementsAre("0.bias"));
    keys.missing_keys.clear();
  });
  inner->register_load_state_dict_post_hook(
      [&](Module&, LoadResult&) { events.push_back(str_cat("inner ", inner->weight().item<float>())); });
  const LoadResult result = net->load_state_dict({{"0.weight", Tensor::full({1, 1}, 6.0)}});
  EXPECT_THAT(result.missing_keys, IsEmpty());
  EXPECT_THAT(events, ElementsAre("inner 6", "outer"));
}

TEST(StateDictTest, AFailedLoadChangesNothingWithPostHooksEither) {
  const auto fc = std::make_shared<Linear>(1, 1);
  const float before = fc->weight().item<float>();
  bool throws = false;
  fc->register_load_state_dict_post_hook([&](Module&, LoadResult&) {
    EXPECT_EQ(fc->weight().item<float>(), 6);
    if (throws) fail("post hook failed");
  });
  const StateDict part{{"weight", Tensor::full({1, 1}, 6.0)}};
  EXPECT_THAT(error_of([&] { fc->load_state_dict(part); }), HasSubstr("Missing key(s) in state_dict: \"bias\". "));
  EXPECT_EQ(fc->weight().item<float>(), before);
  throws = true;
  EXPECT_EQ(error_of([&] { fc->load_state_dict(part, false); }), "post hook failed");
  EXPECT_EQ(fc->weight().item<float>(), before);
  throws = false;
  fc->load_state_dict(part, false);
  EXPECT_EQ(fc->weight().item<float>(), 6);
}

// What was recorded while the new values were there must not pass for one of the old.
TEST(StateDictTest, ValuesThatComeBackHaveAnotherVersion) {
  const auto fc = std::make_shared<Linear>(1, 1);
  uint32_t seen = 0;
  fc->register_load_state_dict_post_hook([&](Module&, LoadResult&) {
    seen = fc->weight().version();
    fail("post hook failed");
  });
  const StateDict state{{"weight", Tensor::full({1, 1}, 6.0)}, {"bias", Tensor::zeros({1})}};
  EXPECT_EQ(error_of([&] { fc->load_state_dict(state); }), "post hook failed");
  EXPECT_NE(fc->weight().version(), seen);
}

TEST(StateDictHooksTest, OneThatRemovesItselfStaysWholeWhileItRuns) {
  const auto fc = std::make_shared<Linear>(2, 2);
  RemovesItself pre, post, load_pre, load_post;
  pre.add([&](auto fire) {
    return fc->register_state_dict_pre_hook([fire](Module&, const std::string&, bool) { fire(); });
  });
  post.add([&](auto fire) {
    return fc->register_state_dict_post_hook([fire](Module&, StateDict&, const std::string&) { fire(); });
  });
  load_pre.add(
      [&](auto fire) { return fc->register_load_state_dict_pre_hook([fire](Module&, LoadStateDict&) { fire(); }); });
  load_post.add(
      [&](auto fire) { return fc->register_load_state_dict_post_hook([fire](Module&, LoadResult&) { fire(); }); });
  fc->load_state_dict(fc->state_dict());
  for (const RemovesItself* hook : {&pre, &post, &load_pre, &load_post}) {
    EXPECT_TRUE(hook->fired());
    EXPECT_TRUE(hook->stayed_whole());
  }
}

}  // namespace
}  // namespace tapewire
