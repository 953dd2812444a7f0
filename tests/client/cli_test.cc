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

#include "absl/strings/str_cat.h"
#include "client/cli/dataset.h"
#include "client/cpp/client.h"
#include "client/cpp/tensor.h"
#include "tests/client/fake/fake_server.h"
#include "tests/wait.h"

namespace tapewire::client {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

/// Raises SIGINT once a command listens for it: before, it would end the process.
void interrupt_the_command() {
  ASSERT_TRUE(wait_until([] {
    struct sigaction action{};
    return sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler != SIG_DFL;
  }));
  std::raise(SIGINT);
}

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

TEST_F(CliTest, UsageErrorsSayWhatIsWrongAndWhereToLook) {
  EXPECT_EQ(run({"bogus"}), 2);
  EXPECT_EQ(err(), "tapewire: unknown command 'bogus'; see tapewire --help\n");
  EXPECT_EQ(run({"models", "bogus"}), 2);
  EXPECT_EQ(err(), "tapewire: unknown command 'models bogus'; see tapewire models --help\n");
  EXPECT_EQ(run({"models"}), 2);
  EXPECT_EQ(err(), "tapewire: a command is required; see tapewire models --help\n");
  EXPECT_EQ(run({"train"}), 2);
  EXPECT_EQ(err(), "tapewire: MODEL is required; see tapewire train --help\n");
  EXPECT_EQ(run({"status", "now"}), 2);
  EXPECT_EQ(err(), "tapewire: unexpected argument 'now'; see tapewire status --help\n");
  EXPECT_EQ(run({"status", "--verbose"}), 2);
  EXPECT_EQ(err(), "tapewire: unknown option '--verbose'; see tapewire status --help\n");
}

TEST_F(CliTest, NumbersOutOfRangeAreUsageErrors) {
  const auto fault = [this](std::vector<std::string> arguments) {
    EXPECT_EQ(run(std::move(arguments)), 2);
    return err();
  };
  EXPECT_EQ(fault({"train", "net", "--epochs", "0"}),
            "tapewire: --epochs: expects a whole number from 1 to 2147483647, got 0\n");
  EXPECT_EQ(fault({"train", "net", "--lr", "fast"}), "tapewire: --lr: expects a number above 0, got fast\n");
  EXPECT_EQ(fault({"train", "net", "--lr", "nan"}), "tapewire: --lr: expects a number above 0, got nan\n");
  EXPECT_EQ(fault({"train", "net", "--in-flight", "65"}),
            "tapewire: --in-flight: expects a whole number from 1 to 64, got 65\n");
  EXPECT_EQ(fault({"predict", "net", "--start", "-1"}),
            "tapewire: --start: expects a whole number from 0 to 9223372036854775807, got -1\n");
  EXPECT_EQ(fault({"predict", "net", "--count", "1.5"}),
            "tapewire: --count: expects a whole number from 1 to 9223372036854775807, got 1.5\n");
}

TEST_F(CliTest, WholeNumbersReachTheLargestThatTheirOptionHolds) {
  const std::string most32 = "2147483647";
  const std::string more32 = "2147483648";
  const std::string most64 = "9223372036854775807";
  const std::string more64 = "9223372036854775808";
  struct Option {
    std::vector<std::string> command;
    std::string name;
    std::string least, too_little;
    std::string most, too_much;
  };
  const std::vector<std::string> train{"train", "net", "--data", data_};
  const std::vector<std::string> eval{"eval", "net", "--data", data_};
  const std::vector<std::string> predict{"predict", "net", "--data", data_};
  const std::vector<std::string> add{"hooks", "add", "net", "fc1"};
  const std::vector<std::string> watch{"hooks", "watch", "net"};
  const std::vector<Option> options{
      {train, "--epochs", "1", "0", most32, more32},
      {train, "--batch", "1", "0", most64, more64},
      {train, "--in-flight", "1", "0", "64", "65"},
      {train, "--target-columns", "0", "-1", most32, more32},
      {train, "--seed", "0", "-1", "18446744073709551615", "18446744073709551616"},
      {eval, "--batch", "1", "0", most64, more64},
      {predict, "--start", "0", "-1", most64, more64},
      {predict, "--count", "1", "0", most64, more64},
      {predict, "--show", "1", "0", most64, more64},
      {add, "--histogram", "1", "0", "4096", "4097"},
      {add, "--max-tensor-bytes", "1", "0", most64, more64},
      {add, "--every", "1", "0", most32, more32},
      {watch, "--count", "1", "0", most64, more64},
      {watch, "--buffer", "1", "0", "65536", "65537"},
      {{"models", "create", "net", "-f", "no.txtpb"},
       "--seed",
       "-9223372036854775808",
       "-9223372036854775809",
       most64,
       more64},
  };
  // Nobody listens there: what is right comes as far as the data or the connection.
  const auto run_nowhere = [this](std::vector<std::string> arguments, const Option& option, const std::string& value) {
    arguments.insert(arguments.end(),
                     {option.name, value, "--server", "unix:" + folder_ + "/no.sock", "--timeout", "0.05"});
    err_.str("");
    const int code = run_cli(arguments, Console(out_, err_, false, false, 80));
    return std::pair(code, err());
  };
  for (const Option& option : options) {
    for (const std::string& value : {option.least, option.most}) {
      const auto [code, error] = run_nowhere(option.command, option, value);
      EXPECT_NE(code, 0);
      EXPECT_THAT(error, Not(HasSubstr(option.name + ": "))) << value;
      EXPECT_THAT(error, Not(HasSubstr("onvert"))) << option.name << " " << value;
    }
    for (const std::string& value : {option.too_little, option.too_much, std::string("1e3"), std::string("")}) {
      const auto [code, error] = run_nowhere(option.command, option, value);
      EXPECT_EQ(code, 2) << option.name << " " << value;
      EXPECT_THAT(error, HasSubstr(option.name)) << value;
      EXPECT_EQ(error, "tapewire: " + option.name + ": expects a whole number from " + option.least + " to " +
                           option.most + ", got " + value + "\n");
    }
  }
}

TEST_F(CliTest, NumbersAreFinite) {
  const auto fault_of = [this](std::vector<std::string> arguments, const std::string& value) {
    arguments.insert(arguments.end(), {value, "--server", "unix:" + folder_ + "/no.sock"});
    err_.str("");
    run_cli(arguments, Console(out_, err_, false, false, 80));
    return err();
  };
  const std::vector<std::string> train{"train", "net", "--data", data_};
  const auto with = [](std::vector<std::string> command, const std::string& option) {
    command.push_back(option);
    return command;
  };
  for (const char* option : {"--lr", "--clip-norm", "--std", "--timeout"}) {
    for (const char* good : {"1e308", "1e-300"}) {
      EXPECT_THAT(fault_of(with(train, option), good), Not(HasSubstr(option))) << good;
    }
    for (const char* bad : {"0", "-1", "1e309", "inf", "nan", "1x"}) {
      EXPECT_EQ(fault_of(with(train, option), bad),
                absl::StrCat("tapewire: ", option, ": expects a number above 0, got ", bad, "\n"));
    }
  }
  EXPECT_EQ(fault_of(with(train, "--mean"), "inf"), "tapewire: --mean: expects a number, got inf\n");
  // As many seconds as a protobuf Duration holds.
  const std::vector<std::string> lease{"hooks", "add", "net", "fc1", "--lease"};
  EXPECT_THAT(fault_of(lease, "315576000000"), Not(HasSubstr("--lease")));
  EXPECT_EQ(fault_of(lease, "315576000001"),
            "tapewire: --lease: expects a number above 0, at most 315576000000, got 315576000001\n");
}

TEST_F(CliTest, ABatchMayBeLargerThanTheData) {
  server_.add_model("net");
  ASSERT_EQ(run({"train", "net", "--data", data_, "--class-targets", "--batch", "9223372036854775807", "--json"}), 0)
      << err();
  EXPECT_EQ(json_lines().at(0)["steps"], 1);
  EXPECT_EQ(json_lines().at(0)["samples"], 3);
  ASSERT_EQ(run({"eval", "net", "--data", data_, "--class-targets", "--batch", "9223372036854775807"}), 0) << err();
}

TEST_F(CliTest, UsageErrorsAreJsonIfAsked) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--json", "bogus"},
                                                    {"train", "net", "--epochs", "0", "--json"},
                                                    {"--json", "train"}}) {
    EXPECT_EQ(run(arguments), 2);
    const json error = json::parse(err())["error"];
    EXPECT_EQ(error["code"], "INVALID_ARGUMENT");
    EXPECT_THAT(error["message"].get<std::string>(), Not(IsEmpty()));
  }
}

TEST_F(CliTest, AnAddressThatIsNoneIsAUsageError) {
  const auto fault = [this](const std::string& server) {
    err_.str("");
    EXPECT_EQ(run_cli({"status", "--server", server}, Console(out_, err_, false, false, 80)), 2) << server;
    return err();
  };
  EXPECT_EQ(fault("127.0.0.1:99999"),
            "tapewire: --server: expects HOST:PORT or unix:PATH, got '127.0.0.1:99999': the port is a number from 1 to "
            "65535\n");
  for (const char* server : {"localhost:0", "localhost:", "localhost:grpc", "localhost:+80", "localhost:65536"}) {
    EXPECT_THAT(fault(server), HasSubstr("the port is a number from 1 to 65535"));
  }
  EXPECT_THAT(fault("localhost"), HasSubstr("there is no port"));
  EXPECT_THAT(fault(":8001"), HasSubstr("there is no host"));
  EXPECT_THAT(fault("::1:8001"), HasSubstr("brackets"));
  EXPECT_THAT(fault("unix:"), HasSubstr("there is no path"));
  const auto reach = [this](const std::string& server) {
    return run_cli({"status", "--server", server}, Console(out_, err_, false, false, 80));
  };
  EXPECT_EQ(reach("[::1]:1"), 3);
  EXPECT_EQ(reach("127.0.0.1:65535"), 3);
  EXPECT_EQ(reach("unix:" + folder_ + "/no.sock"), 3);
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
  EXPECT_EQ(run({"models", "show", "net", "--definition", "--json"}), 0);
  EXPECT_EQ(json_lines().at(0)["modules"][0]["type"], "Linear");
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

TEST_F(CliTest, TrainSendsEverySampleOnceAnEpochInAnOrderOfItsOwn) {
  server_.add_model("net");
  std::ofstream(data_) << "x,class\n0,0\n0,1\n0,2\n0,3\n0,4\n0,5\n0,6\n";
  ASSERT_EQ(run({"train", "net", "--data", data_, "--class-targets", "--epochs", "3", "--batch", "4", "--seed", "11",
                 "--lr", "2", "--lr-schedule", "linear"}),
            0)
      << err();
  const std::vector<v1::TrainStepRequest> steps = server_.train_steps();
  ASSERT_EQ(steps.size(), 6u);
  for (size_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> classes;
    for (size_t i = 0; i < 2; ++i) {
      const size_t number = 2 * epoch + i;
      const v1::TrainStepRequest& step = steps[number];
      const auto targets = *view<int64_t>(step.targets(0).tensor());
      classes.insert(classes.end(), targets.begin(), targets.end());
      EXPECT_EQ(step.end_of_epoch(), i == 1) << number;
      EXPECT_DOUBLE_EQ(step.learning_rate(), 2 * (1 - static_cast<double>(number) / 6));
    }
    EXPECT_EQ(classes, shuffled(7, 11 + epoch)) << epoch;
  }
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

TEST_F(CliTest, TheHooksOfAWatchingTrainHaveALeaseThatItsWatchKeeps) {
  server_.add_model("net");
  ASSERT_EQ(run({"train", "net", "--data", data_, "--class-targets", "--watch", "fc1,fc2"}), 0) << err();
  const auto hooks = server_.registered_hooks();
  ASSERT_EQ(hooks.size(), 2u);
  for (const auto& hook : hooks) {
    EXPECT_GT(hook.lease().seconds(), 0);
    EXPECT_THAT(server_.watch_request().hook_ids(), testing::Contains(hook.id()));
  }
}

TEST_F(CliTest, AWatchTellsWhatWasDroppedAndWhy) {
  ASSERT_EQ(run({"hooks", "add", "net", "fc1"}), 0) << err();
  server_.send_hook_events(1);
  server_.set_drops(5, 0);
  server_.send_hook_events(2);
  server_.set_drops(6, 2);
  server_.send_hook_events(3);
  ASSERT_EQ(run({"hooks", "watch", "net", "--count", "3"}), 0);
  EXPECT_THAT(err(), AllOf(HasSubstr("5 events dropped: 5 as this watcher is slow\n"),
                           HasSubstr("3 events dropped: 1 as this watcher is slow, 2 for want of memory\n")));
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
  EXPECT_THAT(out(), IsEmpty());  // no row, no header
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

TEST_F(CliTest, AnInterruptEndsEvalAndPredictWhileTheServerWorks) {
  server_.add_model("net");
  for (const auto& [command, method] : {std::pair("eval", "Evaluate"), std::pair("predict", "Forward")}) {
    server_.hold(method);  // for good: a command that waits for the answer never ends
    std::thread interrupter([this, name = method] {
      EXPECT_TRUE(server_.wait_for_call(name));
      interrupt_the_command();
    });
    EXPECT_EQ(run({command, "net", "--data", data_, "--class-targets"}), 130);
    interrupter.join();
    EXPECT_EQ(err(), "tapewire: interrupted\n");
  }
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

TEST_F(CliTest, ShowNeedsImages) {
  server_.add_model("net");
  EXPECT_EQ(run({"predict", "net", "--data", data_, "--show", "1"}), 2);
  EXPECT_EQ(err(), "tapewire: --show draws images; this data has none\n");
}

TEST_F(CliTest, AnInterruptEndsAWatchThatSeesNothing) {
  std::thread interrupter([this] {
    EXPECT_TRUE(server_.wait_for_watcher());
    interrupt_the_command();
  });
  EXPECT_EQ(run({"hooks", "watch", "net"}), 130);
  interrupter.join();
  EXPECT_EQ(err(), "tapewire: interrupted\n");
  EXPECT_THAT(out(), IsEmpty());  // no event, no header
}

TEST_F(CliTest, SlowWatchersAreWhatTheServerServes) { EXPECT_EQ(run({"hooks", "watch", "net", "--slow", "block"}), 2); }

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
  EXPECT_THAT(out(), AllOf(HasSubstr("serving"), HasSubstr("1.2.3"), HasSubstr("3.0 MiB"), HasSubstr("max_models ")));
  EXPECT_EQ(run({"status", "--json"}), 0);
  EXPECT_EQ(json_lines().at(0)["serving"], true);
  EXPECT_THAT(out(), HasSubstr(R"("limits":{"max_hooks":100,"max_models":64,"max_queue":256})"));
  server_.set_serving(false);
  EXPECT_EQ(run({"status"}), 3) << "it drains";
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
