// PyTorch's operator database, replayed over gRPC with nothing but the contract: CreateModel with a graph of one call,
// Forward, Grad, Grad again, DeleteModel.

#include <gtest/gtest.h>

#include "server/codec/tensor_codec.h"
#include "tests/conformance/case_suite.h"
#include "tests/conformance/definition.h"
#include "tests/conformance/replay.h"
#include "tests/e2e/server_fixture.h"

namespace tapewire::conformance {
namespace {

constexpr char kModel[] = "case";

// One server and one connection for all cases.
class Wire : public ServerTest {
 public:
  const client::Client client = connect();

 private:
  void TestBody() override {}
};

class WireConformance : public CaseTest {
 protected:
  static void SetUpTestSuite() { wire_ = std::make_unique<Wire>(); }
  static void TearDownTestSuite() { wire_.reset(); }
  void TearDown() override { static_cast<void>(client().delete_model(kModel)); }

  static const client::Client& client() { return wire_->client; }

  static v1::ForwardRequest forward_request() {
    v1::ForwardRequest request;
    request.set_model(kModel);
    *request.mutable_inputs() = sample().inputs();
    request.set_training(true);
    request.set_keep_tape(sample().grads_size() > 0);
    for (const Result& grad : sample().grads()) request.add_inputs_require_grad(grad.name());
    if (sample().has_seed()) request.set_seed(sample().seed());
    return request;
  }

  // The gradients by all inputs that want one, of the results that have one.
  static absl::StatusOr<v1::GradResponse> gradients(const std::string& tape, int order,
                                                    const google::protobuf::RepeatedPtrField<Result>& results,
                                                    const std::vector<std::string>& names) {
    v1::GradRequest request;
    request.set_model(kModel);
    request.set_tape_id(tape);
    for (int i = 0; i < results.size(); ++i) {
      if (!results[i].requires_grad()) continue;
      v1::NamedTensor& weight = *request.add_output_grads();
      weight.set_name(names[static_cast<size_t>(i)]);
      const Tensor like = codec::decode_tensor(v1::Tensor(results[i].tensor()), "case", {});
      codec::encode_tensor(cotangent(order, static_cast<size_t>(i), like), *weight.mutable_tensor());
    }
    for (const Result& grad : sample().grads()) request.add_wrt(grad.name());
    request.set_create_graph(order == 0);
    request.set_allow_unused(true);
    return client().grad(request);
  }

  static std::vector<Tensor> tensors(const google::protobuf::RepeatedPtrField<v1::NamedTensor>& protos) {
    std::vector<Tensor> out;
    for (const v1::NamedTensor& proto : protos) {
      out.push_back(proto.has_tensor() ? codec::decode_tensor(v1::Tensor(proto.tensor()), proto.name(), {}) : Tensor());
    }
    return out;
  }

 private:
  static inline std::unique_ptr<Wire> wire_;
};

TEST_P(WireConformance, GivesWhatPyTorchGives) {
  const auto created = client().create_model(kModel, definition_of(sample()));
  if (sample().fails() && !created.ok()) {
    EXPECT_EQ(created.status().code(), absl::StatusCode::kInvalidArgument) << created.status();
    return;
  }
  ASSERT_TRUE(created.ok()) << created.status();
  const auto forward = client().forward(forward_request());
  if (sample().fails()) {
    EXPECT_FALSE(forward.ok());
    EXPECT_NE(forward.status().code(), absl::StatusCode::kInternal) << forward.status();
    EXPECT_NE(forward.status().code(), absl::StatusCode::kUnknown) << forward.status();
    return;
  }
  ASSERT_TRUE(forward.ok()) << forward.status();
  Replayed replayed;
  replayed.outputs = tensors(forward->outputs());
  if (sample().grads_size() > 0) {
    std::vector<std::string> names;
    for (const v1::NamedTensor& output : forward->outputs()) names.push_back(output.name());
    const auto grads = gradients(forward->tape().id(), 0, sample().outputs(), names);
    ASSERT_TRUE(grads.ok()) << grads.status();
    replayed.grads = tensors(grads->grads());
  }
  if (sample().second_grads_size() > 0) {
    std::vector<std::string> names;
    for (const Result& grad : sample().grads()) names.push_back("grad:" + grad.name());
    const auto grads = gradients(forward->tape().id(), 1, sample().grads(), names);
    ASSERT_TRUE(grads.ok()) << grads.status();
    replayed.second_grads = tensors(grads->grads());
  }
  EXPECT_EQ(difference(sample(), replayed, Precision::kAsRecorded), "");
}

INSTANTIATE_TEST_SUITE_P(Database, WireConformance, testing::ValuesIn(call_cases()), case_test_name);

}  // namespace
}  // namespace tapewire::conformance
