#include "server/rpc/state_calls.h"

#include <future>
#include <limits>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "server/codec/chunks.h"
#include "tests/server/simplenet.h"

namespace tapewire::rpc {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Handlers without a wire: what they are handed and what they answer.
class WriteStateTest : public testing::Test {
 protected:
  WriteStateTest() {
    for (const char* name : {"net", "other"}) {
      v1::ModelSpec spec;
      EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kSimpleNet, &spec));
      std::promise<absl::Status> created;
      models_.create({.name = name, .spec = spec, .seed = 1}, nullptr,
                     [&created](const auto& model) { created.set_value(model.status()); });
      EXPECT_TRUE(created.get_future().get().ok());
    }
  }

  std::unique_ptr<ClientStreamHandler<v1::WriteStateRequest, v1::WriteStateResponse>> handler() {
    return make_write_state_handler(
        backend_, std::make_shared<CallContext>("WriteState", "test", CancelToken::Clock::time_point::max()));
  }

  // The state of "net" with every number this one, a tensor a message.
  static std::vector<v1::WriteStateRequest> messages(float value) {
    codec::ChunkReader chunks({{"fc1.weight", Tensor::full({5, 10}, value)},
                               {"fc1.bias", Tensor::full({5}, value)},
                               {"fc2.weight", Tensor::full({1, 5}, value)},
                               {"fc2.bias", Tensor::full({1}, value)}},
                              1 << 20);
    std::vector<v1::WriteStateRequest> out(4);
    for (v1::WriteStateRequest& message : out) chunks.next(*message.mutable_chunk());
    out[0].set_name("net");
    return out;
  }
  static void number(v1::WriteStateRequest& message, int64_t sequence) {
    message.mutable_call_id()->set_client_id("me");
    message.mutable_call_id()->set_sequence(sequence);
  }

  absl::StatusOr<v1::WriteStateResponse> send(const std::vector<v1::WriteStateRequest>& messages) {
    const auto handled = handler();
    std::promise<absl::StatusOr<v1::WriteStateResponse>> done;
    try {
      for (const v1::WriteStateRequest& message : messages) {
        handled->message(message, Answer<void>([](const absl::Status&) {}));
      }
      handled->end(Answer<v1::WriteStateResponse>(
          [&done](absl::StatusOr<v1::WriteStateResponse> response) { done.set_value(std::move(response)); }));
    } catch (const Error& error) {
      return absl::Status(error.code(), error.message());
    }
    return done.get_future().get();
  }
  std::string fault(const std::vector<v1::WriteStateRequest>& messages) {
    const auto response = send(messages);
    EXPECT_EQ(response.status().code(), absl::StatusCode::kInvalidArgument) << response.status();
    return std::string(response.status().message());
  }
  int64_t version() const { return models_.require("net")->info().parameter_version; }

  Metrics metrics_{BuildInfo{}};
  ComputePool pool_{{.permits = 1}};
  ModelRegistry models_{{}, pool_, metrics_};
  const Backend backend_{.models = models_, .tensors = {}, .max_answer_bytes = 1 << 20, .facts = {}};
};

TEST_F(WriteStateTest, LoadsWhatCame) {
  const auto response = send(messages(1));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->parameter_version(), 1);
  EXPECT_THAT(response->missing_keys(), IsEmpty());
  EXPECT_EQ(version(), 1);
}

TEST_F(WriteStateTest, ANumberedWriteIsMadeOnce) {
  std::vector<v1::WriteStateRequest> numbered = messages(1);
  number(numbered[0], 7);
  EXPECT_EQ(send(numbered)->parameter_version(), 1);
  EXPECT_EQ(send(messages(2))->parameter_version(), 2);
  EXPECT_EQ(send(numbered)->parameter_version(), 1) << "the first answer again";
  EXPECT_EQ(version(), 2);
  number(numbered[0], 6);
  EXPECT_EQ(send(numbered).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WriteStateTest, AFailedWriteMayBeSentAgain) {
  std::vector<v1::WriteStateRequest> numbered = messages(1);
  number(numbered[0], 7);
  std::vector<v1::WriteStateRequest> cut = numbered;
  cut.pop_back();
  EXPECT_THAT(fault(cut), HasSubstr("Missing key(s) in state_dict: \"fc2.bias\""));
  EXPECT_EQ(send(numbered)->parameter_version(), 1);
}

TEST_F(WriteStateTest, OptionsBelongIntoTheFirstMessage) {
  std::vector<v1::WriteStateRequest> late = messages(1);
  late[1].set_allow_partial(true);
  EXPECT_EQ(fault(late), "allow_partial, call_id: belong into the first message of a state");
  late = messages(1);
  number(late[2], 1);
  EXPECT_EQ(fault(late), "allow_partial, call_id: belong into the first message of a state");
  EXPECT_EQ(version(), 0);
}

TEST_F(WriteStateTest, AStateIsOfOneModel) {
  std::vector<v1::WriteStateRequest> mixed = messages(1);
  mixed[1].set_name("net");
  EXPECT_TRUE(send(mixed).ok());
  mixed[1].set_name("other");
  EXPECT_EQ(fault(mixed), "name: a state is of one model, net; got 'other'");
}

TEST_F(WriteStateTest, TheFirstMessageNamesAModelThatIsThere) {
  std::vector<v1::WriteStateRequest> unknown = messages(1);
  unknown[0].set_name("nett");
  EXPECT_EQ(send(unknown).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(fault({}), "name: the stream ended before its first message");
}

TEST_F(WriteStateTest, OptionsMayTravelAlone) {
  v1::WriteStateRequest options;
  options.set_name("net");
  options.set_allow_partial(true);
  const auto response = send({options});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->missing_keys(), SizeIs(4));
  EXPECT_EQ(response->parameter_version(), 0);
}

TEST_F(WriteStateTest, AModelThatIsDeletedMeanwhileIsNotFound) {
  const auto handled = handler();
  for (const v1::WriteStateRequest& message : messages(1)) {
    handled->message(message, Answer<void>([](const absl::Status&) {}));
  }
  models_.remove("net");
  std::promise<absl::Status> done;
  handled->end(Answer<v1::WriteStateResponse>(
      [&done](const absl::StatusOr<v1::WriteStateResponse>& response) { done.set_value(response.status()); }));
  EXPECT_EQ(done.get_future().get().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tapewire::rpc
