// PyTorch's databases of operators and modules, replayed over gRPC with nothing but the contract: CreateModel with a
// graph of one call, WriteState, Forward, Grad, Grad again, ReadState, DeleteModel.

#include <algorithm>
#include <map>

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
  // Room for the databases' largest tensors in one message.
  Wire() : ServerTest({.tensor_bytes = 16 << 20, .message_bytes = 64 << 20}) {}
  const client::Client client = connect();

 private:
  void TestBody() override {}
};

class WireConformance : public CaseTest {
 protected:
  static void SetUpTestSuite() { wire = std::make_unique<Wire>(); }
  static void TearDownTestSuite() { wire.reset(); }
  void TearDown() override { static_cast<void>(client().delete_model(kModel)); }

  static const client::Client& client() { return wire->client; }

  // A served model has parameters of float32.
  static Precision precision() { return sample().state_size() > 0 ? Precision::kFloat32 : Precision::kAsRecorded; }

  static std::map<std::string, v1::Tensor> state() {
    std::map<std::string, v1::Tensor> out;
    for (const NamedTensor& entry : tensors_of(sample().state(), precision())) {
      codec::encode_tensor(entry.tensor, out[entry.name]);
    }
    return out;
  }

  static v1::ForwardRequest forward_request() {
    v1::ForwardRequest request;
    request.set_model(kModel);
    request.set_training(!sample().evaluating());
    if (sample().has_seed()) request.set_seed(sample().seed());
    if (sample().fails()) {  // perhaps for its inputs, which are no tensors then
      *request.mutable_inputs() = sample().inputs();
      return request;
    }
    for (const NamedTensor& input : inputs_of(sample(), precision())) {
      v1::NamedTensor& out = *request.add_inputs();
      out.set_name(input.name);
      codec::encode_tensor(input.tensor, *out.mutable_tensor());
    }
    request.set_keep_tape(sample().grads_size() > 0);
    for (const Result& grad : sample().grads()) {
      if (std::ranges::find(sample().inputs(), grad.name(), &v1::NamedTensor::name) != sample().inputs().end()) {
        request.add_inputs_require_grad(grad.name());
      }
    }
    return request;
  }

  // The gradients by all tensors that want one, of the results that have one.
  static absl::StatusOr<v1::GradResponse> gradients(const std::string& tape, Order order,
                                                    const google::protobuf::RepeatedPtrField<Result>& results,
                                                    const std::vector<std::string>& names) {
    v1::GradRequest request;
    request.set_model(kModel);
    request.set_tape_id(tape);
    for (int i = 0; i < results.size(); ++i) {
      if (!results[i].requires_grad()) continue;
      v1::NamedTensor& weight = *request.add_output_grads();
      weight.set_name(names[static_cast<size_t>(i)]);
      const TensorSpec spec = spec_of(results[i], precision());
      codec::encode_tensor(cotangent(order, static_cast<size_t>(i), spec), *weight.mutable_tensor());
    }
    for (const Result& grad : sample().grads()) request.add_wrt(grad.name());
    request.set_create_graph(order == Order::kFirst);
    request.set_allow_unused(true);
    return client().grad(request);
  }

  // The buffers that the case tells of, as they are now.
  static std::vector<Tensor> buffers() {
    std::vector<Tensor> out;
    if (sample().buffers_size() == 0) return out;
    const auto now = client().read_state(kModel);
    EXPECT_TRUE(now.ok()) << now.status();
    for (const Result& buffer : sample().buffers()) {
      const auto found = now->find(buffer.name());
      out.push_back(found == now->end() ? Tensor() : tensor_of(found->second, Precision::kAsRecorded));
    }
    return out;
  }

  static std::vector<Tensor> tensors(const google::protobuf::RepeatedPtrField<v1::NamedTensor>& protos) {
    std::vector<Tensor> out;
    for (const v1::NamedTensor& proto : protos) {
      out.push_back(proto.has_tensor() ? tensor_of(proto.tensor(), Precision::kAsRecorded) : Tensor());
    }
    return out;
  }

 private:
  static inline std::unique_ptr<Wire> wire;
};

TEST_P(WireConformance, GivesWhatPyTorchGives) {
  const auto created = client().create_model(kModel, definition_of(sample()));
  if (sample().fails() && !created.ok()) {
    EXPECT_EQ(created.status().code(), absl::StatusCode::kInvalidArgument) << created.status();
    return;
  }
  ASSERT_TRUE(created.ok()) << created.status();
  ASSERT_TRUE(sample().has_call()) << "no error, expected one";
  if (sample().state_size() > 0) {
    const auto written = client().write_state(kModel, state());
    ASSERT_TRUE(written.ok()) << written.status();
  }
  const auto forward = client().forward(forward_request());
  if (sample().fails()) {
    EXPECT_FALSE(forward.ok());
    EXPECT_NE(forward.status().code(), absl::StatusCode::kInternal) << forward.status();
    EXPECT_NE(forward.status().code(), absl::StatusCode::kUnknown) << forward.status();
    return;
  }
  ASSERT_TRUE(forward.ok()) << forward.status();
  Replayed replayed{.outputs = tensors(forward->outputs()), .buffers = buffers()};
  if (sample().grads_size() > 0) {
    std::vector<std::string> names;
    for (const v1::NamedTensor& output : forward->outputs()) names.push_back(output.name());
    const auto grads = gradients(forward->tape().id(), Order::kFirst, sample().outputs(), names);
    ASSERT_TRUE(grads.ok()) << grads.status();
    replayed.grads = tensors(grads->grads());
  }
  if (sample().second_grads_size() > 0) {
    std::vector<std::string> names;
    for (const Result& grad : sample().grads()) names.push_back("grad:" + grad.name());
    const auto grads = gradients(forward->tape().id(), Order::kSecond, sample().grads(), names);
    ASSERT_TRUE(grads.ok()) << grads.status();
    replayed.second_grads = tensors(grads->grads());
  }
  EXPECT_EQ(difference(sample(), replayed, precision()), "");
}

INSTANTIATE_TEST_SUITE_P(Database, WireConformance, testing::ValuesIn(call_cases()), case_test_name);

class WireInitialConformance : public WireConformance {};

TEST_P(WireInitialConformance, BeginsWithThePyTorchValues) {
  const auto created = client().create_model(kModel, definition_of(sample()), {.seed = sample().seed()});
  ASSERT_TRUE(created.ok()) << created.status();
  const auto state = client().read_state(kModel);
  ASSERT_TRUE(state.ok()) << state.status();
  std::vector<Tensor> values;
  for (const v1::NamedTensor& entry : sample().initial()) {
    ASSERT_TRUE(state->contains(entry.name())) << entry.name();
    values.push_back(tensor_of(state->at(entry.name()), Precision::kAsRecorded));
  }
  EXPECT_EQ(initial_difference(sample(), values), "");
}

INSTANTIATE_TEST_SUITE_P(Database, WireInitialConformance, testing::ValuesIn(initial_cases()), case_test_name);

}  // namespace
}  // namespace tapewire::conformance
