// ReadState and WriteState over a socket.

#include <atomic>
#include <set>
#include <thread>

#include "tests/e2e/server_fixture.h"
#include "tests/wait.h"

namespace tapewire {
namespace {

using client::ChunkSource;
using testing::HasSubstr;
using State = std::map<std::string, v1::Tensor>;

class StateTest : public ServerTest {
 protected:
  StateTest() {
    EXPECT_TRUE(client_.create_model("net", definition(kSimpleNet), {.seed = 1}).ok());
    EXPECT_TRUE(client_.create_model("other", definition(kSimpleNet), {.seed = 2}).ok());
  }

  State read(const std::string& model = "net") const {
    auto state = client_.read_state(model);
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() ? *std::move(state) : State();
  }
  static std::string bytes(const State& state) {
    std::string out;
    for (const auto& [key, tensor] : state) out += tensor.data();
    return out;
  }
  static v1::TensorChunk chunk(const std::string& name, const client::Shape& shape, int64_t offset, size_t size) {
    v1::TensorChunk out;
    out.set_name(name);
    if (!shape.empty()) out.set_dtype(v1::DATA_TYPE_FLOAT32);
    out.mutable_shape()->Assign(shape.begin(), shape.end());
    out.set_offset(offset);
    out.set_data(std::string(size, 'x'));
    return out;
  }
  /// Gives these, then none.
  static ChunkSource all_of(std::vector<v1::TensorChunk> chunks) {
    return [chunks = std::move(chunks), at = size_t{0}]() mutable -> absl::StatusOr<std::optional<v1::TensorChunk>> {
      if (at == chunks.size()) return std::nullopt;
      return std::optional(chunks[at++]);
    };
  }
  /// The fault of writing these, after which the model is as it was.
  std::string refusal(const std::vector<v1::TensorChunk>& chunks,
                      absl::StatusCode code = absl::StatusCode::kInvalidArgument) const {
    const std::string before = bytes(read());
    const auto response = client_.write_state("net", all_of(chunks), {.allow_partial = true});
    EXPECT_EQ(response.status().code(), code) << response.status();
    EXPECT_EQ(bytes(read()), before);
    EXPECT_EQ(client_.get_model("net")->parameter_version(), 0);
    return std::string(response.status().message());
  }
  static v1::TrainStepRequest step() {
    v1::TrainStepRequest out;
    out.set_model("net");
    *out.add_inputs() = client::named("x", client::make_tensor<float>({4, 10}, std::vector<float>(40, 0.1f)));
    *out.add_targets() = client::named("", client::make_tensor<float>({4, 1}, std::vector<float>(4, 1.0f)));
    return out;
  }

  const client::Client client_ = connect();
};

TEST_F(StateTest, MovesFromOneModelToAnother) {
  ASSERT_TRUE(client_.train_step(step()).ok());
  const State state = read();
  EXPECT_EQ(state.size(), 4u);
  EXPECT_NE(bytes(read("other")), bytes(state));
  const auto response = client_.write_state("other", state);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->parameter_version(), 1);
  EXPECT_EQ(bytes(read("other")), bytes(state));
  EXPECT_EQ(client_.get_model("other")->parameter_version(), 1);
}

TEST_F(StateTest, KeysAreChosenByGlobs) {
  const auto state = client_.read_state("net", {.keys = {"fc1.*"}, .progress = {}});
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->size(), 2u);
  EXPECT_THAT(std::string(client_.read_state("net", {.keys = {"fc3.*"}, .progress = {}}).status().message()),
              HasSubstr("keys: 'fc3.*' matches no key"));
}

TEST_F(StateTest, ReadingTellsHowMuchHasCome) {
  int64_t most = 0;
  ASSERT_TRUE(client_.read_state("net", {.keys = {}, .progress = [&most](int64_t bytes) { most = bytes; }}).ok());
  EXPECT_EQ(most, (50 + 5 + 5 + 1) * 4);
}

TEST_F(StateTest, ChunksThatMakeNoTensorsAreRefused) {
  EXPECT_THAT(refusal({chunk("fc1.bias", {5}, 0, 8), chunk("fc1.bias", {}, 12, 8)}),
              HasSubstr("chunk of 'fc1.bias': expects offset 8, got 12"));
  EXPECT_THAT(refusal({chunk("fc1.bias", {5}, 0, 8), chunk("fc1.bias", {}, 4, 8)}), HasSubstr("expects offset 8"));
  EXPECT_THAT(refusal({chunk("fc1.bias", {5}, 4, 16)}), HasSubstr("expects offset 0"));
  EXPECT_THAT(refusal({chunk("fc1.bias", {5}, 0, 8), chunk("fc2.bias", {1}, 0, 4)}), HasSubstr("is not complete"));
  EXPECT_THAT(refusal({chunk("fc1.bias", {5}, 0, 20), chunk("fc1.bias", {5}, 0, 20)}), HasSubstr("already complete"));
  EXPECT_THAT(refusal({chunk("fc1.bias", {5}, 0, 24)}), HasSubstr("expects 20 bytes, got 24"));
  EXPECT_THAT(refusal({chunk("fc2.bias", {1}, 0, 4), chunk("fc1.bias", {5}, 0, 16)}),
              HasSubstr("the stream ended before the tensor was complete: 16 of 20 bytes"));
  EXPECT_THAT(refusal({chunk("fc1.bias", {-5}, 0, 20)}), HasSubstr("shape: expects sizes of 0 or more"));
  EXPECT_THAT(refusal({chunk("fc1.bias", {6}, 0, 24)}), HasSubstr("size mismatch for fc1.bias"));
}

TEST_F(StateTest, ATensorAboveTheLimitIsRefusedAtItsFirstChunk) {
  EXPECT_THAT(refusal({chunk("fc1.bias", {kMaxTensorBytes}, 0, 4)}, absl::StatusCode::kResourceExhausted),
              HasSubstr("--max_tensor_bytes"));
}

TEST_F(StateTest, WhatComesCountsAsTensorMemory) {
  const int64_t before = tensor_allocator().stats().live;
  tensor_allocator().set_limit(before + (3 << 20), "--tensor_memory_limit");
  std::vector<v1::TensorChunk> chunks;
  for (int i = 0; i < 4; ++i) chunks.push_back(chunk(str_cat("extra", i), {1 << 18}, 0, 1 << 20));
  EXPECT_THAT(refusal(chunks, absl::StatusCode::kResourceExhausted), HasSubstr("--tensor_memory_limit"));
  // So do names, and tensors that are still coming.
  chunks.clear();
  for (int i = 0; i < 4000; ++i) chunks.push_back(chunk(str_cat(std::string(1000, 'n'), i), {1}, 0, 4));
  EXPECT_THAT(refusal(chunks, absl::StatusCode::kResourceExhausted), HasSubstr("--tensor_memory_limit"));
  tensor_allocator().set_limit(before + (1 << 18), "--tensor_memory_limit");
  chunks = {chunk("extra", {1 << 18}, 0, 1 << 19)};
  EXPECT_THAT(refusal(chunks, absl::StatusCode::kResourceExhausted), HasSubstr("--tensor_memory_limit"));
  tensor_allocator().set_limit(int64_t{1} << 30, "--tensor_memory_limit");
  // The server lets go once it is done with the call, which may be after the client is.
  const auto left = [before] { return tensor_allocator().stats().live - before; };
  wait_until([&] { return left() <= 1 << 18; });
  EXPECT_LE(left(), 1 << 18);
}

TEST_F(StateTest, AWriteThatIsBrokenOffChangesNothing) {
  const std::string before = bytes(read());
  State state = read("other");
  auto at = state.begin();
  const auto broken = [&]() -> absl::StatusOr<std::optional<v1::TensorChunk>> {
    if (at == state.end()) return absl::DataLossError("the disk is gone");
    v1::TensorChunk out;
    out.set_name(at->first);
    out.set_dtype(at->second.dtype());
    *out.mutable_shape() = at->second.shape();
    out.set_data(at->second.data());
    ++at;
    return std::optional(out);
  };
  EXPECT_EQ(client_.write_state("net", broken).status(), absl::DataLossError("the disk is gone"));
  EXPECT_EQ(bytes(read()), before);
  EXPECT_EQ(client_.get_model("net")->parameter_version(), 0);
}

TEST_F(StateTest, EveryStateThatIsReadWhileTrainingIsOneBetweenTwoSteps) {
  constexpr int kSteps = 40;
  std::set<std::string> between{bytes(read())};
  const State first = read();
  for (int i = 0; i < kSteps; ++i) {
    ASSERT_TRUE(client_.train_step(step()).ok());
    between.insert(bytes(read()));
  }
  ASSERT_EQ(between.size(), kSteps + 1u);

  ASSERT_TRUE(client_.delete_model("net").ok());
  ASSERT_TRUE(client_.create_model("net", definition(kSimpleNet), {.seed = 1}).ok());
  ASSERT_EQ(bytes(read()), bytes(first));
  std::atomic<bool> trained{false};
  std::thread trainer([&] {
    const client::Client own = connect();
    for (int i = 0; i < kSteps; ++i) EXPECT_TRUE(own.train_step(step()).ok());
    trained = true;
  });
  while (!trained) EXPECT_EQ(between.count(bytes(read())), 1u);
  trainer.join();
}

}  // namespace
}  // namespace tapewire
