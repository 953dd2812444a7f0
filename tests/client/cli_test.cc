#include "client/cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "client/cpp/client.h"
#include "tests/client/fake/fake_server.h"

namespace tapewire::client {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

/// Runs commands against a fake server; a folder with a data file goes with the test.
class CliTest : public testing::Test {
 protected:
  CliTest() {
    std::string pattern = testing::TempDir() + "tapewire-cli-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    // Three samples of two inputs; the class is the larger input's index, except for the last.
    data_ = folder_ + "/data.csv";
    std::ofstream(data_) << "x,y,class\n1,0,0\n0,1,1\n0,1,0\n";
  }
  ~CliTest() override { std::filesystem::remove_all(folder_); }

  int run(std::vector<std::string> arguments) {
    out_.str("");
    err_.str("");
    arguments.insert(arguments.end(), {"--server", server_.address()});
    return run_cli(arguments, Console(out_, err_, false, false, 80));
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  std::vector<json> json_lines() const {
    std::vector<json> values;
    std::istringstream lines(out());
    for (std::string line; std::getline(lines, line);) values.push_back(json::parse(line));
    return values;
  }
  std::string write_definition(const std::string& text) const {
    std::ofstream(folder_ + "/net.txtpb") << text;
    return folder_ + "/net.txtpb";
  }

  FakeServer server_;
  std::string folder_;
  std::string data_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CliTest, HelpAndVersionAreNoErrors) {
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_THAT(out(), HasSubstr("Exit codes:"));
  EXPECT_EQ(run({"--version"}), 0);
  EXPECT_THAT(out(), StartsWith("tapewire "));
}

TEST_F(CliTest, WrongUsageIsTwo) {
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({"models", "creat"}), 2);
  EXPECT_EQ(run({"train", "net"}), 2);
  EXPECT_THAT(err(), HasSubstr("--data"));
  EXPECT_EQ(run({"train", "net", "--data", data_, "--inputs", "x.npy"}), 2);
  EXPECT_EQ(run({"train", "net", "--data", data_, "--epochs", "0"}), 2);
  EXPECT_EQ(run({"hooks", "add", "net", "fc1", "--kind", "sideways"}), 2);
}

TEST_F(CliTest, AServerThatIsNotThereIsThree) {
  EXPECT_EQ(run_cli({"status", "--server", "127.0.0.1:1"}, Console(out_, err_, false, false, 80)), 3);
  EXPECT_THAT(err(), HasSubstr("cannot connect to 127.0.0.1:1"));
}

TEST_F(CliTest, ADrainingServerIsThree) {
  server_.fail_next("GetModel", absl::UnavailableError("draining"), 100);
  EXPECT_EQ(run({"models", "show", "net"}), 3);
}

TEST_F(CliTest, BadFilesAreFour) {
  EXPECT_EQ(run({"models", "create", "net", "-f", folder_ + "/no.txtpb"}), 4);
  EXPECT_EQ(run({"models", "create", "net", "-f", write_definition("modules {\n oops\n}")}), 4);
  EXPECT_THAT(err(), HasSubstr("net.txtpb:"));
  EXPECT_EQ(run({"train", "net", "--data", folder_ + "/no.csv"}), 4);
}

TEST_F(CliTest, WhatTheServerRefusesIsOneWithItsCodeAndMessage) {
  EXPECT_EQ(run({"models", "show", "nobody"}), 1);
  EXPECT_EQ(err(), "tapewire: no model \"nobody\" (NOT_FOUND)\n");
  EXPECT_EQ(run({"models", "show", "nobody", "--json"}), 1);
  EXPECT_EQ(json::parse(err())["error"]["code"], "NOT_FOUND");
}

TEST_F(CliTest, ModelsAreCreatedListedShownAndDeleted) {
  const std::string file = write_definition("modules { type: \"Linear\" }");
  EXPECT_EQ(run({"models", "create", "net", "-f", file, "--seed", "1234", "--validate-only"}), 0);
  EXPECT_FALSE(server_.has_model("net"));
  EXPECT_EQ(run({"models", "create", "net", "-f", file, "--seed", "1234"}), 0);
  EXPECT_THAT(out(), HasSubstr("created net: 1,234 parameters"));
  EXPECT_EQ(run({"models", "list"}), 0);
  EXPECT_THAT(out(), HasSubstr("net"));
  EXPECT_EQ(run({"models", "list", "--json"}), 0);
  EXPECT_EQ(json_lines().at(0)["name"], "net");
  EXPECT_EQ(run({"models", "show", "net"}), 0);
  EXPECT_THAT(out(), AllOf(HasSubstr("(fc1): Linear"), HasSubstr("fc1.weight"), HasSubstr("[3, 2]")));
  EXPECT_EQ(run({"models", "show", "net", "--definition"}), 0);
  EXPECT_THAT(out(), HasSubstr("type: \"Linear\""));
  EXPECT_EQ(run({"models", "delete", "net"}), 0);
  EXPECT_FALSE(server_.has_model("net"));
}

TEST_F(CliTest, TrainPrintsALineAnEpoch) {
  server_.add_model("net");
  ASSERT_EQ(run({"train", "net", "--data", data_, "--class-targets", "--eval-data", data_, "--epochs", "2", "--batch",
                 "2", "--json"}),
            0)
      << err();
  const auto epochs = json_lines();
  ASSERT_EQ(epochs.size(), 2u);
  EXPECT_EQ(epochs[0]["steps"], 2);
  // Losses 1 and 1/2 of batches of 2 and 1 samples.
  EXPECT_NEAR(epochs[0]["loss"].get<double>(), (2 * 1.0 + 1 * 0.5) / 3, 1e-9);
  EXPECT_EQ(epochs[1]["step"], 4);
  EXPECT_NEAR(epochs[0]["evaluation"]["metrics"]["accuracy"].get<double>(), 2.0 / 3, 1e-9);
  ASSERT_EQ(run({"train", "net", "--data", data_, "--class-targets"}), 0);
  EXPECT_THAT(out(), AllOf(HasSubstr("epoch"), HasSubstr("seconds")));
}

TEST_F(CliTest, TrainWatchesGradientsAndTakesItsHooksAway) {
  server_.add_model("net");
  ASSERT_EQ(run({"train", "net", "--data", data_, "--class-targets", "--epochs", "3", "--watch", "fc1,fc2", "--json"}),
            0)
      << err();
  const auto epochs = json_lines();
  ASSERT_EQ(epochs.size(), 3u);
  EXPECT_TRUE(epochs[2]["gradient_norms"]["fc1"].is_number());
  EXPECT_TRUE(epochs[2]["gradient_norms"]["fc2"].is_number());
  EXPECT_EQ(server_.hook_count(), 0u);
}

TEST_F(CliTest, TrainFailsWhenAWatchedGradientIsNotFinite) {
  server_.add_model("net");
  server_.set_nonfinite(2);
  EXPECT_EQ(run({"train", "net", "--data", data_, "--class-targets", "--watch", "fc1"}), 1);
  EXPECT_THAT(err(), HasSubstr("fc1: "));
  EXPECT_EQ(server_.hook_count(), 0u);
}

TEST_F(CliTest, AFailedStepEndsTrainingAndTakesItsHooksAway) {
  server_.add_model("net");
  server_.fail_train_at(2, absl::InvalidArgumentError("fc1: linear expects input [*, 3], got [1, 2]"));
  EXPECT_EQ(run({"train", "net", "--data", data_, "--class-targets", "--batch", "1", "--watch", "fc1"}), 1);
  EXPECT_THAT(err(), HasSubstr("fc1: linear expects input"));
  EXPECT_EQ(server_.hook_count(), 0u);
}

TEST_F(CliTest, AnInterruptEndsTrainingAndTakesItsHooksAway) {
  server_.add_model("net");
  std::thread interrupter([this] {
    server_.wait_for_train_steps(20);
    std::raise(SIGINT);
  });
  const int code = run({"train", "net", "--data", data_, "--class-targets", "--epochs", "1000000", "--watch", "fc1"});
  interrupter.join();
  EXPECT_EQ(code, 130);
  EXPECT_EQ(server_.hook_count(), 0u);
}

TEST_F(CliTest, EvalPrintsMetrics) {
  server_.add_model("net");
  ASSERT_EQ(run({"eval", "net", "--data", data_, "--class-targets", "--batch", "1"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("0.2500"), HasSubstr("0.6667"), HasSubstr("3")));
  EXPECT_EQ(run({"eval", "net", "--data", data_, "--class-targets", "--metric", "accuracyy"}), 1);
  EXPECT_THAT(err(), HasSubstr("unknown metric"));
}

TEST_F(CliTest, PredictShowsClassesAndMistakes) {
  server_.add_model("net");
  ASSERT_EQ(run({"predict", "net", "--data", data_, "--class-targets"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("probability"), HasSubstr("wrong"), HasSubstr("2 of 3 right")));
  ASSERT_EQ(run({"predict", "net", "--data", data_, "--class-targets", "--start", "2", "--json"}), 0);
  const auto lines = json_lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["index"], 2);
  EXPECT_EQ(lines[0]["prediction"], 1);
  EXPECT_EQ(lines[0]["label"], 0);
  EXPECT_EQ(run({"predict", "net", "--data", data_, "--start", "3"}), 2);
}

TEST_F(CliTest, PredictOfARegressionShowsValues) {
  server_.add_model("net");
  ASSERT_EQ(run({"predict", "net", "--data", data_, "--count", "1"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("output"), HasSubstr("1  0")));
}

TEST_F(CliTest, PredictDrawsImages) {
  server_.add_model("net");
  const std::string images = folder_ + "/images";
  std::ofstream(images, std::ios::binary)
      << std::string({0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 8}) << std::string(16, '\xff');
  ASSERT_EQ(run({"predict", "net", "--images", images, "--show", "1"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("@@@@@@@@"));
}

TEST_F(CliTest, HooksAreAddedListedWatchedAndRemoved) {
  ASSERT_EQ(run({"hooks", "add", "net", "fc1", "--kind", "backward"}), 0) << err();
  EXPECT_EQ(out(), "hook-0  on fc1\n");
  ASSERT_EQ(run({"hooks", "list", "net"}), 0);
  EXPECT_THAT(out(), AllOf(HasSubstr("hook-0"), HasSubstr("backward"), HasSubstr("observe stats")));
  server_.send_hook_events(7);
  server_.send_hook_events(8);
  ASSERT_EQ(run({"hooks", "watch", "net", "--count", "2"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("grad_output"), HasSubstr("[2, 3]"), HasSubstr("-0.5..0.25"), HasSubstr("none")));
  ASSERT_EQ(run({"hooks", "watch", "net", "--count", "1", "--json"}), 0);
  EXPECT_EQ(json_lines().at(0)["step"], 7);
  ASSERT_EQ(run({"hooks", "remove", "net", "hook-0"}), 0);
  EXPECT_EQ(server_.hook_count(), 0u);
  EXPECT_EQ(run({"hooks", "remove", "net", "hook-0"}), 1);
}

TEST_F(CliTest, StatusIsAHealthCheck) {
  EXPECT_EQ(run({"status"}), 0);
  EXPECT_THAT(out(), AllOf(HasSubstr("serving"), HasSubstr("1.2.3"), HasSubstr("3.0 MiB"), HasSubstr("--max_models")));
  EXPECT_EQ(run({"status", "--json"}), 0);
  EXPECT_EQ(json_lines().at(0)["serving"], true);
  server_.set_serving(false);
  EXPECT_EQ(run({"status"}), 1);
  EXPECT_THAT(out(), HasSubstr("not serving"));
}

TEST_F(CliTest, OpsListsTheCatalogue) {
  EXPECT_EQ(run({"ops"}), 0);
  EXPECT_THAT(out(), HasSubstr("relu"));
  EXPECT_EQ(run({"ops", "softmax", "--kind", "op"}), 0);
  EXPECT_THAT(out(), StartsWith("softmax(input)"));
  EXPECT_EQ(run({"ops", "nothing"}), 1);
}

TEST_F(CliTest, TheServerIsTakenFromTheEnvironment) {
  setenv("TAPEWIRE_SERVER", server_.address().c_str(), 1);
  EXPECT_EQ(run_cli({"status"}, Console(out_, err_, false, false, 80)), 0);
  unsetenv("TAPEWIRE_SERVER");
}

}  // namespace
}  // namespace tapewire::client
