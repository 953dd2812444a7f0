#include <limits>
#include <string>

#include "tests/e2e/server_fixture.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

// Requests that no good client sends. Each gets its code and a message that says where and what; the server serves on.
class MalformedTest : public ServerTest {
 protected:
  MalformedTest() { EXPECT_TRUE(client_.create_model("net", definition(kSimpleNet)).ok()); }
  ~MalformedTest() override {
    // Nothing was lost, and nothing was made.
    EXPECT_EQ(client_.list_models()->size(), 1);
    EXPECT_TRUE(client_.infer("net", input({4, 10}, 160)).ok());
  }

  static v1::NamedTensor input(const client::Shape& shape, size_t bytes, v1::DataType dtype = v1::DATA_TYPE_FLOAT32) {
    v1::NamedTensor named;
    named.set_name("x");
    named.mutable_tensor()->set_dtype(dtype);
    named.mutable_tensor()->mutable_shape()->Assign(shape.begin(), shape.end());
    named.mutable_tensor()->set_data(std::string(bytes, '\0'));
    return named;
  }

  void expect_refused(const v1::NamedTensor& x, absl::StatusCode code, const std::string& message) const {
    expect(client_.infer("net", x).status(), code, message);
  }
  void expect_refused(const v1::ModelSpec& spec, absl::StatusCode code, const std::string& message) const {
    expect(client_.create_model("bad", spec).status(), code, message);
  }
  static void expect(const absl::Status& status, absl::StatusCode code, const std::string& message) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    EXPECT_LT(status.message().size(), 4096u) << "fits into a trailer";
  }

  static v1::ModelSpec simplenet() { return definition(kSimpleNet); }

  client::Client client_ = connect();
};

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

TEST_F(MalformedTest, Tensors) {
  expect_refused(input({4, 10}, 159), kInvalid, "inputs[0] 'x': tensor float32[4, 10] expects 160 bytes, got 159");
  expect_refused(input({4, 10}, 0), kInvalid, "inputs[0] 'x': tensor float32[4, 10] expects 160 bytes, got 0");
  expect_refused(input({-4, 10}, 160), kInvalid, "inputs[0] 'x': shape: expects sizes of 0 or more, got [-4, 10]");
  expect_refused(input({kHuge, 10}, 160), kInvalid, "inputs[0] 'x': shape: shape [9223372036854775807, 10] overflows");
  expect_refused(input({1 << 31, 1 << 31, 4}, 0), kInvalid, "inputs[0] 'x': ");
  expect_refused(input({1, 10}, 40, v1::DATA_TYPE_UNSPECIFIED), kInvalid, "inputs[0] 'x': ");
  expect_refused(input({1, 10}, 40, static_cast<v1::DataType>(99)), kInvalid, "inputs[0] 'x': ");
  expect_refused(input(client::Shape(100000, 1), 4), kInvalid, "inputs[0].tensor.shape: 100000 items; at most 64");
  expect_refused(input({1 << 19, 10}, 0), absl::StatusCode::kResourceExhausted,
                 "inputs[0] 'x': tensor float32[524288, 10] is larger than --max_tensor_bytes=1048576 allows");
  v1::NamedTensor bools = input({1, 10}, 10, v1::DATA_TYPE_BOOL);
  bools.mutable_tensor()->mutable_data()->at(7) = 2;
  expect_refused(bools, kInvalid, "inputs[0] 'x': ");
}

TEST_F(MalformedTest, Operators) {
  v1::ModelSpec spec = simplenet();
  spec.mutable_modules(0)->mutable_forward()->mutable_calls(1)->set_op("rleu");
  expect_refused(spec, kInvalid, "forward.calls[1]: unknown op 'rleu'; did you mean 'relu'?");
  spec = simplenet();
  spec.mutable_modules(1)->set_type("Liner");
  expect_refused(spec, kInvalid, "fc1: unknown module type 'Liner'; did you mean 'Linear'?");
}

TEST_F(MalformedTest, Names) {
  v1::ModelSpec spec = simplenet();
  spec.mutable_modules(0)->mutable_forward()->mutable_calls(2)->mutable_args(0)->set_ref("b");
  expect_refused(spec, kInvalid, "forward.calls[2].args[0]: unknown name 'b'");
  spec = simplenet();
  spec.mutable_modules(0)->mutable_forward()->mutable_calls(1)->set_results(0, "x");
  expect_refused(spec, kInvalid, "forward.calls[1].results: name 'x' is bound twice");
  spec = simplenet();
  spec.mutable_modules(0)->mutable_forward()->mutable_calls(0)->set_module("fc3");
  expect_refused(spec, kInvalid, "forward.calls[0]");
  spec = simplenet();
  spec.mutable_modules(2)->set_path("fc1");
  expect_refused(spec, kInvalid, "fc1: modules[2]: path is given twice");
  expect(client_.create_model("net", simplenet()).status(), absl::StatusCode::kAlreadyExists, "'net'");
  expect(client_.create_model(std::string(100000, 'n'), simplenet()).status(), kInvalid, "name");
  expect(client_.create_model("", simplenet()).status(), kInvalid, "name");
  expect(client_.create_model("../etc\n", simplenet()).status(), kInvalid, "name");
  expect(client_.get_model("nett").status(), absl::StatusCode::kNotFound, "no model 'nett'; did you mean 'net'?");
}

TEST_F(MalformedTest, Nesting) {
  v1::ModelSpec spec = simplenet();
  std::string path = "a";
  for (int i = 1; i < 100; ++i) path += ".a";
  spec.mutable_modules(1)->set_path(path);
  expect_refused(spec, kInvalid, "100 segments; at most 64");
  spec.mutable_modules(1)->set_path(std::string(2000, 'a'));
  expect_refused(spec, kInvalid, "spec.modules[1].path: 2000 bytes; at most 1024");

  // Past what the definition allows, and past what the wire does.
  for (const int levels : {33, 40, 60, 5000}) {
    spec = simplenet();
    v1::Argument* at = spec.mutable_modules(0)->mutable_forward()->mutable_calls(1)->mutable_args(0);
    for (int i = 0; i < levels; ++i) at = at->mutable_list()->add_items();
    at->set_ref("h");
    expect_refused(spec, kInvalid, "nested deeper than");
  }
}

TEST_F(MalformedTest, Sizes) {
  v1::ModelSpec spec = simplenet();
  (*spec.mutable_modules(1)->mutable_attributes())["out_features"].set_int_value(int64_t{1} << 40);
  expect_refused(spec, absl::StatusCode::kResourceExhausted, "--tensor_memory_limit");
  (*spec.mutable_modules(1)->mutable_attributes())["out_features"].set_int_value(kHuge);
  expect_refused(spec, kInvalid, "fc1");
  (*spec.mutable_modules(1)->mutable_attributes())["out_features"].set_int_value(-5);
  expect_refused(spec, kInvalid, "fc1: Linear: in_features and out_features must not be negative, got 10 and -5");
  spec = simplenet();
  v1::ParameterSpec* parameter = spec.mutable_modules(0)->add_parameters();
  parameter->set_name("w");
  parameter->add_shape(-1);
  expect_refused(spec, kInvalid, "w: negative dimension -1 in shape [-1]");
  parameter->set_shape(0, kHuge);
  parameter->add_shape(kHuge);
  expect_refused(spec, kInvalid, "overflows the count of elements");
}

TEST_F(MalformedTest, Lists) {
  v1::ModelSpec spec = simplenet();
  for (int i = 0; i < 1001; ++i) spec.add_inputs();
  expect_refused(spec, kInvalid, "spec.inputs: 1001 items; at most 1000");
  spec = simplenet();
  for (int i = 0; i < 300'000; ++i) spec.add_modules();
  expect_refused(spec, kInvalid, "spec.modules: 300003 items; at most 20000");
  spec = simplenet();
  for (int i = 0; i < 100'000; ++i) spec.mutable_modules(0)->mutable_forward()->add_calls();
  expect_refused(spec, kInvalid, "spec.modules[0].forward.calls: 100003 items; at most 100000");
  v1::ForwardRequest request;
  request.set_model("net");
  *request.add_inputs() = input({4, 10}, 160);
  for (int i = 0; i < 20'001; ++i) request.add_capture("fc1");
  expect(client_.forward(request).status(), kInvalid, "capture: 20001 items; at most 20000");
  const auto named = client::Client::connect(to_string(server_->address()), {.client_id = std::string(5 << 20, 'c')});
  v1::StepRequest step;
  step.set_model("net");
  expect(named->step(step).status(), kInvalid, "call_id.client_id: 5242880 bytes; at most 256");
}

TEST_F(MalformedTest, MemoryOfWhatIsParsed) {
  v1::ModelSpec spec = simplenet();
  for (int i = 0; i < 15'000; ++i) spec.add_modules();
  expect_refused(spec, kInvalid, "bytes of memory; at most ");
}

TEST_F(MalformedTest, Numbers) {
  v1::ModelSpec spec = simplenet();
  (*spec.mutable_optimizer()->mutable_attributes())["lr"].set_double_value(std::numeric_limits<double>::quiet_NaN());
  expect_refused(spec, kInvalid, "optimizer");
  v1::ForwardRequest request;
  request.set_model("net");
  *request.add_inputs() = input({4, 10}, 160);
  request.mutable_lease()->set_seconds(-1);
  request.set_keep_tape(true);
  expect(client_.forward(request).status(), kInvalid, "lease");
}

}  // namespace
}  // namespace tapewire
