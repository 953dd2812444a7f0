#include "server/model/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::LossSpec loss_spec(const std::string& text) {
  v1::LossSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

BuiltLoss built(const std::string& text) { return build_loss(loss_spec(text), {}, "loss"); }

Tensor number(float value) { return Tensor::of<float>({value}); }

double value_of(const std::string& loss, const std::vector<NamedTensor>& outputs,
                const std::vector<NamedTensor>& targets) {
  return compute_loss(built(loss), outputs, targets).item<double>();
}

std::string error_of(const std::string& loss, const std::vector<NamedTensor>& outputs,
                     const std::vector<NamedTensor>& targets) {
  try {
    compute_loss(built(loss), outputs, targets);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument) << error.message();
    return error.message();
  }
  return "no error";
}

constexpr auto kMse = "type: 'MSELoss'";
constexpr auto kGaussian = "type: 'GaussianNLLLoss'";
constexpr auto kTriplet = "type: 'TripletMarginLoss' attributes { key: 'eps' value { double_value: 0 } }";
constexpr auto kRanking = "type: 'MarginRankingLoss'";

TEST(LossTest, ALoneTargetMeetsTheFirstOutputOrTheOneNamed) {
  const std::vector<NamedTensor> outputs{{"a", number(1)}, {"b", number(2)}};
  EXPECT_EQ(value_of(kMse, outputs, {{"", number(4)}}), 9);
  EXPECT_EQ(value_of(kMse, outputs, {{"whatever", number(4)}}), 9);
  EXPECT_EQ(value_of("type: 'MSELoss' output: 'b'", outputs, {{"", number(4)}}), 4);
}

TEST(LossTest, TargetsAreNamedAfterTheLosssArguments) {
  const std::vector<NamedTensor> outputs{{"mean", number(1)}};
  EXPECT_EQ(value_of(kGaussian, outputs, {{"var", number(1)}, {"target", number(3)}}), 2);
  EXPECT_EQ(value_of(kRanking, {{"x", number(1)}}, {{"input1", number(3)}, {"target", number(1)}}), 0)
      << "the output is input2";
}

TEST(LossTest, WhatNoTargetFillsTakesTheOutputsInOrder) {
  EXPECT_EQ(value_of(kGaussian, {{"mean", number(1)}, {"spread", number(1)}}, {{"", number(3)}}), 2);
  EXPECT_EQ(value_of(kTriplet, {{"a", number(0)}, {"p", number(5)}, {"n", number(2)}}, {}), 4);
}

TEST(LossTest, OutputsNamedAfterAllArgumentsGoByName) {
  EXPECT_EQ(
      value_of(kTriplet,
               {{"negative", number(2)}, {"other", number(9)}, {"positive", number(5)}, {"anchor", number(0)}}, {}),
      4);
  EXPECT_EQ(value_of(kRanking, {{"input2", number(1)}, {"input1", number(3)}}, {{"", number(-1)}}), 2);
}

TEST(LossTest, TellsWhatDoesNotFit) {
  const std::vector<NamedTensor> one{{"output", number(1)}};
  const std::vector<NamedTensor> two{{"a", number(1)}, {"b", number(2)}};
  EXPECT_EQ(error_of(kMse, one, {}), "targets: the loss MSELoss needs its 'target'");
  EXPECT_EQ(error_of(kMse, {}, {{"", number(1)}}), "the model put out no tensor for the loss");
  EXPECT_EQ(error_of(kGaussian, one, {{"target", number(1)}, {"vra", number(1)}}),
            "targets[1]: the loss GaussianNLLLoss takes targets named after its arguments (input, target, var), each "
            "once, got 'vra'; did you mean 'var'?");
  EXPECT_THAT(error_of(kGaussian, one, {{"var", number(1)}, {"var", number(1)}}), HasSubstr("each once, got 'var'"));
  EXPECT_THAT(error_of(kTriplet, two, {{"", number(1)}}), HasSubstr("(anchor, positive, negative), each once, got ''"));
  EXPECT_EQ(error_of(kTriplet, two, {}),
            "the loss TripletMarginLoss takes 3 of the model's outputs (anchor, positive, negative), but there are 2");
  EXPECT_EQ(error_of("type: 'GaussianNLLLoss' output: 'a'", two, {{"", number(1)}}),
            "loss.output: names one output, but the loss GaussianNLLLoss takes several (input, var)");
  EXPECT_EQ(error_of("type: 'MSELoss' output: 'aa'", two, {{"", number(1)}}),
            "loss.output: the model has no output 'aa'; did you mean 'a'?");
  EXPECT_EQ(error_of(kMse, one, {{"input", number(1)}, {"target", number(1)}}),
            "targets: leave the loss MSELoss no argument for the model's outputs");
  EXPECT_THAT(error_of(kGaussian, one, {{"target", number(1)}, {"var", number(-1)}}),
              HasSubstr("loss: gaussian_nll_loss: var has negative entry/entries"));
}

TEST(LossTest, WhatWouldBroadcastIsRefused) {
  const Tensor column = Tensor::zeros({4, 1});
  const Tensor row = Tensor::zeros({4});
  EXPECT_EQ(error_of(kMse, {{"y", column}}, {{"", row}}),
            "loss: MSELoss: input [4, 1] and target [4] differ in shape and would broadcast to [4, 4]; reshape one to "
            "the shape of the other");
  EXPECT_THAT(error_of(kTriplet, {{"a", column}, {"p", column}, {"n", Tensor::zeros({1, 1})}}, {}),
              HasSubstr("anchor [4, 1] and negative [1, 1] differ in shape"));
  EXPECT_EQ(value_of(kGaussian, {{"mean", Tensor::zeros({4, 2})}},
                     {{"target", Tensor::zeros({4, 2})}, {"var", Tensor::full({4, 1}, 1.0)}}),
            0)
      << "a variance may be smaller";
}

TEST(LossTest, WeightsAreTensorsOrLists) {
  const std::vector<NamedTensor> outputs{{"", Tensor::of<float>({1, 2, 4, 8}, {2, 2})}};
  const std::vector<NamedTensor> targets{{"", Tensor::of<int64_t>({0, 1})}};
  v1::LossSpec spec = loss_spec("type: 'NLLLoss'");
  v1::Literal& weight = (*spec.mutable_attributes())["weight"];
  weight.mutable_doubles()->add_values(1);
  weight.mutable_doubles()->add_values(3);
  EXPECT_EQ(compute_loss(build_loss(spec, {}, "loss"), outputs, targets).item<double>(), -(1 + 24) / 4.0);
  weight.mutable_tensor()->set_dtype(v1::DATA_TYPE_FLOAT32);
  weight.mutable_tensor()->add_shape(2);
  weight.mutable_tensor()->set_data(std::string("\0\0\x80\x3f\0\0\0\0", 8));  // 1, 0
  EXPECT_EQ(compute_loss(build_loss(spec, {}, "loss"), outputs, targets).item<double>(), -1);
  weight.set_string_value("heavy");
  EXPECT_THROW(build_loss(spec, {}, "loss"), Error);
}

// A number x gives 0 (the anchor), w and 2 (the positive and the negative), w being learned.
constexpr auto kTripletNet = R"pb(
  modules {
    path: ""
    type: "Graph"
    parameters {
      name: "w"
      shape: [ 1, 1 ]
      init { type: "ones" }
    }
    forward {
      inputs { name: "x" }
      calls {
        op: "mul"
        args { ref: "x" }
        args { ref: "w" }
        results: "near"
      }
      calls {
        op: "mul"
        args { ref: "x" }
        args { literal { double_value: 2 } }
        results: "far"
      }
      calls {
        op: "mul"
        args { ref: "x" }
        args { literal { double_value: 0 } }
        results: "none"
      }
      outputs: [ "none", "near", "far" ]
    }
  }
  loss {
    type: "TripletMarginLoss"
    attributes {
      key: "margin"
      value { double_value: 4 }
    }
  }
  optimizer {
    type: "SGD"
    attributes {
      key: "lr"
      value { double_value: 0.25 }
    }
  }
)pb";

class LossModelTest : public ModelTest {};

TEST_F(LossModelTest, TrainsByALossOfThreeOutputsWithoutTargets) {
  const auto model = create(kTripletNet);
  in_turn(model, [](ModelState& m) {
    const Tensor x = Tensor::of<float>({1}, {1, 1});
    const StepResult step = m.train_step({.inputs = {{"x", x}}});
    EXPECT_NEAR(*step.loss, 4 + 1 - 2, 1e-5);
    EXPECT_THAT(m.require_parameter("w", "").to_vector<float>(), ElementsAre(testing::FloatNear(0.75F, 1e-5F)));
    return 0;
  }).value();
}

TEST_F(LossModelTest, EvaluatesByALossWithoutTargetsUnlessMetricsWantOne) {
  const auto model = create(kTripletNet);
  const EvaluateBatch batch{.inputs = {{"x", Tensor::of<float>({1, 1}, {2, 1})}}, .targets = {}};
  EXPECT_NEAR(evaluate(model, {}, {batch}).value().loss().value(), 3, 1e-5);
  EXPECT_EQ(evaluate(model, {"mse"}, {batch}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tapewire
