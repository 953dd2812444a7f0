// AutogradService.Grad: gradients of a tape's tensors, of any order.

#include "server/codec/tensor_codec.h"
#include "tests/e2e/server_fixture.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// y = x^3 * w + b, z = 2 b; both outputs.
constexpr char kCubic[] = R"pb(
  modules {
    path: ""
    type: "Graph"
    parameters {
      name: "w"
      dtype: DATA_TYPE_FLOAT64
      init { type: "ones" }
    }
    parameters { name: "b" dtype: DATA_TYPE_FLOAT64 }
    parameters { name: "fixed" dtype: DATA_TYPE_FLOAT64 frozen: true }
    forward {
      inputs { name: "x" }
      calls {
        op: "pow"
        args { ref: "x" }
        args { literal { int_value: 3 } }
        results: "c"
      }
      calls {
        op: "mul"
        args { ref: "c" }
        args { ref: "w" }
        results: "cw"
      }
      calls {
        op: "add"
        args { ref: "cw" }
        args { ref: "b" }
        results: "y"
      }
      calls {
        op: "mul"
        args { ref: "b" }
        args { literal { int_value: 2 } }
        results: "z"
      }
      outputs: "y"
      outputs: "z"
    }
  }
  outputs { name: "y" }
  outputs { name: "z" }
)pb";

class GradTest : public ServerTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(client_.create_model("cubic", definition(kCubic)).ok());
    v1::ForwardRequest request;
    request.set_model("cubic");
    request.set_keep_tape(true);
    request.add_inputs_require_grad("x");
    v1::NamedTensor& x = *request.add_inputs();
    x.set_name("x");
    codec::encode_tensor(Tensor::scalar(2.0), *x.mutable_tensor());
    const auto forward = client_.forward(request);
    ASSERT_TRUE(forward.ok()) << forward.status();
    tape_ = forward->tape().id();
  }

  v1::GradRequest request(const std::string& output, const std::vector<std::string>& wrt) const {
    v1::GradRequest out;
    out.set_model("cubic");
    out.set_tape_id(tape_);
    out.add_outputs(output);
    for (const std::string& name : wrt) out.add_wrt(name);
    return out;
  }
  static v1::GradRequest recorded(v1::GradRequest request) {
    request.set_create_graph(true);
    return request;
  }
  static std::vector<double> values(const absl::StatusOr<v1::GradResponse>& response) {
    std::vector<double> out;
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return out;
    for (const v1::NamedTensor& grad : response->grads()) {
      out.push_back(codec::decode_tensor(v1::Tensor(grad.tensor()), grad.name(), {}).item<double>());
    }
    return out;
  }
  static std::vector<std::string> names(const v1::Tape& tape) {
    std::vector<std::string> out;
    for (const v1::TensorSpec& t : tape.tensors()) out.push_back(t.name());
    return out;
  }

  const client::Client client_ = connect();
  std::string tape_;
};

TEST_F(GradTest, GivesGradientsByInputsAndParameters) {
  EXPECT_THAT(values(client_.grad(request("y", {"x", "w", "b"}))), ElementsAre(12, 8, 1));
}

TEST_F(GradTest, AccumulatesNothing) {
  ASSERT_TRUE(client_.grad(request("y", {"w"})).ok());
  const auto gradients = client_.read_gradients("cubic");
  ASSERT_TRUE(gradients.ok());
  EXPECT_TRUE(gradients->empty());
}

TEST_F(GradTest, RecordedGradientsDifferentiateToAnyOrder) {
  const auto first = client_.grad(recorded(request("y", {"x"})));
  EXPECT_THAT(values(first), ElementsAre(12));
  EXPECT_THAT(names(first->tape()), ElementsAre("y", "z", "x", "grad:x"));
  const auto second = client_.grad(recorded(request("grad:x", {"x", "w"})));
  EXPECT_THAT(values(second), ElementsAre(12, 12));
  EXPECT_THAT(values(client_.grad(recorded(request("grad:x", {"grad:x"})))), ElementsAre(1));
  // "grad:x" is now what the second call, which asked for x again, recorded.
  EXPECT_THAT(names(second->tape()), ElementsAre("y", "z", "x", "grad:x", "grad:w"));
}

TEST_F(GradTest, TakesWeightsOfOutputs) {
  v1::GradRequest weighted = request("y", {"b"});
  weighted.clear_outputs();
  for (const auto& [name, weight] : {std::pair("y", 3.0), std::pair("z", 5.0)}) {
    v1::NamedTensor& grad = *weighted.add_output_grads();
    grad.set_name(name);
    codec::encode_tensor(Tensor::scalar(weight), *grad.mutable_tensor());
  }
  EXPECT_THAT(values(client_.grad(weighted)), ElementsAre(13));
}

TEST_F(GradTest, TapeIsUsedUpUnlessKept) {
  v1::GradRequest kept = request("y", {"x"});
  kept.set_retain_tape(true);
  const auto first = client_.grad(kept);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->tape().id(), tape_);
  const auto second = client_.grad(request("y", {"x"}));
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->has_tape());
  const auto third = client_.grad(request("y", {"x"}));
  EXPECT_EQ(third.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(third.status().message(), HasSubstr("Trying to backward through the graph a second time"));
}

TEST_F(GradTest, UnusedInputIsAnErrorUnlessAllowed) {
  const auto refused = client_.grad(request("z", {"x"}));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(),
              HasSubstr("One of the differentiated Tensors appears to not have been used in the graph."));
  v1::GradRequest allowed = request("z", {"x", "b"});
  allowed.set_allow_unused(true);
  const auto grads = client_.grad(allowed);
  ASSERT_TRUE(grads.ok()) << grads.status();
  EXPECT_FALSE(grads->grads(0).has_tensor());
  EXPECT_TRUE(grads->grads(1).has_tensor());
}

TEST_F(GradTest, ConstantGradientCountsAsUnused) {
  ASSERT_TRUE(client_.grad(recorded(request("z", {"b"}))).ok());
  EXPECT_THAT(client_.grad(request("grad:b", {"b"})).status().message(),
              HasSubstr("element 0 of tensors does not require grad"));
  v1::GradRequest allowed = request("grad:b", {"b"});
  allowed.clear_outputs();
  v1::NamedTensor& weight = *allowed.add_output_grads();
  weight.set_name("grad:b");
  codec::encode_tensor(Tensor::scalar(1.0), *weight.mutable_tensor());
  allowed.set_allow_unused(true);
  const auto grads = client_.grad(allowed);
  ASSERT_TRUE(grads.ok()) << grads.status();
  EXPECT_FALSE(grads->grads(0).has_tensor());
}

TEST_F(GradTest, UnknownNamesAreRefusedWithSuggestions) {
  const auto output = client_.grad(request("yy", {"x"}));
  EXPECT_EQ(output.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(output.status().message(), HasSubstr("outputs[0]: the tape has no tensor 'yy'"));
  EXPECT_THAT(client_.grad(request("y", {"x", "q"})).status().message(),
              HasSubstr("wrt[1]: the tape has no tensor 'q'"));
  v1::GradRequest nowhere = request("y", {"x"});
  nowhere.clear_outputs();
  EXPECT_THAT(client_.grad(nowhere).status().message(),
              HasSubstr("output_grads: needed, or the names of scalars, where there are 2 outputs"));
  EXPECT_THAT(client_.grad(request("y", {})).status().message(), HasSubstr("wrt: names no tensor"));
  EXPECT_THAT(client_.grad(request("y", {"fixed"})).status().message(),
              HasSubstr("wrt[0]: 'fixed' does not require grad"));
  EXPECT_TRUE(client_.grad(request("y", {"x"})).ok()) << "the tape must have outlived the refusals";
}

}  // namespace
}  // namespace tapewire
