#include "server/observe/rejection.h"
#include "server/rpc/request_id.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace tapewire::rpc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

TEST(RequestId, TakesASaneOneFromTheClient) {
  for (const char* id : {"a", "0af7651916cd43dd", "web-1:req_2.3", "A"}) EXPECT_EQ(request_id(id), id);
  EXPECT_EQ(request_id(std::string(64, 'x')), std::string(64, 'x'));
}

TEST(RequestId, MakesOneInPlaceOfWhatIsNotSane) {
  for (const std::string& id : {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a\nb"),
                                std::string("a=\"b\""), std::string("\xc3\xa4"), std::string("a\0b", 3)}) {
    EXPECT_THAT(request_id(id), MatchesRegex("[0-9a-f]{16}")) << id;
  }
  EXPECT_NE(request_id(""), request_id(""));
}

class CallLogTest : public RpcTest {
 protected:
  // ZeroGrad answers what `answer_` says, after what it notes.
  void bind() {
    autograd_.unary<v1::ZeroGradRequest, v1::ZeroGradResponse>(
        "ZeroGrad", [this](const Context& context, const auto& request, ZeroGradAnswer answer) {
          context->note("model", request.model());
          context->announce("gradients cleared");
          if (answer_.ok()) {
            answer(v1::ZeroGradResponse());
          } else {
            answer(answer_);
          }
        });
  }
  // The x-request-id that comes back.
  std::string call_as(const std::string& id) {
    grpc::ClientContext context;
    if (!id.empty()) context.AddMetadata("x-request-id", id);
    v1::ZeroGradRequest request;
    request.set_model("net");
    v1::ZeroGradResponse response;
    EXPECT_EQ(stub_->ZeroGrad(&context, request, &response).ok(), answer_.ok());
    const auto& metadata = context.GetServerInitialMetadata();
    const auto found = metadata.find("x-request-id");
    return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
  }
  size_t lines(const std::string& event) const {
    const std::string text = log_.str();
    size_t count = 0;
    for (size_t at = 0; (at = text.find(" " + event + " ", at)) != std::string::npos; ++at) ++count;
    return count;
  }

  absl::Status answer_;
};

TEST_F(CallLogTest, TheRequestsIdIsToldToTheClientAndInTheLog) {
  bind();
  start();
  EXPECT_EQ(call_as("client-7"), "client-7");
  EXPECT_THAT(log_.str(), HasSubstr(" info gradients cleared method=tapewire.v1.AutogradService/ZeroGrad "
                                    "request_id=client-7 peer=ipv4:127.0.0.1:"));
  const std::string made = call_as("");
  EXPECT_THAT(made, MatchesRegex("[0-9a-f]{16}"));
  EXPECT_THAT(log_.str(), HasSubstr(" request_id=" + made + " "));
  answer_ = limit_status("max_queue", "too much, --max_queue");
  const std::string failed = call_as("not sane");
  EXPECT_THAT(failed, MatchesRegex("[0-9a-f]{16}"));
  EXPECT_THAT(log_.str(), HasSubstr(" request_id=" + failed + " "));
}

TEST_F(CallLogTest, AStreamsIdComesBeforeItsFirstMessage) {
  struct Idle : BidiHandler<v1::TrainRequest, v1::TrainResponse> {
    void message(v1::TrainRequest, Answer<v1::TrainResponse> answer) override { answer(v1::TrainResponse()); }
  };
  autograd_.bidi<v1::TrainRequest, v1::TrainResponse>("Train", [](const Context&) { return std::make_unique<Idle>(); });
  start();
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "stream-1");
  const auto stream = stub_->Train(&context);
  EXPECT_TRUE(stream->Write(v1::TrainRequest()));
  v1::TrainResponse response;
  EXPECT_TRUE(stream->Read(&response));
  EXPECT_EQ(context.GetServerInitialMetadata().count("x-request-id"), 1u);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(CallLogTest, WhatAHandlerAnnouncesIsLoggedWithItsNotesIfTheCallSucceeds) {
  bind();
  start();
  call_as("");
  EXPECT_THAT(log_.str(), MatchesRegex("(.|\n)* info gradients cleared .* code=OK seconds=[0-9.e-]* model=net\n"));
  answer_ = absl::NotFoundError("no model 'net'");
  call_as("");
  EXPECT_EQ(lines("gradients cleared"), 1u);
  EXPECT_EQ(lines("call"), 0u) << "at debug only";
}

TEST_F(CallLogTest, ARejectionSaysItsReason) {
  bind();
  start();
  answer_ = limit_status("max_queue", "the queue is full, see --max_queue" + std::string(2000, '.'));
  call_as("");
  EXPECT_THAT(log_.str(), HasSubstr(" info call rejected "));
  EXPECT_THAT(log_.str(), AllOf(HasSubstr(" reason=max_queue model=net message=\"the queue is full"),
                                HasSubstr(" code=RESOURCE_EXHAUSTED")));
  EXPECT_LT(log_.str().size(), 1000u);
}

TEST_F(CallLogTest, RejectionsDoNotFillTheLog) {
  bind();
  start();
  answer_ = limit_status("max_queue", "the queue is full, see --max_queue");
  const int calls = 4 * Logger::kBurst;
  for (int i = 0; i < calls; ++i) call_as("");
  EXPECT_GE(lines("call rejected"), size_t{Logger::kBurst});
  EXPECT_LT(lines("call rejected"), size_t{calls} / 2);
  answer_ = limit_status("max_models", "too many models, see --max_models");
  call_as("");
  EXPECT_THAT(log_.str(), HasSubstr("reason=max_models")) << "another reason has its own lines";
  EXPECT_EQ(metric("tapewire_rejected_total", "max_queue"), calls);
}

TEST_F(CallLogTest, ASlowCallIsLogged) {
  environment_.slow_call = 0s;
  autograd_.unary<v1::ZeroGradRequest, v1::ZeroGradResponse>(
      "ZeroGrad", [](const Context& context, const auto&, ZeroGradAnswer answer) {
        context->note("queue_seconds", 0.25);
        answer(v1::ZeroGradResponse());
      });
  start();
  call_as("slow-1");
  EXPECT_THAT(log_.str(), MatchesRegex("(.|\n)* info slow call .*request_id=slow-1 .*queue_seconds=0.25\n"));
}

TEST_F(CallLogTest, AFaultOfTheServerIsAnError) {
  bind();
  start();
  answer_ = absl::InternalError("lost");
  call_as("x");
  EXPECT_THAT(log_.str(), HasSubstr(" error call failed method=tapewire.v1.AutogradService/ZeroGrad request_id=x "));
}

TEST(CallContext, KeepsNoMoreNotesThanItMay) {
  CallContext context("s/m", "peer", CancelToken::Clock::time_point::max());
  for (int i = 0; i < 100; ++i) context.note("key", std::string(1000, 'x'));
  EXPECT_EQ(context.notes().size(), CallContext::kMaxNotes);
  EXPECT_EQ(std::get<std::string>(context.notes()[0].value).size(), CallContext::kMaxNoteBytes);
}

}  // namespace
}  // namespace tapewire::rpc
