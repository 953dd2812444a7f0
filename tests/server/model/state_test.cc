// The state dict of a live model, read and loaded.

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/tensor/allocator.h"
#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Linear(2, 2) and BatchNorm1d(2).
const char* const kNormed = R"pb(
  modules { path: "" type: "Sequential" }
  modules {
    path: "fc"
    type: "Linear"
    attributes {
      key: "in_features"
      value { int_value: 2 }
    }
    attributes {
      key: "out_features"
      value { int_value: 2 }
    }
  }
  modules {
    path: "bn"
    type: "BatchNorm1d"
    attributes {
      key: "num_features"
      value { int_value: 2 }
    }
  }
)pb";

class StateTest : public ModelTest {
 protected:
  static std::vector<std::string> keys(const StateDict& state) {
    std::vector<std::string> out;
    for (const NamedTensor& t : state) out.push_back(t.name);
    return out;
  }
  static std::vector<double> values(const StateDict& state) {
    std::vector<double> out;
    for (const NamedTensor& t : state) std::ranges::copy(t.tensor.to_vector<double>(), std::back_inserter(out));
    return out;
  }
  // A state of that form whose numbers are all `value`.
  static StateDict filled(const StateDict& like, double value) {
    StateDict out;
    for (const NamedTensor& t : like) out.push_back({t.name, Tensor::full(t.tensor.sizes(), value, t.tensor.dtype())});
    return out;
  }

  StateDict read(const std::vector<std::string>& globs = {}) {
    return in_turn(model_, [&](ModelState& m) { return m.read_state(globs); }).value();
  }
  absl::StatusOr<LoadStateResult> load(StateDict state, bool allow_partial = false, int64_t max_answer_bytes = 0) {
    const LoadStateArgs args{
        .state = std::move(state), .allow_partial = allow_partial, .max_answer_bytes = max_answer_bytes};
    return in_turn(model_, [&](ModelState& m) { return m.load_state(args); });
  }

  const std::shared_ptr<LiveModel> model_ = create(kNormed);
};

TEST_F(StateTest, ComesInTheOrderOfTheStateDict) {
  EXPECT_THAT(keys(read()), ElementsAre("fc.weight", "fc.bias", "bn.weight", "bn.bias", "bn.running_mean",
                                        "bn.running_var", "bn.num_batches_tracked"));
}

TEST_F(StateTest, GlobsChooseKeys) {
  EXPECT_THAT(keys(read({"*.bias", "bn.running_*", "fc.bias"})),
              ElementsAre("fc.bias", "bn.bias", "bn.running_mean", "bn.running_var"));
}

TEST_F(StateTest, AGlobThatMatchesNothingIsRefused) {
  const auto fault = [this](const std::string& glob) {
    const auto result = in_turn(model_, [&](ModelState& m) { return m.read_state({"fc.*", glob}); });
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(result.status().message());
  };
  EXPECT_EQ(fault("cf.*"), "keys: 'cf.*' matches no key");
  EXPECT_EQ(fault("fc.wieght"), "keys: no key 'fc.wieght'; did you mean 'fc.weight'?");
}

TEST_F(StateTest, WhatWasReadStaysAsItWas) {
  const StateDict before = read();
  const std::vector<double> numbers = values(before);
  ASSERT_TRUE(load(filled(before, 3)).ok());
  EXPECT_EQ(values(before), numbers);
  EXPECT_THAT(values(read()), Each(3));
}

TEST_F(StateTest, LoadingRaisesTheParameterVersion) {
  const auto result = load(filled(read(), 2));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->parameter_version, 1);
  EXPECT_EQ(model_->info().parameter_version, 1);
  EXPECT_THAT(result->keys.missing_keys, IsEmpty());
}

TEST_F(StateTest, ReadersOfSnapshotsSeeWhatWasLoaded) {
  const auto see = [this] {
    return ModelTest::read(model_, snapshot_of(model_), {.inputs = {{"", Tensor::full({1, 2}, 1)}}, .training = false})
        .value();
  };
  EXPECT_EQ(see().parameter_version, 0);
  ASSERT_TRUE(load(filled(read(), 0)).ok());
  const ForwardResult after = see();
  EXPECT_EQ(after.parameter_version, 1);
  EXPECT_THAT(after.outputs[0].tensor.to_vector<float>(), Each(0));
}

TEST_F(StateTest, AllFaultsStandInOneMessageAndNothingIsLoaded) {
  StateDict state = filled(read(), 5);
  const std::vector<double> before = values(read());
  state.erase(state.begin() + 1);  // fc.bias
  state.push_back({"extra", Tensor::scalar(1.0)});
  state[0].tensor = Tensor::zeros({3, 2});
  const auto result = load(state);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status().message()),
              AllOf(HasSubstr("Error(s) in loading state_dict for Sequential"),
                    HasSubstr("Missing key(s) in state_dict: \"fc.bias\""),
                    HasSubstr("Unexpected key(s) in state_dict: \"extra\""),
                    HasSubstr("size mismatch for fc.weight: copying a param with shape")));
  EXPECT_EQ(values(read()), before);
  EXPECT_EQ(model_->info().parameter_version, 0);
}

TEST_F(StateTest, APartialLoadTellsWhatDidNotFit) {
  const auto result = load({{"extra", Tensor::scalar(1.0)}, {"fc.bias", Tensor::full({2}, 7)}}, true);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->keys.unexpected_keys, ElementsAre("extra"));
  EXPECT_EQ(result->keys.missing_keys.size(), 6u);
  EXPECT_EQ(result->parameter_version, 1);
  EXPECT_THAT(values(read({"fc.bias"})), ElementsAre(7, 7));
}

TEST_F(StateTest, ShapesMustFitInAPartialLoadToo) {
  const std::vector<double> before = values(read());
  const auto result = load({{"bn.bias", Tensor::zeros({2})}, {"fc.bias", Tensor::zeros({3})}}, true);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("size mismatch for fc.bias"));
  EXPECT_EQ(values(read()), before);
}

TEST_F(StateTest, APartialLoadOfNothingChangesNothing) {
  const auto result = load({{"extra", Tensor::scalar(1.0)}}, true);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->parameter_version, 0);
}

TEST_F(StateTest, NumbersBecomeTheModelsType) {
  StateDict state = filled(read(), 1);
  state[0].tensor = Tensor::of<double>({0.1, 0.2, 0.3, 1e300}, {2, 2});
  state[1].tensor = Tensor::of<int64_t>({-4, 9});
  state[6].tensor = Tensor::scalar(12.75);
  ASSERT_TRUE(load(state).ok());
  const StateDict after = read();
  EXPECT_EQ(after[0].tensor.dtype(), DType::kFloat32);
  EXPECT_THAT(after[0].tensor.to_vector<float>(),
              ElementsAre(0.1f, 0.2f, 0.3f, std::numeric_limits<float>::infinity()));
  EXPECT_THAT(after[1].tensor.to_vector<float>(), ElementsAre(-4, 9));
  EXPECT_EQ(after[6].tensor.dtype(), DType::kInt64);
  EXPECT_EQ(after[6].tensor.item<int64_t>(), 12);
}

TEST_F(StateTest, ALackOfMemoryLeavesTheModelAsItWas) {
  const StateDict shared = read();  // so that the load needs bytes of its own
  const std::vector<double> before = values(shared);
  const StateDict state = filled(shared, 9);
  const auto versions = [this] {
    return in_turn(model_,
                   [](ModelState& m) {
                     std::vector<uint32_t> out;
                     for (const NamedTensor& t : m.root().state_dict()) out.push_back(t.tensor.version());
                     return out;
                   })
        .value();
  };
  const std::vector<uint32_t> versions_before = versions();
  const int64_t limit = tensor_allocator().limit();
  // Room for some of the seven tensors.
  tensor_allocator().set_limit(tensor_allocator().stats().live + 500, "test");
  const auto result = load(state);
  tensor_allocator().set_limit(limit, "test");
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted) << result.status();
  EXPECT_EQ(values(read()), before);
  EXPECT_EQ(versions(), versions_before);
  EXPECT_EQ(model_->info().parameter_version, 0);
}

TEST_F(StateTest, AnAnswerThatCouldNotBeSentIsRefusedBeforeAnythingIsLoaded) {
  const std::vector<double> before = values(read());
  const auto result = load({{std::string(1000, 'x'), Tensor::scalar(1.0)}, {"fc.bias", Tensor::zeros({2})}}, true, 800);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("--max_message_bytes=800 is the most"));
  EXPECT_EQ(values(read()), before);
}

}  // namespace
}  // namespace tapewire
