#pragma once

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cpp/client.h"
#include "client/cpp/definition.h"
#include "client/cpp/tensor.h"
#include "core/tensor/allocator.h"
#include "server/rpc/backend.h"
#include "server/rpc/rpc_server.h"
#include "tests/server/simplenet.h"

namespace tapewire {

inline v1::ModelSpec definition(const std::string& text) {
  auto spec = client::parse_definition(text, client::DefinitionFormat::kText, "test");
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.ok() ? *spec : v1::ModelSpec();
}

/// The whole server in this process, so that sanitizers see it, and a client that reaches it over a socket.
class ServerTest : public testing::Test {
 protected:
  static constexpr int64_t kMaxTensorBytes = 1 << 20;
  static constexpr int64_t kMaxMessageBytes = 8 << 20;

  struct Limits {
    int64_t tensor_bytes = kMaxTensorBytes;
    int64_t message_bytes = kMaxMessageBytes;
  };

  ServerTest() : ServerTest(Limits()) {}
  explicit ServerTest(Limits limits) : limits_(limits) {
    tensor_allocator().set_limit(int64_t{1} << 30, "--tensor_memory_limit");
    auto started = rpc::RpcServer::start({"127.0.0.1", 0}, environment_, backend_);
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }
  ~ServerTest() override { server_.reset(); }

  /// On a connection of its own.
  client::Client connect() const {
    auto client = client::Client::connect(to_string(server_->address()));
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  const Limits limits_;
  Metrics metrics_{BuildInfo{}};
  Logger logger_{LogFormat::kText, LogLevel::kError};
  ComputePool pool_{{.permits = 2}};
  ModelRegistry models_{{.model = {.definition = {.max_tensor_bytes = limits_.tensor_bytes}}}, pool_, metrics_};
  rpc::CallGate gate_;
  const rpc::Environment environment_{metrics_, logger_, gate_, {.max_message_bytes = limits_.message_bytes}};
  const rpc::Backend backend_{.models = models_,
                              .tensors = {.max_tensor_bytes = limits_.tensor_bytes},
                              .max_answer_bytes = limits_.message_bytes,
                              .facts = {}};
  std::unique_ptr<rpc::RpcServer> server_;
};

}  // namespace tapewire
