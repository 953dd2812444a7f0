#include "core/base/error.h"
#include "google/protobuf/io/coded_stream.h"
#include "server/model/strand.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace tapewire::rpc {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class UnaryCallTest : public RpcTest {
 protected:
  void bind(UnaryHandler<v1::ZeroGradRequest, v1::ZeroGradResponse> handler) {
    autograd_.unary<v1::ZeroGradRequest, v1::ZeroGradResponse>("ZeroGrad", std::move(handler));
  }
};

TEST_F(UnaryCallTest, AnswersAndCounts) {
  std::string model, method, peer;
  bind([&](const Context& context, const auto& request, const auto& answer) {
    model = request.model();
    method = context->method();
    peer = context->peer();
    answer(v1::ZeroGradResponse());
  });
  start();
  EXPECT_TRUE(zero_grad("net").ok());
  EXPECT_EQ(model, "net");
  EXPECT_EQ(method, "tapewire.v1.AutogradService/ZeroGrad");
  EXPECT_THAT(peer, HasSubstr("127.0.0.1"));
  EXPECT_EQ(metric("tapewire_rpc_duration_seconds", "code=\"OK\",method=\"tapewire.v1.AutogradService/ZeroGrad\""), 1);
  EXPECT_EQ(metric("tapewire_rpc_in_flight", "ZeroGrad"), 0);
}

TEST_F(UnaryCallTest, WhatTheHandlerThrowsIsTheStatus) {
  bind([](const Context&, const auto& request, const auto&) {
    if (request.model() == "memory") throw std::bad_alloc();
    fail_with(absl::StatusCode::kNotFound, "model '", request.model(), "' is not here");
  });
  start();
  const grpc::Status status = zero_grad("net");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "model 'net' is not here");
  EXPECT_EQ(zero_grad("memory").error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(metric("tapewire_rpc_duration_seconds", "NOT_FOUND"), 1);
}

TEST_F(UnaryCallTest, AnswerComesFromAStrand) {
  ComputePool pool({.permits = 2});
  Strand strand(pool, {.name = "model 'm'"});
  int steps = 0;
  bind([&](const Context& context, const auto&, const auto& answer) {
    strand.submit(
        {.cancel = context->cancel()},
        [&] {
          ++steps;
          return v1::ZeroGradResponse();
        },
        answer);
  });
  start();
  std::vector<std::thread> clients;
  std::atomic<int> ok{0};
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      for (int k = 0; k < 25; ++k) ok += zero_grad("m").ok();
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(ok, 100);
  EXPECT_EQ(steps, 100);
}

TEST_F(UnaryCallTest, ADroppedAnswerIsInternal) {
  bind([](const Context&, const auto&, const auto&) {});
  start();
  const grpc::Status status = zero_grad("net");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(status.error_message(), HasSubstr("without an answer"));
}

TEST_F(UnaryCallTest, OnlyTheFirstAnswerCounts) {
  bind([](const Context&, const auto&, const auto& answer) {
    answer(v1::ZeroGradResponse());
    answer(absl::InternalError("second"));
    throw std::runtime_error("third");
  });
  start();
  EXPECT_TRUE(zero_grad("net").ok());
}

TEST_F(UnaryCallTest, UnboundMethodsSayTheirName) {
  start();
  grpc::ClientContext context;
  v1::GradResponse response;
  const grpc::Status status = stub_->Grad(&context, v1::GradRequest(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("tapewire.v1.AutogradService/Grad"));
}

TEST_F(UnaryCallTest, ClientsCancellationReachesTheHandler) {
  std::atomic<bool> arrived{false};
  bind([&](const Context& context, const auto&, ZeroGradAnswer answer) {
    context->cancel()->on_cancel([context, answer] { answer(context->cancel()->status()); });
    arrived = true;
  });
  start();
  grpc::ClientContext context;
  std::thread canceller([&] {
    eventually([&] { return arrived.load(); });
    context.TryCancel();
  });
  v1::ZeroGradResponse response;
  EXPECT_EQ(stub_->ZeroGrad(&context, v1::ZeroGradRequest(), &response).error_code(), grpc::StatusCode::CANCELLED);
  canceller.join();
  EXPECT_TRUE(eventually([&] { return metric("tapewire_rpc_duration_seconds", "CANCELLED") == 1; }));
}

// The client's own clock may end the call a moment before the deadline that it sent has passed here: what is answered
// after that deadline is late, whoever cancelled first.
TEST_F(UnaryCallTest, ClientsDeadlineIsTheTokensAndIsTold) {
  std::atomic<bool> has_deadline{false};
  bind([&](const Context& context, const auto&, ZeroGradAnswer answer) {
    const auto deadline = context->cancel()->token().deadline();
    has_deadline = deadline <= CancelToken::Clock::now() + 1s;
    context->cancel()->on_cancel([deadline, answer] {
      std::this_thread::sleep_until(deadline);
      answer(absl::CancelledError("stopped"));
    });
  });
  start();
  EXPECT_EQ(zero_grad("net", 500ms).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(has_deadline);
  EXPECT_TRUE(eventually([&] { return metric("tapewire_rpc_duration_seconds", "DEADLINE_EXCEEDED") == 1; }));
}

TEST_F(UnaryCallTest, ADisconnectedClientCancels) {
  std::atomic<bool> arrived{false}, cancelled{false};
  bind([&](const Context& context, const auto&, ZeroGradAnswer answer) {
    context->cancel()->on_cancel([&cancelled, answer] {
      cancelled = true;
      answer(absl::CancelledError("gone"));
    });
    arrived = true;
  });
  start();
  {
    const auto channel = new_channel();
    const auto stub = v1::AutogradService::NewStub(channel);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    auto call = stub->AsyncZeroGrad(&context, v1::ZeroGradRequest(), &queue);
    v1::ZeroGradResponse response;
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    ASSERT_TRUE(eventually([&] { return arrived.load(); }));
    context.TryCancel();
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
  }
  EXPECT_TRUE(eventually([&] { return cancelled.load(); }));
}

// A ZeroGradRequest whose call_id.client_id announces more than there is.
TEST_F(UnaryCallTest, MalformedRequestSaysWhereAndTheServerServesOn) {
  bind([](const Context&, const auto&, const auto& answer) { answer(v1::ZeroGradResponse()); });
  start();
  const grpc::Status status = send_raw("AutogradService/ZeroGrad", std::string("\x12\x03\x0a\x7f\x61", 5));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "call_id.client_id: truncated: expects 127 bytes, got 1");
  EXPECT_TRUE(zero_grad("net").ok());
}

TEST_F(UnaryCallTest, NestingPastTheLimitIsInvalidArgumentNotUnimplemented) {
  autograd_.unary<v1::ApplyRequest, v1::ApplyResponse>(
      "Apply", [](const Context&, const auto&, const auto& answer) { answer(v1::ApplyResponse()); });
  start();
  // An Argument in 10,000 lists: graph.calls[0].args[0].list.items[0]...
  std::string bytes("\x0a\x01x", 3);
  const auto wrap = [&bytes](char tag) {
    char length[10];
    const auto* end = google::protobuf::io::CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(bytes.size()),
                                                                                    reinterpret_cast<uint8_t*>(length));
    bytes = tag + std::string(length, reinterpret_cast<const char*>(end) - length) + bytes;
  };
  for (int i = 0; i < 10000; ++i) {
    wrap('\x0a');  // ArgumentList.items
    wrap('\x1a');  // Argument.list
  }
  wrap('\x22');  // Call.args
  wrap('\x12');  // Graph.calls
  wrap('\x1a');  // ApplyRequest.graph
  const grpc::Status status = send_raw("AutogradService/Apply", bytes);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), StartsWith("graph.calls[0].args[0].list.items[0].list.items[0]"));
  EXPECT_THAT(status.error_message(), HasSubstr("nested deeper than 32 levels of Argument"));
}

TEST_F(UnaryCallTest, MessageOverTheLimitNamesTheFlag) {
  bind([](const Context&, const auto&, const auto& answer) { answer(v1::ZeroGradResponse()); });
  start();
  const grpc::Status status = zero_grad(std::string(kMaxMessage + 1, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("--max_message_bytes=1048576"));
  EXPECT_EQ(metric("tapewire_rejected_total", "max_message_bytes"), 1);
  // gRPC's own limit stands behind ours.
  EXPECT_EQ(zero_grad(std::string(16 * kMaxMessage, 'x')).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(zero_grad("net").ok());
}

TEST_F(UnaryCallTest, AnswerOverTheLimitNamesTheStreamingCalls) {
  autograd_.unary<v1::ForwardRequest, v1::ForwardResponse>(
      "Forward", [](const Context&, const auto&, const auto& answer) {
        v1::ForwardResponse response;
        response.add_outputs()->mutable_tensor()->set_data(std::string(kMaxMessage, 'x'));
        answer(std::move(response));
      });
  start();
  grpc::ClientContext context;
  v1::ForwardResponse response;
  const grpc::Status status = stub_->Forward(&context, v1::ForwardRequest(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("ReadGradients"));
}

TEST(RawServiceTest, BindingWhatTheContractDoesNotHaveFailsAtTheStart) {
  Metrics metrics({"test", "none"});
  Logger logger(LogFormat::kText, LogLevel::kOff);
  CallGate gate;
  const Environment environment{metrics, logger, gate, {}};
  TestService service(environment, "tapewire.v1.AutogradService");
  using Request = v1::ZeroGradRequest;
  using Response = v1::ZeroGradResponse;
  const auto handler = [](const Context&, const auto&, const auto&) {};
  EXPECT_THROW((service.unary<Request, Response>("ZeroGradd", handler)), Error);
  EXPECT_THROW((service.unary<Request, v1::StepResponse>("ZeroGrad", handler)), Error);
  EXPECT_THROW((service.server_stream<Request, Response>("ZeroGrad", handler)), Error);
  service.unary<Request, Response>("ZeroGrad", handler);
  EXPECT_THROW((service.unary<Request, Response>("ZeroGrad", handler)), Error);
  EXPECT_THROW(TestService(environment, "tapewire.v1.NoService"), Error);
}

TEST(UnservedField, IsUnimplementedByName) {
  EXPECT_EQ(unserved_field("detect_anomaly").code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(unserved_field("detect_anomaly").message()), StartsWith("detect_anomaly: "));
}

}  // namespace
}  // namespace tapewire::rpc
