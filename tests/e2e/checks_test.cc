// What a definition and a call's tensors are checked for, over the wire.

#include "server/codec/tensor_codec.h"
#include "tests/e2e/server_fixture.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

v1::NamedTensor named(const std::string& name, const Tensor& x) {
  v1::NamedTensor out;
  out.set_name(name);
  codec::encode_tensor(x, *out.mutable_tensor());
  return out;
}

// fc (one number to one) and an in-place ReLU.
constexpr char kNet[] = R"pb(
  modules { path: "" type: "Sequential" }
  modules {
    path: "fc"
    type: "Linear"
    attributes {
      key: "in_features"
      value { int_value: 1 }
    }
    attributes {
      key: "out_features"
      value { int_value: 1 }
    }
    attributes {
      key: "bias"
      value { bool_value: false }
    }
  }
  modules {
    path: "relu"
    type: "ReLU"
    attributes {
      key: "inplace"
      value { bool_value: true }
    }
  }
  loss { type: "MSELoss" }
  optimizer {
    type: "SGD"
    attributes {
      key: "lr"
      value { double_value: 0.1 }
    }
  }
)pb";

class ChecksTest : public ServerTest {
 protected:
  std::string refusal_of(const std::string& calls) {
    const auto made = client_.create_model(
        "bad", definition(str_cat("modules { path: '' type: 'Graph' forward { inputs { name: 'x' } ", calls,
                                  " outputs: 'y' } }")));
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << made.status();
    return std::string(made.status().message());
  }

  client::Client client_ = connect();
};

TEST_F(ChecksTest, ACallThatCannotFitIsRefusedWhenTheModelIsMade) {
  EXPECT_THAT(refusal_of("calls { op: 'relu' args { ref: 'x' } results: 'y' results: 'z' }"),
              HasSubstr("calls[0].results: relu gives 1 result, 2 names are bound"));
  EXPECT_THAT(refusal_of("calls { op: 'relu' args { list { items { list { items { ref: 'x' } } } } } results: 'y' }"),
              HasSubstr("calls[0].args[0]: relu: argument 'input': expected a tensor, got a list"));
}

TEST_F(ChecksTest, TargetsThatWouldBroadcastAgainstTheOutputsAreRefused) {
  ASSERT_TRUE(client_.create_model("net", definition(kNet)).ok());
  const std::string expected = "MSELoss: input [4, 1] and target [4] differ in shape and would broadcast to [4, 4]";
  const v1::NamedTensor x = named("", Tensor::full({4, 1}, 1.0));
  const v1::NamedTensor target = named("", Tensor::full({4}, 1.0));

  v1::TrainStepRequest step;
  step.set_model("net");
  *step.add_inputs() = x;
  *step.add_targets() = target;
  const auto trained = client_.train_step(step);
  EXPECT_EQ(trained.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(trained.status().message()), HasSubstr(expected));

  v1::ForwardRequest forward;
  forward.set_model("net");
  forward.set_keep_tape(true);
  *forward.add_inputs() = x;
  const auto kept = client_.forward(forward);
  ASSERT_TRUE(kept.ok()) << kept.status();
  v1::BackwardRequest backward;
  backward.set_model("net");
  backward.set_tape_id(kept->tape().id());
  *backward.add_targets() = target;
  EXPECT_THAT(std::string(client_.backward(backward).status().message()), HasSubstr(expected));

  bool sent = false;
  const auto evaluated = client_.evaluate("net", {}, [&]() -> std::optional<client::Batch> {
    if (std::exchange(sent, true)) return std::nullopt;
    client::Batch batch;
    batch.inputs.push_back(x);
    batch.targets.push_back(target);
    return batch;
  });
  EXPECT_THAT(std::string(evaluated.status().message()), HasSubstr(expected));
}

TEST_F(ChecksTest, ACaptureInFrontOfAnInPlaceReluIsTheValueThatLeft) {
  ASSERT_TRUE(client_.create_model("net", definition(kNet)).ok());
  v1::ForwardRequest forward;
  forward.set_model("net");
  forward.set_keep_tape(true);
  forward.add_capture("fc");
  *forward.add_inputs() = named("", Tensor::of<float>({1, -1}, {2, 1}));
  const auto kept = client_.forward(forward);
  ASSERT_TRUE(kept.ok()) << kept.status();
  const auto captured = client::view<float>(kept->captured(0).tensor());
  ASSERT_TRUE(captured.ok());
  EXPECT_EQ((*captured)[0], -(*captured)[1]);
  EXPECT_NE((*captured)[0], 0);

  v1::BackwardRequest backward;
  backward.set_model("net");
  backward.set_tape_id(kept->tape().id());
  backward.add_capture_grads("fc");
  *backward.add_output_grads() = named("", Tensor::full({2, 1}, 1.0));
  const auto walked = client_.backward(backward);
  ASSERT_TRUE(walked.ok()) << walked.status();
  const auto slopes = client::view<float>(walked->captured_grads(0).tensor());
  ASSERT_TRUE(slopes.ok());
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ((*slopes)[i], (*captured)[i] > 0 ? 1 : 0);
}

TEST_F(ChecksTest, AnEvaluationSkipsIgnoredTargetsAndEmptyBatches) {
  ASSERT_TRUE(
      client_.create_model("id", definition("modules { path: '' type: 'Identity' } loss { type: 'NLLLoss' }")).ok());
  std::vector<std::pair<Tensor, Tensor>> batches{
      {Tensor::of<float>({-1, -9, -9, -9, -9, -9}, {3, 2}), Tensor::of<int64_t>({0, -100, -100})},
      {Tensor::zeros({0, 2}), Tensor::zeros({0}, DType::kInt64)},
      {Tensor::of<float>({-9, -2, -6, -3}, {2, 2}), Tensor::of<int64_t>({1, 0})}};
  size_t at = 0;
  const auto evaluate = [&] {
    return client_.evaluate("id", {.metrics = {"accuracy"}, .loss = {}}, [&]() -> std::optional<client::Batch> {
      if (at == batches.size()) return std::nullopt;
      client::Batch batch;
      batch.inputs.push_back(named("", batches[at].first));
      batch.targets.push_back(named("", batches[at].second));
      ++at;
      return batch;
    });
  };
  const auto evaluated = evaluate();
  ASSERT_TRUE(evaluated.ok()) << evaluated.status();
  EXPECT_EQ(evaluated->samples(), 5);
  EXPECT_DOUBLE_EQ(evaluated->loss(), (1 + 2 + 6) / 3.0);
  EXPECT_DOUBLE_EQ(evaluated->metrics().at("accuracy"), 2 / 3.0);

  at = 1;
  batches.resize(2);
  const auto nothing = evaluate();
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_FALSE(nothing->has_loss());
  EXPECT_TRUE(nothing->metrics().empty());
}

}  // namespace
}  // namespace tapewire
