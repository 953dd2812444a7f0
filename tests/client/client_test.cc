#include "client/cpp/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "client/cpp/tensor.h"
#include "tests/client/fake/fake_server.h"

namespace tapewire::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ClientTest : public testing::Test {
 protected:
  static Client connect(const FakeServer& server, ClientOptions options = {}) {
    auto client = Client::connect(server.address(), std::move(options));
    EXPECT_TRUE(client.ok()) << client.status();
    return *client;
  }

  std::vector<SeenCall> seen(const std::string& method) const {
    std::vector<SeenCall> calls;
    for (const auto& call : server_.seen_calls()) {
      if (call.method == method) calls.push_back(call);
    }
    return calls;
  }

  static v1::StepRequest step_of(const std::string& model) {
    v1::StepRequest request;
    request.set_model(model);
    return request;
  }

  FakeServer server_;
  Client client_ = connect(server_);
};

v1::TensorChunk chunk(const std::string& name, std::vector<int64_t> shape, int64_t offset, const std::string& data) {
  v1::TensorChunk result;
  result.set_name(name);
  result.set_dtype(v1::DATA_TYPE_UINT8);
  result.mutable_shape()->Add(shape.begin(), shape.end());
  result.set_offset(offset);
  result.set_data(data);
  return result;
}

TEST_F(ClientTest, ConnectingWhereNobodyListensFailsAtOnceAndNamesTheAddress) {
  const auto start = std::chrono::steady_clock::now();
  const auto client = Client::connect("127.0.0.1:1");
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(client.status().message()), HasSubstr("cannot connect to 127.0.0.1:1"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(ClientTest, ErrorsCarryTheServersCodeAndMessage) {
  server_.fail_next("CreateModel", absl::InvalidArgumentError("conv1: Conv2d: unknown attribute 'kernal_size'"));
  const auto model = client_.create_model("net", {});
  EXPECT_EQ(model.status(), absl::InvalidArgumentError("conv1: Conv2d: unknown attribute 'kernal_size'"));
  EXPECT_EQ(client_.get_model("other").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, CreatesGetsAndDeletesModels) {
  v1::ModelSpec spec;
  spec.add_modules()->set_type("Linear");
  const auto made = client_.create_model("net", spec, {.seed = 42});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->parameter_count(), 42);  // the fake echoes the seed
  EXPECT_EQ(client_.get_model("net")->spec().modules(0).type(), "Linear");
  EXPECT_EQ(client_.create_model("net", spec).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(client_.delete_model("net").ok());
  EXPECT_FALSE(server_.has_model("net"));
}

TEST_F(ClientTest, ValidatingOnlyBuildsNothing) {
  EXPECT_TRUE(client_.create_model("net", {}, {.validate_only = true}).ok());
  EXPECT_FALSE(server_.has_model("net"));
}

TEST_F(ClientTest, ListsModelsOverAllPages) {
  for (const char* name : {"a", "b", "c", "d", "e"}) server_.add_model(name);
  const auto models = client_.list_models(2);
  ASSERT_TRUE(models.ok()) << models.status();
  std::vector<std::string> names;
  for (const auto& model : *models) names.push_back(model.name());
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(ClientTest, StepsCarryTheClientsIdAndRisingNumbersForEachModel) {
  ASSERT_TRUE(client_.step(step_of("a")).ok());
  ASSERT_TRUE(client_.step(step_of("b")).ok());
  v1::TrainStepRequest train;
  train.set_model("a");
  ASSERT_TRUE(client_.train_step(train).ok());
  const auto calls = server_.seen_calls();
  ASSERT_EQ(calls.size(), 3u);
  for (const auto& call : calls) EXPECT_EQ(call.call_id.client_id(), client_.client_id());
  EXPECT_EQ(calls[0].call_id.sequence(), 1);
  EXPECT_EQ(calls[1].call_id.sequence(), 1);
  EXPECT_EQ(calls[2].call_id.sequence(), 2);
}

TEST_F(ClientTest, OtherChangesCarryTheClientsIdAlone) {
  ASSERT_TRUE(client_.zero_grad("a").ok());
  ASSERT_TRUE(client_.set_training("a", true).ok());
  ASSERT_TRUE(client_.register_hook("a", {}).ok());
  for (const auto& call : server_.seen_calls()) {
    EXPECT_EQ(call.call_id.client_id(), client_.client_id());
    EXPECT_EQ(call.call_id.sequence(), 0);
  }
}

TEST_F(ClientTest, ClientIdsDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.insert(make_client_id());
  EXPECT_EQ(ids.size(), 100u);
  EXPECT_EQ(ids.begin()->size(), 32u);
}

TEST_F(ClientTest, ARepeatedStepKeepsItsNumber) {
  server_.fail_next("Step", absl::UnavailableError("restarting"), 2);
  EXPECT_TRUE(client_.step(step_of("a")).ok());
  const auto calls = seen("Step");
  ASSERT_EQ(calls.size(), 3u);
  for (const auto& call : calls) EXPECT_EQ(call.call_id.sequence(), 1);
}

TEST_F(ClientTest, GivesUpAfterMaxAttempts) {
  server_.fail_next("Step", absl::UnavailableError("draining"), 100);
  const Client once = connect(server_, {.max_attempts = 1});
  EXPECT_EQ(once.step(step_of("a")).status(), absl::UnavailableError("draining"));
  EXPECT_EQ(seen("Step").size(), 1u);
}

TEST_F(ClientTest, OnlyUnavailableIsRepeated) {
  server_.fail_next("Step", absl::ResourceExhaustedError("queue is full (--max_queue)"));
  EXPECT_EQ(client_.step(step_of("a")).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(seen("Step").size(), 1u);
}

TEST_F(ClientTest, WhatCouldApplyTwiceIsNotRepeated) {
  server_.fail_next("Backward", absl::UnavailableError("connection lost"));
  EXPECT_EQ(client_.backward({}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(seen("Backward").size(), 1u);
}

TEST_F(ClientTest, ACallThatTakesTooLongRunsOutOfTime) {
  server_.hold("GetModel");
  server_.add_model("a");
  EXPECT_EQ(client_.get_model("a", {.timeout = absl::Milliseconds(50)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  server_.release("GetModel");
  EXPECT_TRUE(client_.get_model("a").ok());
}

TEST_F(ClientTest, CallsUnderWayCanBeCancelled) {
  server_.hold("GetModel");
  server_.add_model("a");
  std::thread canceller([this] {
    EXPECT_TRUE(server_.wait_for_call("GetModel"));
    client_.cancel_calls();
  });
  EXPECT_EQ(client_.get_model("a").status().code(), absl::StatusCode::kCancelled);
  canceller.join();
  server_.release("GetModel");
  EXPECT_TRUE(client_.get_model("a").ok());
}

TEST_F(ClientTest, ConcurrentStepsArriveInTheOrderOfTheirNumbers) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] {
      for (int n = 0; n < 10; ++n) EXPECT_TRUE(client_.step(step_of("a")).ok());
    });
  }
  for (auto& thread : threads) thread.join();
  const auto calls = seen("Step");
  ASSERT_EQ(calls.size(), 80u);
  for (size_t i = 0; i < calls.size(); ++i) EXPECT_EQ(calls[i].call_id.sequence(), static_cast<int64_t>(i) + 1);
}

TEST_F(ClientTest, InferenceAnswersWithTheOutputs) {
  const auto answer = client_.infer("a", named("input", make_scalar(1.5f)));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ((*view<float>(answer->outputs(0).tensor()))[0], 1.5f);
}

TEST_F(ClientTest, ATapeIsWalkedOnceAndReleased) {
  v1::ForwardRequest forward;
  forward.set_model("a");
  forward.set_keep_tape(true);
  const auto answer = client_.forward(forward);
  ASSERT_TRUE(answer.ok());
  v1::BackwardRequest backward;
  backward.set_model("a");
  backward.set_tape_id(answer->tape().id());
  EXPECT_TRUE(client_.backward(backward).ok());
  EXPECT_EQ(client_.backward(backward).status(),
            absl::FailedPreconditionError("Trying to backward through the graph a second time"));
  EXPECT_EQ(client_.list_tapes("a")->size(), 1u);
  EXPECT_TRUE(client_.release_tape("a", answer->tape().id()).ok());
  EXPECT_EQ(client_.list_tapes("a")->size(), 0u);
}

TEST_F(ClientTest, GradientsArePutTogetherFromTheirPieces) {
  server_.set_chunks({chunk("fc1.weight", {2, 2}, 0, "ab"), chunk("fc1.weight", {2, 2}, 2, "cd"),
                      chunk("fc1.empty", {0}, 0, ""), chunk("fc1.bias", {1}, 0, "e")});
  const auto gradients = client_.read_gradients("a");
  ASSERT_TRUE(gradients.ok()) << gradients.status();
  ASSERT_EQ(gradients->size(), 3u);
  EXPECT_EQ(gradients->at("fc1.weight").data(), "abcd");
  EXPECT_EQ(shape_text_of(gradients->at("fc1.weight")), "[2, 2]");
  EXPECT_EQ(gradients->at("fc1.bias").data(), "e");
}

TEST_F(ClientTest, BrokenGradientStreamsAreDataLoss) {
  const std::vector<std::vector<v1::TensorChunk>> broken{
      {chunk("w", {4}, 0, "ab")},                                                   // ends early
      {chunk("w", {4}, 0, "ab"), chunk("v", {1}, 0, "c")},                          // the next one begins early
      {chunk("w", {4}, 0, "ab"), chunk("w", {4}, 3, "cd")},                         // a hole
      {chunk("w", {4}, 2, "ab")},                                                   // no beginning
      {chunk("w", {2}, 0, "abc")},                                                  // too long
      {chunk("w", {-1}, 0, "abc")},                                                 // no shape
      {chunk("w", {1}, 0, "a"), chunk("v", {1}, 0, "b"), chunk("w", {1}, 1, "c")},  // comes back
      {chunk("w", {int64_t{1} << 40, int64_t{1} << 40}, 0, "a")},                   // overflows
  };
  for (const auto& chunks : broken) {
    server_.set_chunks(chunks);
    EXPECT_EQ(client_.read_gradients("a").status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(ClientTest, AStateIsPutTogetherFromItsPieces) {
  server_.set_chunks({chunk("w", {4}, 0, "ab"), chunk("w", {4}, 2, "cd"), chunk("b", {1}, 0, "e")});
  std::vector<int64_t> came;
  const auto state =
      client_.read_state("a", {.keys = {}, .progress = [&came](int64_t bytes) { came.push_back(bytes); }});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->at("w").data(), "abcd");
  EXPECT_EQ(state->at("b").data(), "e");
  EXPECT_EQ(came, (std::vector<int64_t>{2, 4, 5}));
  server_.set_chunks({chunk("w", {4}, 0, "ab")});
  EXPECT_EQ(client_.read_state("a").status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ClientTest, AStateGoesInPiecesBehindItsOptions) {
  constexpr int64_t kPiece = 1 << 20;
  const std::map<std::string, v1::Tensor> state{
      {"big", make_tensor<uint8_t>({2 * kPiece + 3}, std::vector<uint8_t>(2 * kPiece + 3, 7))},
      {"none", make_tensor<float>({0, 2}, std::vector<float>())},
      {"scalar", make_scalar<float>(1)}};
  ASSERT_TRUE(client_.write_state("a", state, {.allow_partial = true}).ok());
  const auto written = server_.written_state();
  ASSERT_EQ(written.size(), 5u);
  EXPECT_EQ(written[0].name(), "a");
  EXPECT_TRUE(written[0].allow_partial());
  EXPECT_EQ(written[0].call_id().client_id(), client_.client_id());
  EXPECT_EQ(shape_text_of(written[0].chunk()), "[2097155]");
  EXPECT_TRUE(written[1].name().empty());
  EXPECT_EQ(written[1].chunk().offset(), kPiece);
  EXPECT_EQ(written[2].chunk().data().size(), 3u);
  EXPECT_EQ(written[3].chunk().name(), "none");
  EXPECT_EQ(written[4].chunk().name(), "scalar");
}

TEST_F(ClientTest, AStateWithoutTensorsStillNamesItsModel) {
  ASSERT_TRUE(client_.write_state("a", std::map<std::string, v1::Tensor>{}).ok());
  ASSERT_EQ(server_.written_state().size(), 1u);
  EXPECT_EQ(server_.written_state()[0].name(), "a");
  EXPECT_FALSE(server_.written_state()[0].has_chunk());
}

TEST_F(ClientTest, AStateThatCannotBeReadIsNotWritten) {
  const auto fails = []() -> absl::StatusOr<std::optional<v1::TensorChunk>> { return absl::DataLossError("gone"); };
  EXPECT_EQ(client_.write_state("a", fails).status(), absl::DataLossError("gone"));
  EXPECT_TRUE(server_.written_state().empty());
}

TEST_F(ClientTest, AWriteThatTheServerRefusesSaysWhyAndIsNotRepeated) {
  server_.fail_next("WriteState", absl::UnavailableError("draining"));
  EXPECT_EQ(client_.write_state("a", std::map<std::string, v1::Tensor>{}).status(), absl::UnavailableError("draining"));
  EXPECT_EQ(seen("WriteState").size(), 1u);
}

TEST_F(ClientTest, EvaluateSendsBatchesUntilThereAreNone) {
  server_.add_model("a");
  int left = 3;
  const auto next = [&]() -> std::optional<Batch> {
    if (left-- == 0) return std::nullopt;
    return Batch{{named("input", make_tensor<float>({2, 2}, {1, 0, 0, 1}))},
                 {named("target", make_tensor<int64_t>({2}, {0, 0}))}};
  };
  const auto result = client_.evaluate("a", {.metrics = {"accuracy"}}, next);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->samples(), 6);
  EXPECT_DOUBLE_EQ(result->metrics().at("accuracy"), 0.5);
}

TEST_F(ClientTest, EvaluateThatTheServerRefusesSaysWhy) {
  server_.fail_next("Evaluate", absl::NotFoundError("no model \"a\""));
  int sent = 0;
  const auto next = [&]() -> std::optional<Batch> {
    if (++sent > 1000) return std::nullopt;
    return Batch{{named("input", make_scalar(1.0f))}, {}};
  };
  EXPECT_EQ(client_.evaluate("a", {}, next).status(), absl::NotFoundError("no model \"a\""));
}

TEST_F(ClientTest, HooksAreRegisteredListedAndRemoved) {
  v1::Hook hook;
  hook.set_target("fc1");
  const auto made = client_.register_hook("a", hook);
  ASSERT_TRUE(made.ok());
  EXPECT_THAT(made->matched(), ElementsAre("fc1"));
  EXPECT_EQ(client_.list_hooks("a")->size(), 1u);
  EXPECT_TRUE(client_.remove_hook("a", made->id()).ok());
  EXPECT_EQ(client_.remove_hook("a", made->id()).code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, TellsHealthInfoAndOperators) {
  EXPECT_TRUE(*client_.check_health());
  server_.set_serving(false);
  EXPECT_FALSE(*client_.check_health());
  EXPECT_EQ(client_.check_health("no.such.Service").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client_.server_info()->version(), "1.2.3");
  EXPECT_EQ(client_.list_operators(v1::OPERATOR_KIND_OP, "softmax")->size(), 2u);
}

}  // namespace
}  // namespace tapewire::client
