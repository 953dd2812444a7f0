// A call that fails leaves everything as it was; a call that does not says what it changed.

#include <atomic>
#include <future>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/tensor/allocator.h"
#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// BatchNorm1d(3) and no parameters besides its own.
const char* const kNorm = R"pb(
  modules { path: "" type: "Sequential" }
  modules {
    path: "bn"
    type: "BatchNorm1d"
    attributes {
      key: "num_features"
      value { int_value: 3 }
    }
  }
  loss { type: "MSELoss" }
  optimizer { type: "SGD" }
)pb";

class FailedCallTest : public ModelTest {
 protected:
  static std::vector<float> gradients(ModelState& m) {
    std::vector<float> out;
    for (const NamedTensor& p : m.parameters()) {
      if (!gradient(p.tensor).defined()) continue;
      for (const float v : gradient(p.tensor).to_vector<float>()) out.push_back(v);
    }
    return out;
  }
  static std::vector<float> parameters(ModelState& m) {
    std::vector<float> out;
    for (const NamedTensor& p : m.parameters()) {
      for (const float v : p.tensor.to_vector<float>()) out.push_back(v);
    }
    return out;
  }
  static std::string error_of(const absl::Status& status, absl::StatusCode code) {
    EXPECT_EQ(status.code(), code) << status;
    return std::string(status.message());
  }
};

TEST_F(FailedCallTest, AFailedBackwardLeavesItsTape) {
  const auto model = create(kSimpleNet);
  std::shared_ptr<Tape> tape;
  in_turn(model, [&](ModelState& m) {
    tape = m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true}).tape;
    return 0;
  }).value();
  const Tensor bad = Tensor::full({4, 1}, kNan);
  const auto failed = in_turn(model, [&](ModelState& m) {
    m.backward({.tape = tape, .output_grads = {{"", bad}}});
    return 0;
  });
  EXPECT_THAT(error_of(failed.status(), absl::StatusCode::kFailedPrecondition), HasSubstr("nothing was changed"));
  EXPECT_THAT(*in_turn(model, gradients), testing::IsEmpty());
  EXPECT_TRUE(in_turn(model, [&](ModelState& m) {
                return m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}}).info.step;
              }).ok());
  EXPECT_EQ(model->tapes().size(), 0) << "used up";
}

TEST_F(FailedCallTest, AFailedBackwardLeavesTheGradientsThatItAddedTo) {
  const auto model = create(kSimpleNet);
  const auto tape = [&] {
    return in_turn(model,
                   [](ModelState& m) { return m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true}).tape; })
        .value();
  };
  in_turn(model, [first = tape()](ModelState& m) {
    m.backward({.tape = first, .targets = {{"", ramp({4, 1})}}});
    return 0;
  }).value();
  const std::vector<float> before = *in_turn(model, gradients);
  ASSERT_THAT(before, testing::Not(testing::IsEmpty()));
  // The walk adds its numbers, and only then meets what is not finite.
  const auto failed = in_turn(model, [second = tape()](ModelState& m) {
    m.backward({.tape = second, .output_grads = {{"", Tensor::full({4, 1}, kNan)}}});
    return 0;
  });
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(*in_turn(model, gradients), before);
}

TEST_F(FailedCallTest, AFailedStepLeavesTheLearningRate) {
  const auto model = create(kSimpleNet);
  const auto rate = [&] {
    return in_turn(model, [](ModelState& m) { return m.parts().optimizer->learning_rate(); }).value();
  };
  TrainStepArgs args = batch();
  args.accumulate_only = true;
  in_turn(model, [&](ModelState& m) { return m.train_step(args).step; }).value();
  auto& allocator = tensor_allocator();
  const int64_t limit = allocator.limit();
  const auto failed = in_turn(model, [&](ModelState& m) {
    allocator.release_cached();
    allocator.set_limit(allocator.stats().live, "the test's limit");  // none for the momentum
    return m.step({.learning_rate = 0.5}).step;
  });
  allocator.set_limit(limit, "--tensor_memory_limit");
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kResourceExhausted) << failed.status();
  EXPECT_EQ(rate(), 0.1);
  EXPECT_EQ(model->info().step, 0);
  EXPECT_TRUE(in_turn(model, [&](ModelState& m) { return m.step({.learning_rate = 0.5}).step; }).ok());
  EXPECT_EQ(rate(), 0.1);
}

TEST_F(FailedCallTest, UsedUpTapesCountNoMore) {
  const auto model = create(kSimpleNet);
  std::string id;
  for (int64_t i = 0; i < 2 * model->settings().max_tapes; ++i) {
    in_turn(model, [&](ModelState& m) {
      const auto tape = m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true}).tape;
      id = tape->id;
      m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}});
      return 0;
    }).value();
  }
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_tapes{model=\"net\"} 0"));
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_tape_bytes{model=\"net\"} 0"));
  try {
    model->tapes().pin(id);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(error.message(), HasSubstr("a second time"));
  }
  model->tapes().release(id);  // a client that tidies up gets no error
}

TEST_F(FailedCallTest, ATapeThatWasReleasedMeanwhileIsNotWalked) {
  const auto model = create(kSimpleNet);
  const auto status = in_turn(model, [](ModelState& m) {
                        const auto tape = m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true}).tape;
                        m.tapes().release(tape->id);
                        m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}});
                        return 0;
                      }).status();
  EXPECT_THAT(error_of(status, absl::StatusCode::kNotFound), HasSubstr("was released"));
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_tape_bytes{model=\"net\"} 0"));
}

TEST_F(FailedCallTest, AnAnswerThatCannotBeSentChangesNothing) {
  // Room for what is no tensor and for a small one: outputs, gradients and captures of 512 rows count.
  constexpr int64_t kMost = 5000;
  const auto model = create(kSimpleNet);
  // Gradients that a step would use up, and a tape that is walked twice.
  std::shared_ptr<Tape> tape;
  in_turn(model, [&](ModelState& m) {
    TrainStepArgs args = batch();
    args.accumulate_only = true;
    m.train_step(args);
    tape =
        m.forward(
             {.inputs = {{"x", ramp({512, 10})}}, .keep_tape = true, .inputs_require_grad = {"x"}, .capture = {"fc1"}})
            .tape;
    return 0;
  }).value();
  const std::vector<float> grads = *in_turn(model, gradients);
  const std::vector<float> values = *in_turn(model, parameters);
  const int64_t version = model->info().parameter_version;
  ASSERT_THAT(grads, testing::SizeIs(61));
  const auto expect_refused = [&](const char* what, const auto& call) {
    const absl::Status status = in_turn(model, [&](ModelState& m) {
                                  call(m);
                                  return 0;
                                }).status();
    EXPECT_THAT(error_of(status, absl::StatusCode::kResourceExhausted), HasSubstr("--max_message_bytes=5000")) << what;
    EXPECT_EQ(*in_turn(model, gradients), grads) << what;
    EXPECT_EQ(*in_turn(model, parameters), values) << what;
    EXPECT_EQ(model->info().step, 0) << what;
    EXPECT_EQ(model->info().parameter_version, version) << what;
    EXPECT_EQ(model->tapes().size(), 1) << what;
  };
  expect_refused("train_step", [](ModelState& m) {
    TrainStepArgs args{.inputs = {{"x", ramp({512, 10})}}, .targets = {{"", ramp({512, 1})}}};
    args.return_outputs = true;
    args.max_answer_bytes = kMost;
    m.train_step(args);
  });
  expect_refused("forward", [](ModelState& m) {
    m.forward({.inputs = {{"x", ramp({512, 10})}}, .keep_tape = true, .max_answer_bytes = kMost});
  });
  expect_refused("backward's inputs", [&](ModelState& m) {
    m.backward(
        {.tape = tape, .targets = {{"", ramp({512, 1})}}, .return_input_grads = true, .max_answer_bytes = kMost});
  });
  expect_refused("backward's captures", [&](ModelState& m) {
    m.backward({.tape = tape, .targets = {{"", ramp({512, 1})}}, .capture_grads = {"fc1"}, .max_answer_bytes = kMost});
  });
  expect_refused("grad", [&](ModelState& m) {
    m.grad({.tape = tape, .output_grads = {{"", ramp({512, 1})}}, .wrt = {"x"}, .max_answer_bytes = kMost});
  });
  // Nothing was used up.
  const absl::Status status = in_turn(model, [&](ModelState& m) {
                                const NamedTensor ones{"", Tensor::full({512, 1}, 1.0)};
                                m.grad({.tape = tape,
                                        .output_grads = {ones},
                                        .wrt = {"fc2.bias"},
                                        .retain_tape = true,
                                        .max_answer_bytes = kMost});
                                m.backward({.tape = tape, .targets = {{"", ramp({512, 1})}}, .capture_grads = {"fc1"}});
                                return 0;
                              }).status();
  EXPECT_TRUE(status.ok()) << status;
}

// The statistics that a training forward moved go back, and so does the state of the random numbers.
TEST_F(FailedCallTest, AnAnswerThatCannotBeSentLeavesStatisticsAlone) {
  const auto model = create(kNorm);
  const auto in_eval_mode = [&] {
    return in_turn(model,
                   [](ModelState& m) {
                     return m.forward({.inputs = {{"", ramp({4, 3})}}, .training = false})
                         .outputs[0]
                         .tensor.to_vector<float>();
                   })
        .value();
  };
  const std::vector<float> before = in_eval_mode();
  const int64_t version = model->info().parameter_version;
  const auto forward = in_turn(model, [](ModelState& m) {
    m.forward({.inputs = {{"", ramp({4, 3})}}, .training = true, .max_answer_bytes = 47});
    return 0;
  });
  error_of(forward.status(), absl::StatusCode::kResourceExhausted);
  const auto step = in_turn(model, [](ModelState& m) {
    TrainStepArgs args{.inputs = {{"", ramp({4, 3})}}, .targets = {{"", ramp({4, 3})}}};
    args.return_outputs = true;
    args.max_answer_bytes = 47;
    m.train_step(args);
    return 0;
  });
  error_of(step.status(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(in_eval_mode(), before);
  EXPECT_EQ(model->info().parameter_version, version);
}

TEST_F(FailedCallTest, ACallThatRunsOutOfTimeKeepsNoTape) {
  const auto model = create(kSimpleNet);
  const auto status = in_turn(model, [](ModelState& m) {
                        CancelToken token;
                        const CancelScope scope(&token);
                        const HookHandle last =
                            m.root().register_forward_hook([&token](Module&, const Args&, const Value&) {
                              token.cancel();
                              return std::optional<Value>();
                            });
                        m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true});
                        return 0;
                      }).status();
  error_of(status, absl::StatusCode::kCancelled);
  EXPECT_EQ(model->tapes().size(), 0);
}

TEST_F(FailedCallTest, AGraphOfOpsStopsBetweenThem) {
  const auto model = create(R"pb(
    modules {
      path: ""
      type: "Graph"
      forward {
        inputs { name: "x" }
        calls {
          op: "relu"
          args { ref: "x" }
          results: "y"
        }
        outputs: "y"
      }
    }
  )pb");
  const auto status = in_turn(model, [](ModelState& m) {
                        CancelToken token;
                        const CancelScope scope(&token);
                        const HookHandle first = m.root().register_forward_pre_hook([&token](Module&, const Args&) {
                          token.cancel();
                          return std::optional<Args>();
                        });
                        m.forward({.inputs = {{"x", ramp({4})}}});
                        return 0;
                      }).status();
  error_of(status, absl::StatusCode::kCancelled);
}

TEST_F(FailedCallTest, ACancelledCreateLeavesNoModel) {
  const auto cancel = std::make_shared<CancelSource>();
  cancel->cancel();
  const auto status = create_args({.name = "net", .spec = spec_of(kSimpleNet)}, cancel).status();
  error_of(status, absl::StatusCode::kCancelled);
  EXPECT_EQ(registry_.size(), 0);
}

TEST_F(FailedCallTest, ACreateThatFindsItsNameBeingBuiltLearnsWhatBecomesOfIt) {
  // The first of the two is cancelled while it builds, or never begins: the second is built.
  for (int i = 0; i < 20; ++i) {
    const auto cancel = std::make_shared<CancelSource>();
    std::promise<absl::StatusOr<std::shared_ptr<LiveModel>>> first, second;
    registry_.create({.name = "net", .spec = spec_of(kSimpleNet)}, cancel,
                     [&](auto m) { first.set_value(std::move(m)); });
    try {
      registry_.create({.name = "net", .spec = spec_of(kSimpleNet)}, nullptr,
                       [&](auto m) { second.set_value(std::move(m)); });
    } catch (...) {
      second.set_value(caught_status());  // the first was made already
    }
    cancel->cancel();
    const bool first_made = first.get_future().get().ok();
    const auto made = second.get_future().get();
    EXPECT_EQ(made.ok(), !first_made);
    if (first_made) {
      EXPECT_EQ(made.status().code(), absl::StatusCode::kAlreadyExists);
    }
    registry_.remove("net");
  }
}

TEST_F(FailedCallTest, ASkippedStepKeepsAccumulatedGradients) {
  const std::string skips = str_cat(kSimpleNet, "runtime { on_nonfinite: NON_FINITE_SKIP }");
  TrainStepArgs good = batch();
  good.accumulate_only = true;
  TrainStepArgs bad = batch();
  bad.targets[0].tensor = Tensor::full({4, 1}, kNan);
  const auto run = [&](const std::shared_ptr<LiveModel>& model, const TrainStepArgs& args) {
    return in_turn(model, [&](ModelState& m) { return m.train_step(args); }).value();
  };
  const auto model = create(skips);
  const auto twin = create(skips, "twin");
  run(model, good);
  run(twin, good);
  const std::vector<float> before = *in_turn(model, gradients);
  EXPECT_THAT(before, testing::SizeIs(61));
  for (const bool accumulates : {true, false}) {
    bad.accumulate_only = accumulates;
    EXPECT_EQ(run(model, bad).metrics.at("skipped"), 1);
    EXPECT_EQ(*in_turn(model, gradients), before) << accumulates;
  }
  // The next step uses them, as if nothing had been skipped.
  run(model, batch());
  run(twin, batch());
  EXPECT_EQ(*in_turn(model, parameters), *in_turn(twin, parameters));
  EXPECT_EQ(model->info().step, 1);
}

// Those of Backward belong to no accumulation: a step that is made would replace them, one that is skipped does not.
TEST_F(FailedCallTest, ASkippedStepKeepsTheGradientsOfBackward) {
  const auto model = create(str_cat(kSimpleNet, "runtime { on_nonfinite: NON_FINITE_SKIP }"));
  in_turn(model, [](ModelState& m) {
    const auto tape = m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true}).tape;
    m.backward({.tape = tape, .targets = {{"", ramp({4, 1})}}});
    return 0;
  }).value();
  const std::vector<float> before = *in_turn(model, gradients);
  const std::vector<float> values = *in_turn(model, parameters);
  ASSERT_THAT(before, testing::SizeIs(61));
  TrainStepArgs bad = batch();
  bad.targets[0].tensor = Tensor::full({4, 1}, kNan);
  EXPECT_EQ(in_turn(model, [&](ModelState& m) { return m.train_step(bad); }).value().metrics.at("skipped"), 1);
  EXPECT_EQ(*in_turn(model, gradients), before);
  EXPECT_EQ(*in_turn(model, parameters), values);
}

TEST_F(FailedCallTest, VersionsRiseWithBuffersToo) {
  const auto model = create(kNorm);
  const auto run = [&](bool training) {
    return in_turn(model,
                   [&](ModelState& m) {
                     return m.forward({.inputs = {{"", ramp({4, 3})}}, .training = training}).parameter_version;
                   })
        .value();
  };
  EXPECT_EQ(run(true), 1);
  EXPECT_EQ(run(false), 1);
  EXPECT_EQ(run(true), 2);
  TrainStepArgs step{.inputs = {{"", ramp({4, 3})}}, .targets = {{"", ramp({4, 3})}}};
  EXPECT_EQ(in_turn(model, [&](ModelState& m) { return m.train_step(step).parameter_version; }).value(), 3)
      << "once for a step, whatever it changes";
}

TEST_F(FailedCallTest, TheNormInAStepsAnswerIsTheTwoNorm) {
  const auto norm = [&](const std::string& name, double type) {
    TrainStepArgs args = batch();
    args.step.clip = {.max_norm = 0.5, .norm_type = type};
    return *in_turn(create(kSimpleNet, name), [&](ModelState& m) { return m.train_step(args); }).value().grad_norm;
  };
  EXPECT_EQ(norm("a", 2), norm("b", 1));
  EXPECT_EQ(norm("c", 2), norm("d", std::numeric_limits<double>::infinity()));
}

TEST_F(FailedCallTest, AccumulatingTakesNothingThatBelongsToAStep) {
  TrainStepArgs args = batch();
  args.accumulate_only = true;
  args.step.clip.max_norm = 1;
  const auto model = create(kSimpleNet);
  EXPECT_THAT(error_of(in_turn(model, [&](ModelState& m) { return m.train_step(args); }).status(),
                       absl::StatusCode::kInvalidArgument),
              HasSubstr("accumulate_only"));
}

TEST_F(FailedCallTest, AnEvaluationsLossIsTheMeanOverSamplesWhateverTheReduction) {
  const auto loss = [&](const std::string& name, const std::string& reduction) {
    const auto model =
        create(str_cat(R"pb(modules { path: "" type: "Identity" })pb", "loss { type: 'MSELoss' attributes ",
                       "{ key: 'reduction' value { string_value: '", reduction, "' } } }"),
               name);
    return evaluate(model, {"mse"},
                    {{.inputs = {{"", ramp({4})}}, .targets = {{"", Tensor::full({4}, 0.25)}}},
                     {.inputs = {{"", ramp({2})}}, .targets = {{"", Tensor::full({2}, 1.0)}}}})
        .value()
        .loss()
        .value();
  };
  EXPECT_NEAR(loss("mean", "mean"), loss("sum", "sum"), 1e-6);
  EXPECT_THAT(
      error_of(evaluate(registry_.require("mean"), {"mse", "mse"}, {}).status(), absl::StatusCode::kInvalidArgument),
      HasSubstr("metrics[1]: 'mse' is given twice"));
}

TEST_F(FailedCallTest, AModelThatDrawsInEvalModeTakesItsTurn) {
  const char* const net = R"pb(
    modules {
      path: ""
      type: "Graph"
      forward {
        inputs { name: "x" }
        calls {
          op: "dropout"
          args { ref: "x" }
          kwargs {
            key: "training"
            value { literal { bool_value: true } }
          }
          results: "y"
        }
        outputs: "y"
      }
    }
  )pb";
  const ForwardArgs infer{.inputs = {{"x", ramp({64})}}, .training = false};
  EXPECT_FALSE(create(net)->reads_snapshot(infer));
  EXPECT_TRUE(create(kSimpleNet, "plain")->reads_snapshot(infer));
}

TEST_F(FailedCallTest, OutputsMustBeWhatTheDefinitionSays) {
  const auto model =
      create(str_cat(kSimpleNet, "inputs { name: 'x' shape: [-1, 10] } outputs { name: 'y' shape: [-1, 2] }"));
  const auto status =
      in_turn(model, [](ModelState& m) { return m.forward({.inputs = {{"x", ramp({4, 10})}}}); }).status();
  EXPECT_THAT(error_of(status, absl::StatusCode::kInvalidArgument),
              HasSubstr("outputs[0] 'y': the definition declares any type[-1, 2], the model put out float32[4, 1]"));
}

TEST_F(FailedCallTest, ANumberedCreateIsMadeOnceAndItsOldDeleteDoesNotUndoIt) {
  const CreateArgs create{.name = "net", .spec = spec_of(kSimpleNet), .seed = 1, .id = {"client", 5}};
  const auto made = create_args(create).value();
  EXPECT_EQ(create_args(create).value(), made);
  try {
    registry_.remove("net", {"client", 4});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
  }
  bool ended = false;
  registry_.remove("net", {"client", 6}, [&](bool) { ended = true; });
  EXPECT_TRUE(ended) << "nothing ran";
}

TEST_F(FailedCallTest, ANumberedDeleteSentAgainIsAnsweredAsTheFirst) {
  create(kSimpleNet);
  create(kSimpleNet, "other");
  registry_.remove("net", {"client", 6});
  const auto other = create(kSimpleNet);
  bool ended = false;
  registry_.remove("net", {"client", 6}, [&](bool) { ended = true; });
  EXPECT_TRUE(ended);
  EXPECT_EQ(registry_.require("net"), other) << "a model of that name that was made since stays";
  registry_.remove("other", {"client", 6});  // sequences count by model
  EXPECT_EQ(registry_.size(), 1);
  EXPECT_THROW(registry_.remove("net", {"client", 5}), Error) << "older than what was applied";
  EXPECT_THROW(registry_.remove("none"), Error);
}

TEST_F(FailedCallTest, DuplicatesOfACreateInFlightJoinIt) {
  std::vector<std::future<std::shared_ptr<LiveModel>>> made;
  for (int i = 0; i < 4; ++i) {
    made.push_back(std::async(std::launch::async, [this] {
      return create_args({.name = "net", .spec = spec_of(kSimpleNet), .seed = 1, .id = {"client", 1}}).value();
    }));
  }
  const std::shared_ptr<LiveModel> first = made[0].get();
  for (size_t i = 1; i < made.size(); ++i) EXPECT_EQ(made[i].get(), first);
}

// Adds 1 to its parameter and to its buffer at each call, then sums up what it was given with both.
const char* const kCounting = R"pb(
  modules {
    path: ""
    type: "Graph"
    forward {
      inputs { name: "x" }
      calls {
        op: "add_"
        args { ref: "w" }
        args { literal { double_value: 1 } }
        results: "w1"
      }
      calls {
        op: "add_"
        args { ref: "b" }
        args { literal { double_value: 1 } }
        results: "b1"
      }
      calls {
        op: "add"
        args { ref: "x" }
        args { ref: "b1" }
        results: "y"
      }
      outputs: "y"
    }
    parameters { name: "w" shape: 1 frozen: true }
    buffers { name: "b" shape: 1 }
  }
)pb";

TEST_F(FailedCallTest, AFailedCallTakesBackWhatItWroteToParametersAndBuffers) {
  const auto model = create(kCounting);
  const auto values = [&] {
    return in_turn(model,
                   [](ModelState& m) {
                     return std::pair(m.require_parameter("w", "").item<float>(), m.buffers()[0].tensor.item<float>());
                   })
        .value();
  };
  const ForwardArgs good{.inputs = {{"x", ramp({1})}}, .training = true};
  ForwardArgs bad = good;
  bad.inputs[0].tensor = Tensor::zeros({1}, DType::kFloat32);
  bad.max_answer_bytes = 1;
  EXPECT_FALSE(in_turn(model, [&](ModelState& m) { return m.forward(bad); }).ok());
  EXPECT_EQ(values(), std::pair(0.0F, 0.0F));
  EXPECT_EQ(in_turn(model, [&](ModelState& m) { return m.forward(good); }).value().parameter_version, 1);
  EXPECT_EQ(values(), std::pair(1.0F, 1.0F));
}

TEST_F(FailedCallTest, AReadChangesNothingWhateverItAsksFor) {
  const auto model = create(kCounting);
  const auto written = [&] {
    return in_turn(model, [](ModelState& m) { return m.buffers()[0].tensor.item<float>(); }).value();
  };
  const ForwardArgs plain{.inputs = {{"x", ramp({1})}}, .training = false};
  ForwardArgs capturing = plain;
  capturing.capture = {""};
  for (const ForwardArgs& args : {plain, capturing}) {
    EXPECT_TRUE(model->reads_snapshot(args));
    EXPECT_TRUE(read(model, snapshot_of(model), args).ok());
    EXPECT_EQ(written(), 0);
    // With hooks on the model the same call takes a turn.
    EXPECT_EQ(in_turn(model, [&](ModelState& m) { return m.forward(args); }).value().parameter_version, 0);
    EXPECT_EQ(written(), 0);
  }
}

TEST_F(FailedCallTest, ADeleteWaitsForTheCallThatRuns) {
  const auto model = create(kSimpleNet);
  std::promise<void> begun, go, ended;
  std::atomic<bool> done{false};
  model->submit(
      nullptr,
      [&](ModelState&) {
        begun.set_value();
        go.get_future().wait();
        done = true;
      },
      [](const absl::Status&) {});
  begun.get_future().wait();
  bool done_before_the_answer = false;
  registry_.remove("net", {}, [&](bool) {
    done_before_the_answer = done;
    ended.set_value();
  });
  go.set_value();
  ended.get_future().wait();
  EXPECT_TRUE(done_before_the_answer);
}

}  // namespace
}  // namespace tapewire
