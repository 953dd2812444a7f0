#include <thread>

#include "tests/e2e/server_fixture.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

constexpr absl::StatusCode kExhausted = absl::StatusCode::kResourceExhausted;

// A server at whose limits one is soon. Each refusal is counted by the flag of its limit, which the message names.
class RejectionTest : public testing::Test {
 protected:
  static constexpr int64_t kTensorBytes = 4000;
  static constexpr int64_t kMessageBytes = 8000;

  RejectionTest() {
    auto started = rpc::RpcServer::start({"127.0.0.1", 0}, environment_, backend_);
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    auto client = client::Client::connect(to_string(server_->address()), {.max_attempts = 1});
    EXPECT_TRUE(client.ok()) << client.status();
    client_.emplace(*std::move(client));
    v1::ModelSpec spec = definition(kSimpleNet);
    (*spec.mutable_modules(1)->mutable_attributes())["out_features"].set_int_value(kWide);
    (*spec.mutable_modules(2)->mutable_attributes())["in_features"].set_int_value(kWide);
    EXPECT_TRUE(client_->create_model("net", spec).ok());
  }
  ~RejectionTest() override { server_.reset(); }

  static v1::ForwardRequest forward(int64_t rows) {
    v1::ForwardRequest request;
    request.set_model("net");
    v1::Tensor& x = *request.add_inputs()->mutable_tensor();
    x.set_dtype(v1::DATA_TYPE_FLOAT32);
    x.add_shape(rows);
    x.add_shape(10);
    x.set_data(std::string(static_cast<size_t>(rows) * 10 * sizeof(float), '\0'));
    return request;
  }

  void expect_rejected(const absl::Status& status, absl::StatusCode code, const std::string& reason,
                       const std::string& named) const {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(named));
    EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_rejected_total{reason=\"" + reason + "\"} "));
  }
  void expect_at_limit(const absl::Status& status, const std::string& flag) const {
    expect_rejected(status, kExhausted, flag, "--" + flag);
  }

  static constexpr int64_t kWide = 2000;
  Metrics metrics_{BuildInfo{}};
  Logger logger_{LogFormat::kText, LogLevel::kOff};
  ComputePool pool_{{.permits = 1}};
  ModelRegistry models_{{.model = {.definition = {.max_tensor_bytes = 1 << 20}, .max_queue = 1, .max_tapes = 1},
                         .max_models = 1,
                         .hooks = {.max_hooks = 1}},
                        pool_,
                        metrics_};
  rpc::CallGate gate_;
  const rpc::Environment environment_{metrics_, logger_, gate_, {.max_message_bytes = kMessageBytes}};
  const rpc::Backend backend_{
      .models = models_, .tensors = {.max_tensor_bytes = kTensorBytes}, .max_answer_bytes = kMessageBytes, .facts = {}};
  std::unique_ptr<rpc::RpcServer> server_;
  std::optional<client::Client> client_;
};

TEST_F(RejectionTest, MaxModels) {
  expect_at_limit(client_->create_model("other", definition(kSimpleNet)).status(), "max_models");
}

TEST_F(RejectionTest, MaxMessageBytes) {
  expect_at_limit(client_->forward(forward(300)).status(), "max_message_bytes");
}

TEST_F(RejectionTest, MaxMessageBytesOfAnAnswer) {
  v1::ForwardRequest request = forward(4);
  request.add_capture("fc1");
  expect_at_limit(client_->forward(request).status(), "max_message_bytes");
}

TEST_F(RejectionTest, MaxTensorBytes) { expect_at_limit(client_->forward(forward(150)).status(), "max_tensor_bytes"); }

TEST_F(RejectionTest, MaxTapes) {
  v1::ForwardRequest request = forward(4);
  request.set_keep_tape(true);
  ASSERT_TRUE(client_->forward(request).ok());
  expect_at_limit(client_->forward(request).status(), "max_tapes");
}

TEST_F(RejectionTest, MaxHooks) {
  v1::Hook hook;
  hook.set_target("fc1");
  hook.set_kind(v1::HOOK_KIND_FORWARD);
  hook.mutable_observe();
  ASSERT_TRUE(client_->register_hook("net", hook).ok());
  expect_at_limit(client_->register_hook("net", hook).status(), "max_hooks");
}

TEST_F(RejectionTest, TensorMemoryLimitWithinTwoModules) {
  const int64_t before = tensor_allocator().limit();
  tensor_allocator().set_limit(tensor_allocator().stats().live + 100'000, "--tensor_memory_limit");
  expect_at_limit(client_->forward(forward(80)).status(), "tensor_memory_limit");
  tensor_allocator().set_limit(before, "--tensor_memory_limit");
}

TEST_F(RejectionTest, MaxQueue) {
  // One computes, one waits; of more at a time some are too many.
  std::atomic<bool> refused{false};
  std::vector<std::jthread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int k = 0; k < 10'000 && !refused; ++k) {
        v1::ForwardRequest request = forward(80);
        request.set_training(true);
        const absl::Status status = client_->forward(request).status();
        if (status.ok() || refused.exchange(true)) continue;
        expect_at_limit(status, "max_queue");
      }
    });
  }
  callers.clear();
  EXPECT_TRUE(refused);
}

TEST_F(RejectionTest, Draining) {
  gate_.drain();
  expect_rejected(client_->forward(forward(4)).status(), absl::StatusCode::kUnavailable, "draining", "draining");
}

}  // namespace
}  // namespace tapewire
