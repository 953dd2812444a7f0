#include "server/model/live_model.h"

#include <chrono>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/meta.h"
#include "core/base/random.h"
#include "core/tensor/allocator.h"
#include "tests/server/model/model_fixture.h"
#include "tests/wait.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::vector<float> weights(ModelState& model) {
  std::vector<float> out;
  for (const NamedTensor& p : model.root().named_parameters()) {
    for (const float v : p.tensor.to_vector<float>()) out.push_back(v);
  }
  return out;
}

class LiveModelTest : public ModelTest {};

TEST_F(LiveModelTest, BackwardFromALossGivesTheClosedForm) {
  const auto model = create(kSimpleNet);
  in_turn(model, [](ModelState& m) {
    ForwardArgs forward{.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true};
    const ForwardResult out = m.forward(forward);
    EXPECT_EQ(out.outputs[0].name, "output");
    BackwardArgs backward{.tape = out.tape, .targets = {{"", ramp({4, 1})}}};
    const BackwardResult result = m.backward(backward);

    // d loss / d W2 = 2/N (y - t)^T a, with a = relu(x W1^T + b1).
    const auto y = out.outputs[0].tensor.to_vector<float>();
    const auto t = ramp({4, 1}).to_vector<float>();
    const auto x = ramp({4, 10}).to_vector<float>();
    const auto w1 = m.require_parameter("fc1.weight", "").to_vector<float>();
    const auto b1 = m.require_parameter("fc1.bias", "").to_vector<float>();
    const auto grad = gradient(m.require_parameter("fc2.weight", "")).to_vector<float>();
    for (size_t j = 0; j < 5; ++j) {
      double expected = 0;
      for (size_t n = 0; n < 4; ++n) {
        double h = b1[j];
        for (size_t k = 0; k < 10; ++k) h += x[n * 10 + k] * w1[j * 10 + k];
        expected += 2.0 / 4.0 * (y[n] - t[n]) * std::max(h, 0.0);
      }
      EXPECT_NEAR(grad[j], expected, 1e-6);
    }
    EXPECT_THAT(result.gradient_norms, SizeIs(4));
    return 0;
  }).value();
}

TEST_F(LiveModelTest, ATapeIsWalkedOnceUnlessRetained) {
  const auto model = create(kSimpleNet);
  const auto status = in_turn(model, [](ModelState& m) {
                        const auto tape = m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true}).tape;
                        m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}, .retain_tape = true});
                        m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}});
                        m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}});
                        return 0;
                      }).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Trying to backward through the graph a second time"));
}

TEST_F(LiveModelTest, AStepBetweenForwardAndBackwardIsNoticed) {
  const auto model = create(kSimpleNet);
  const auto status = in_turn(model, [](ModelState& m) {
                        const auto tape = m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true}).tape;
                        m.train_step(batch());
                        m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}});
                        return 0;
                      }).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has been modified by an inplace operation"));
}

TEST_F(LiveModelTest, CapturedActivationsAndTheirGradientsComeBack) {
  const auto model = create(kSimpleNet);
  in_turn(model, [](ModelState& m) {
    const ForwardResult out = m.forward(
        {.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true, .inputs_require_grad = {"x"}, .capture = {"fc1"}});
    EXPECT_THAT(out.captured, SizeIs(1));
    EXPECT_EQ(out.captured[0].name, "fc1");
    const BackwardResult result = m.backward(
        {.tape = out.tape, .targets = {{"", ramp({4, 1})}}, .return_input_grads = true, .capture_grads = {"fc1"}});
    EXPECT_THAT(result.input_grads[0].tensor.sizes(), ElementsAre(4, 10));
    EXPECT_THAT(result.captured_grads[0].tensor.sizes(), ElementsAre(4, 5));
    return 0;
  }).value();
}

TEST_F(LiveModelTest, TrainingLowersTheLossAndCounts) {
  const auto model = create(kSimpleNet);
  in_turn(model, [](ModelState& m) {
    const double first = *m.train_step(batch()).loss;
    StepResult last;
    for (int i = 0; i < 30; ++i) last = m.train_step(batch());
    EXPECT_LT(*last.loss, first * 0.5);
    EXPECT_EQ(last.step, 31);
    EXPECT_EQ(last.parameter_version, 31);
    return 0;
  }).value();
  EXPECT_EQ(model->info().step, 31);
}

TEST_F(LiveModelTest, ForwardBackwardStepEqualsTrainStep) {
  const auto a = create(kSimpleNet, "a");
  const auto b = create(kSimpleNet, "b");
  const auto one = in_turn(a, [](ModelState& m) {
    m.train_step(batch());
    return weights(m);
  });
  const auto parts = in_turn(b, [](ModelState& m) {
    m.zero_grad();
    const auto tape = m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true}).tape;
    m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}});
    m.step({});
    return weights(m);
  });
  EXPECT_EQ(*one, *parts);
}

TEST_F(LiveModelTest, AccumulatedGradientsEnterTheNextStep) {
  const auto a = create(kSimpleNet, "a");
  const auto b = create(kSimpleNet, "b");
  const auto halves = in_turn(a, [](ModelState& m) {
    TrainStepArgs args = batch();
    args.loss_scale = 0.5;
    args.accumulate_only = true;
    m.train_step(args);
    args.accumulate_only = false;
    m.train_step(args);
    return weights(m);
  });
  const auto whole = in_turn(b, [](ModelState& m) {
    m.train_step(batch());
    return weights(m);
  });
  EXPECT_THAT(*halves, testing::Pointwise(testing::FloatNear(1e-6f), *whole));
}

TEST_F(LiveModelTest, ANonFiniteLossChangesNothing) {
  const auto model = create(kSimpleNet);
  const auto before = in_turn(model, [](ModelState& m) { return weights(m); });
  TrainStepArgs args = batch();
  args.targets[0].tensor = Tensor::full({4, 1}, std::numeric_limits<double>::quiet_NaN());
  const auto status = in_turn(model, [&](ModelState& m) { return m.train_step(args); }).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the loss is nan at step 0; nothing was changed"));
  EXPECT_EQ(*in_turn(model, [](ModelState& m) { return weights(m); }), *before);
  EXPECT_EQ(model->info().parameter_version, 0);
}

const char* const kNormed = R"pb(
  modules {
    path: ""
    type: "Graph"
    forward {
      inputs { name: "x" }
      calls {
        module: "bn"
        args { ref: "x" }
        results: "h"
      }
      calls {
        op: "dropout"
        args { ref: "h" }
        results: "d"
      }
      calls {
        op: "mm"
        args { ref: "d" }
        args { ref: "w" }
        results: "y"
      }
      outputs: "y"
    }
    parameters {
      name: "w"
      dtype: DATA_TYPE_FLOAT32
      shape: 3
      shape: 1
      init { type: "normal" }
    }
  }
  modules {
    path: "bn"
    type: "BatchNorm1d"
    attributes {
      key: "num_features"
      value { int_value: 3 }
    }
  }
  loss { type: "MSELoss" }
  optimizer { type: "Adam" }
)pb";

TEST_F(LiveModelTest, AFailedStepRestoresBatchStatisticsAndRandomState) {
  const auto failing = create(kNormed, "failing");
  const auto clean = create(kNormed, "clean");
  const auto buffers = [](ModelState& m) {
    std::vector<double> out;
    for (const NamedTensor& b : m.root().named_buffers()) {
      for (const double v : b.tensor.to_vector<double>()) out.push_back(v);
    }
    return out;
  };
  TrainStepArgs good{.inputs = {{"", ramp({4, 3})}}, .targets = {{"", ramp({4, 1})}}};
  TrainStepArgs bad = good;
  bad.targets[0].tensor = ramp({5, 1});  // fails after the forward
  const auto before = in_turn(failing, buffers);
  EXPECT_FALSE(in_turn(failing, [&](ModelState& m) { return m.train_step(bad); }).ok());
  EXPECT_EQ(*in_turn(failing, buffers), *before);
  const auto step = [&](ModelState& m) {
    m.train_step(good);
    return weights(m);
  };
  EXPECT_EQ(*in_turn(failing, step), *in_turn(clean, step));
}

TEST_F(LiveModelTest, ACancelledCallStopsAndChangesNothing) {
  const auto model = create(kSimpleNet);
  const auto cancel = std::make_shared<CancelSource>();
  const auto status = in_turn(
                          model,
                          [&](ModelState& m) {
                            cancel->cancel();  // in the middle of the call
                            return m.train_step(batch());
                          },
                          cancel)
                          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(model->info().step, 0);
}

TEST_F(LiveModelTest, ASnapshotReadSeesWholeSteps) {
  const auto model = create(kSimpleNet);
  const auto committed = [&] { return snapshot_of(model); };
  const auto read = [&](const std::shared_ptr<const Snapshot>& state) {
    return ModelTest::read(model, state, {.inputs = {{"x", ramp({4, 10})}}})
        .value()
        .outputs[0]
        .tensor.to_vector<float>();
  };
  const auto in_order = [&] {
    return in_turn(model,
                   [](ModelState& m) {
                     return m.forward({.inputs = {{"x", ramp({4, 10})}}}).outputs[0].tensor.to_vector<float>();
                   })
        .value();
  };
  const auto first = committed();
  const auto before = in_order();
  EXPECT_EQ(read(first), before);
  in_turn(model, [](ModelState& m) { return m.train_step(batch()).step; }).value();
  const auto second = committed();
  EXPECT_EQ(second->parameter_version, 1);
  EXPECT_EQ(read(second), in_order());
  EXPECT_EQ(read(first), before) << "an old snapshot stays what it was";
}

TEST_F(LiveModelTest, WrongInputsAreNamed) {
  const auto model = create(kSimpleNet);
  const auto error_of = [&](ForwardArgs args) {
    return std::string(in_turn(model, [&](ModelState& m) { return m.forward(args); }).status().message());
  };
  EXPECT_THAT(error_of({.inputs = {{"z", ramp({4, 10})}}}), HasSubstr("inputs[0]: the model has no input 'z'"));
  EXPECT_THAT(error_of({.inputs = {{"x", ramp({4, 9})}}}), HasSubstr("fc1: linear expects input [*, 10], got [4, 9]"));
  EXPECT_THAT(error_of({.inputs = {{"x", ramp({4, 10})}}, .capture = {"fc3"}}),
              HasSubstr("capture: no module 'fc3'; did you mean"));
  EXPECT_THAT(error_of({}), HasSubstr("'x'"));
  EXPECT_THAT(error_of({.inputs = {{"", ramp({4, 10})}, {"", ramp({4, 10})}}}),
              HasSubstr("inputs[1]: has no name, and the model takes 1 input"));
  EXPECT_THAT(error_of({.inputs = {{"", ramp({4, 10})}, {"x", ramp({4, 10})}}}),
              HasSubstr("inputs[1]: input 'x' is given twice"));
}

TEST_F(LiveModelTest, UnnamedInputsAreThoseOfTheirPositions) {
  const auto model = create(R"pb(
    modules {
      type: "Graph"
      forward {
        inputs { name: "a" }
        inputs { name: "b" }
        calls {
          op: "sub"
          args { ref: "a" }
          args { ref: "b" }
          results: "y"
        }
        outputs: "y"
      }
    })pb");
  const auto difference = [&](std::vector<NamedTensor> inputs) {
    return in_turn(model, [&](ModelState& m) { return m.forward({.inputs = inputs}); }).value().outputs[0].tensor;
  };
  const Tensor one = Tensor::full({1}, 1.0);
  const Tensor three = Tensor::full({1}, 3.0);
  EXPECT_EQ(difference({{"", three}, {"", one}}).item<float>(), 2);
  EXPECT_EQ(difference({{"", three}, {"b", one}}).item<float>(), 2);
  EXPECT_EQ(difference({{"b", three}, {"a", one}}).item<float>(), -2);
}

TEST_F(LiveModelTest, DeletingAModelEndsItsCallsAndFreesItsMemory) {
  const int64_t before = tensor_allocator().stats().live;
  auto model = create(kSimpleNet);
  in_turn(model, [](ModelState& m) {
    m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true});
    return m.train_step(batch()).step;
  }).value();
  registry_.remove("net");
  EXPECT_EQ(in_turn(model, [](ModelState& m) { return m.step_count(); }).status().code(), absl::StatusCode::kNotFound);
  model.reset();
  // The worker that answered may not have let go yet.
  wait_until([&] { return tensor_allocator().stats().live == before; });
  EXPECT_EQ(tensor_allocator().stats().live, before);
}

TEST_F(LiveModelTest, TapesAreBoundedAndExpire) {
  const auto model = create(kSimpleNet);
  const auto keep = [](ModelState& m) {
    return m.forward({.inputs = {{"x", ramp({1, 10})}}, .keep_tape = true, .lease = std::chrono::seconds(30)}).tape->id;
  };
  for (int64_t i = 0; i < model->settings().max_tapes; ++i) ASSERT_TRUE(in_turn(model, keep).ok());
  const auto status = in_turn(model, keep).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--max_tapes"));
  model->expire(TapeStore::Clock::now() + std::chrono::seconds(31));
  EXPECT_EQ(model->tapes().size(), 0);
}

TEST_F(LiveModelTest, EvaluationCountsHits) {
  const auto model = create(R"pb(modules { path: "" type: "Identity" }
                                 loss { type: "NLLLoss" })pb");
  // What one sample of seven classes counts for accuracy and top5, and adds to the loss.
  const auto counted = [&](std::initializer_list<float> scores, int64_t target) {
    const Evaluation evaluation =
        evaluate(
            model, {"accuracy", "top5"},
            {{.inputs = {{"", Tensor::of<float>(scores, {1, 7})}}, .targets = {{"", Tensor::of<int64_t>({target})}}}})
            .value();
    EXPECT_EQ(evaluation.samples(), 1);
    return std::pair(evaluation.metrics().at("accuracy"), evaluation.metrics().at("top5"));
  };
  const std::pair<double, double> none{0, 0}, among_five{0, 1}, first{1, 1};
  EXPECT_EQ(counted({0, 9, 1, 2, 3, 4, 5}, 1), first);
  EXPECT_EQ(counted({0, 9, 1, 2, 3, 4, 5}, 6), among_five);
  EXPECT_EQ(counted({7, 6, 5, 4, 3, 2, 1}, 4), among_five) << "the fifth";
  EXPECT_EQ(counted({7, 6, 5, 4, 3, 2, 1}, 5), none) << "the sixth";
  // Of equal scores the first counts, as argmax has it.
  EXPECT_EQ(counted({0, 5, 5, 1, 1, 1, 1}, 1), first);
  EXPECT_EQ(counted({0, 5, 5, 1, 1, 1, 1}, 2), among_five);
  EXPECT_EQ(counted({9, 8, 7, 6, 1, 1, 1}, 4), among_five);
  EXPECT_EQ(counted({9, 8, 7, 6, 1, 1, 1}, 5), none);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(counted({0, nan, 0, 0, 0, 0, 0}, 1), none);

  // Batches add up.
  const Tensor scores = Tensor::of<float>({0, 3, 1, 5, 1, 0, 1, 1, 1}, {3, 3});
  const EvaluateBatch batch{.inputs = {{"", scores}}, .targets = {{"", Tensor::of<int64_t>({1, 1, 2})}}};
  for (int i = 1; i <= 2; ++i) {
    const Evaluation evaluation =
        evaluate(model, {"accuracy", "top5"}, std::vector<EvaluateBatch>(static_cast<size_t>(i), batch)).value();
    EXPECT_EQ(evaluation.samples(), 3 * i);
    EXPECT_DOUBLE_EQ(evaluation.metrics().at("accuracy"), 1.0 / 3);
    EXPECT_DOUBLE_EQ(evaluation.metrics().at("top5"), 1);
    EXPECT_NEAR(evaluation.loss().value(), -(3 + 1 + 1) / 3.0, 1e-6);
  }
}

}  // namespace
}  // namespace tapewire
