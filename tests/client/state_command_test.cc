#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/cli/cli.h"
#include "client/cli/console.h"
#include "core/io/safetensors.h"
#include "tests/client/fake/fake_server.h"

namespace tapewire::client {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

/// `tapewire state` against a fake server, in a folder that goes with the test.
class StateCommandTest : public testing::Test {
 protected:
  StateCommandTest() {
    std::string pattern = testing::TempDir() + "tapewire-state-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    server_.add_model("net");
  }
  ~StateCommandTest() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  int run(std::vector<std::string> arguments) {
    out_.str("");
    err_.str("");
    arguments.insert(arguments.end(), {"--server", server_.address()});
    return run_cli(arguments, Console(out_, err_, false, false, 80));
  }
  static v1::TensorChunk chunk(const std::string& name, v1::DataType dtype, int64_t count, const std::string& data) {
    v1::TensorChunk out;
    out.set_name(name);
    out.set_dtype(dtype);
    out.add_shape(count);
    out.set_data(data);
    return out;
  }

  FakeServer server_;
  std::string folder_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(StateCommandTest, PullWritesAFileThatOtherLoadersTake) {
  server_.set_chunks({chunk("b", v1::DATA_TYPE_BOOL, 2, std::string("\1\0", 2)),
                      chunk("w", v1::DATA_TYPE_FLOAT32, 1, std::string("\0\0\x80\x3f", 4)),
                      chunk("none", v1::DATA_TYPE_INT64, 0, "")});
  ASSERT_EQ(run({"state", "pull", "net", path("a.safetensors")}), 0) << err_.str();
  EXPECT_EQ(out_.str(), "wrote " + path("a.safetensors") + ": 3 tensors (6 B)\n");
  const auto content = read_safetensors(path("a.safetensors"));
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_THAT(content->metadata, ElementsAre(Pair("format", "pt")));
  ASSERT_EQ(content->tensors.size(), 3u);
  EXPECT_EQ(content->tensors[1].name, "w");
  EXPECT_EQ(content->tensors[1].tensor.item<float>(), 1);
}

TEST_F(StateCommandTest, PullOfWhatAFileCannotHoldWritesNothing) {
  server_.set_chunks({chunk("w", v1::DATA_TYPE_FLOAT16, 1, "ab")});
  EXPECT_EQ(run({"state", "pull", "net", path("a")}), 4);
  EXPECT_EQ(err_.str(), "tapewire: tensor 'w': a file cannot hold float16\n");
  EXPECT_FALSE(std::filesystem::exists(path("a")));
}

TEST_F(StateCommandTest, PullIntoNoFolderNamesThePath) {
  EXPECT_EQ(run({"state", "pull", "net", path("absent/a")}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("cannot write " + path("absent/a")));
}

TEST_F(StateCommandTest, PullOfNoModelIsTheServersFault) {
  EXPECT_EQ(run({"state", "pull", "absent", path("a")}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("(NOT_FOUND)"));
}

TEST_F(StateCommandTest, PushSendsTheFile) {
  ASSERT_TRUE(
      write_safetensors(path("a"), {{"w", Tensor::full({600, 600}, 2)}, {"s", Tensor::scalar(int64_t{5})}}).ok());
  v1::WriteStateResponse response;
  response.set_parameter_version(1234);
  server_.set_write_state_response(response);
  ASSERT_EQ(run({"state", "push", "net", path("a")}), 0) << err_.str();
  EXPECT_EQ(out_.str(), "loaded net: 2 tensors (1.4 MiB), parameter version 1,234\n");
  const auto written = server_.written_state();
  ASSERT_EQ(written.size(), 3u);
  EXPECT_EQ(written[0].name(), "net");
  EXPECT_FALSE(written[0].allow_partial());
  EXPECT_EQ(written[0].chunk().name(), "s");
  EXPECT_EQ(written[0].chunk().dtype(), v1::DATA_TYPE_INT64);
  EXPECT_EQ(written[2].chunk().offset(), 1 << 20);
}

TEST_F(StateCommandTest, PartialPushTellsWhatDidNotFit) {
  ASSERT_TRUE(write_safetensors(path("a"), {{"x", Tensor::zeros({1})}}).ok());
  v1::WriteStateResponse response;
  response.add_missing_keys("fc1.weight");
  response.add_missing_keys("fc1.bias");
  response.add_unexpected_keys("x\033");
  server_.set_write_state_response(response);
  ASSERT_EQ(run({"state", "push", "net", path("a"), "--allow-partial"}), 0) << err_.str();
  EXPECT_EQ(out_.str(),
            "loaded net: 1 tensor (4 B), parameter version 0\n"
            "missing     fc1.weight\n"
            "            fc1.bias\n"
            "unexpected  x?\n");
  EXPECT_TRUE(server_.written_state()[0].allow_partial());
}

TEST_F(StateCommandTest, PushOfABrokenFileSendsNothing) {
  std::ofstream(path("a")) << "nonsense";
  EXPECT_EQ(run({"state", "push", "net", path("a")}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("tapewire: " + path("a") + ": the header's length is"));
  EXPECT_EQ(run({"state", "push", "net", path("absent")}), 4);
  EXPECT_EQ(err_.str(), "tapewire: cannot open " + path("absent") + ": No such file or directory\n");
  EXPECT_TRUE(server_.seen_calls().empty());
}

TEST_F(StateCommandTest, AFileFoundBrokenWhileItIsSentIsTheFilesFault) {
  const std::string header = R"({"m":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})";
  std::ofstream(path("a"), std::ios::binary)
      << static_cast<char>(header.size()) << std::string(7, '\0') << header << '\2';
  EXPECT_EQ(run({"state", "push", "net", path("a")}), 4);
  EXPECT_EQ(err_.str(), "tapewire: " + path("a") + ": tensor 'm': a bool is a byte 0 or 1, got 2 at index 0\n");
  EXPECT_TRUE(server_.written_state().empty());
}

TEST_F(StateCommandTest, AnswersAreJsonIfAsked) {
  server_.set_chunks({chunk("w", v1::DATA_TYPE_UINT8, 1, "a")});
  ASSERT_EQ(run({"--json", "state", "pull", "net", path("a")}), 0);
  EXPECT_EQ(json::parse(out_.str()), (json{{"model", "net"}, {"file", path("a")}, {"tensors", 1}, {"bytes", 1}}));
  ASSERT_EQ(run({"--json", "state", "push", "net", path("a")}), 0);
  const json answer = json::parse(out_.str());
  EXPECT_EQ(answer["tensors"], 1);
  EXPECT_EQ(answer["parameter_version"], 0);
  EXPECT_TRUE(answer["missing_keys"].empty());
}

}  // namespace
}  // namespace tapewire::client
