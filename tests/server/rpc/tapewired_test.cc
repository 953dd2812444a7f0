#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/credentials.h"
#include "tapewire/v1/autograd_service.grpc.pb.h"
#include "tapewire/v1/model_service.grpc.pb.h"
#include "tapewire/v1/server_service.grpc.pb.h"
#include "tests/wait.h"

// The program itself, in a process of its own.
namespace tapewire {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class Tapewired {
 public:
  explicit Tapewired(std::vector<std::string> flags) {
    int out[2] = {}, err[2] = {};
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(err, O_CLOEXEC), 0);
    flags.insert(flags.begin(), TAPEWIRED);
    std::vector<char*> argv;
    for (std::string& flag : flags) argv.push_back(flag.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
      execv(TAPEWIRED, argv.data());
      _exit(127);
    }
    close(out[1]);
    close(err[1]);
    out_ = out[0];
    err_thread_ = std::thread([this, fd = err[0]] {
      char buffer[4096];
      for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) err_.append(buffer, static_cast<size_t>(n));
      close(fd);
    });
  }
  ~Tapewired() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      exit_code();
    }
    close(out_);
  }
  Tapewired(const Tapewired&) = delete;
  Tapewired& operator=(const Tapewired&) = delete;

  void signal(int number) const { kill(pid_, number); }

  // Waits for the end. 128 + the signal that ended it.
  int exit_code() {
    if (pid_ <= 0) return -1;
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    err_thread_.join();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  // REQUIRES: it has ended.
  const std::string& errors() const { return err_; }

  std::string read_line() const {
    std::string line;
    for (char c = 0; read(out_, &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  // All that is left on standard output.
  std::string read_rest() const {
    std::string text;
    for (char c = 0; read(out_, &c, 1) == 1;) text += c;
    return text;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  std::string err_;
  std::thread err_thread_;
};

// A server on free ports, and its client.
class Serving {
 public:
  explicit Serving(std::vector<std::string> flags = {}) : process(with_ports(std::move(flags))) {
    const std::string line = process.read_line();
    EXPECT_THAT(line, MatchesRegex("tapewired ready grpc=127.0.0.1:[0-9]+ http=127.0.0.1:[0-9]+"));
    const size_t grpc_at = line.find("grpc=") + 5, http_at = line.find("http=") + 5;
    grpc_address = line.substr(grpc_at, line.find(' ', grpc_at) - grpc_at);
    http_address = line.substr(http_at);
    channel = grpc::CreateChannel(grpc_address, grpc::InsecureChannelCredentials());
  }

  // All that an HTTP path answers.
  std::string http_answer(const std::string& path) const {
    const std::string command = "exec 3<>/dev/tcp/127.0.0.1/" + http_address.substr(http_address.find(':') + 1) +
                                "; printf 'GET " + path + " HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    // bash's /dev/tcp is the client. NOLINTNEXTLINE(bugprone-command-processor)
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("bash -c \"" + command + "\" 2>&1").c_str(), "r"), &pclose);
    std::string answer;
    for (int c = 0; (c = fgetc(pipe.get())) != EOF;) answer += static_cast<char>(c);
    return answer;
  }

  // The status of an HTTP path: "200".
  std::string http(const std::string& path) const {
    const std::string answer = http_answer(path);
    return answer.substr(0, std::min<size_t>(answer.size(), 12)).substr(std::min<size_t>(answer.size(), 9));
  }

  // Whether a stream of that method has reached the server.
  bool has_stream(const std::string& method) const {
    return http_answer("/metrics").find("/" + method + "\"} 1\n") != std::string::npos;
  }

  // grpc.health.v1: 1 is SERVING, 2 NOT_SERVING.
  int health() const {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    const grpc::Slice nothing;  // an empty message; a buffer without a slice is no message
    const grpc::ByteBuffer request(&nothing, 1);
    grpc::ByteBuffer response;
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (!status.ok()) return -1;
    grpc::Slice slice;
    EXPECT_TRUE(response.DumpToSingleSlice(&slice).ok());
    return slice.size() == 2 && slice.begin()[0] == 8 ? slice.begin()[1] : -2;
  }

  grpc::Status list_models() const {
    grpc::ClientContext context;
    v1::ListModelsResponse response;
    return v1::ModelService::NewStub(channel)->ListModels(&context, v1::ListModelsRequest(), &response);
  }

  Tapewired process;
  std::string grpc_address;
  std::string http_address;
  std::shared_ptr<grpc::Channel> channel;

 private:
  static std::vector<std::string> with_ports(std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"--grpc_address=127.0.0.1:0", "--http_address=127.0.0.1:0"});
    return flags;
  }
};

template <class Condition>
bool eventually(Condition condition) {
  return wait_until(condition);
}

TEST(TapewiredTest, ServesUntilSigtermAndEndsWithZero) {
  Serving server({"--log_format=json"});
  EXPECT_EQ(server.http("/readyz"), "200");
  EXPECT_EQ(server.health(), 1);
  EXPECT_TRUE(server.list_models().ok());
  server.process.signal(SIGTERM);
  EXPECT_EQ(server.process.exit_code(), 0);
  EXPECT_EQ(server.process.read_rest(), "") << "standard output holds the ready line alone";
  EXPECT_THAT(server.process.errors(), StartsWith("{\"time\":\""));
  EXPECT_THAT(server.process.errors(), HasSubstr("\"event\":\"stopped\",\"calls_cut_off\":false"));
}

TEST(TapewiredTest, SigintStopsItToo) {
  Serving server;
  server.process.signal(SIGINT);
  EXPECT_EQ(server.process.exit_code(), 0);
}

TEST(TapewiredTest, TellsWhatItIsAndWhatItsLimitsAre) {
  Serving server({"--max_queue=17", "--compute_threads=2", "--max_tensor_bytes=2MiB"});
  const auto stub = v1::ServerService::NewStub(server.channel);
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub->GetServerInfo(&context, v1::GetServerInfoRequest(), &info).ok());
  EXPECT_THAT(info.version(), MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_EQ(info.limits().at("max_queue"), 17);
  EXPECT_EQ(info.limits().at("max_tensor_bytes"), 2 << 20);
  EXPECT_GT(info.limits().at("tensor_memory_limit"), 0);
  EXPECT_EQ(info.compute_threads(), 2);
  EXPECT_EQ(info.models(), 0);
  EXPECT_NE(info.cpu(), "");
  EXPECT_LT(std::abs(info.start_time().seconds() - time(nullptr)), 60);
}

TEST(TapewiredTest, ListsTheCatalogue) {
  Serving server;
  const auto stub = v1::ServerService::NewStub(server.channel);
  const auto list = [&](v1::OperatorKind kind, const std::string& name) {
    grpc::ClientContext context;
    v1::ListOperatorsRequest request;
    request.set_kind(kind);
    request.set_name_contains(name);
    v1::ListOperatorsResponse response;
    const grpc::Status status = stub->ListOperators(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  };
  const v1::ListOperatorsResponse conv = list(v1::OPERATOR_KIND_MODULE, "Conv2d");
  ASSERT_EQ(conv.operators_size(), 1);
  bool has_kernel_size = false;
  for (const v1::OperatorAttribute& attribute : conv.operators(0).attributes()) {
    has_kernel_size |= attribute.name() == "kernel_size" && attribute.required() && !attribute.has_default_value();
  }
  EXPECT_TRUE(has_kernel_size);
  const int ops = list(v1::OPERATOR_KIND_OP, "").operators_size();
  EXPECT_GT(ops, 10);
  EXPECT_GT(list(v1::OPERATOR_KIND_UNSPECIFIED, "").operators_size(), ops);
  grpc::ClientContext context;
  v1::ListOperatorsRequest unknown;
  unknown.set_kind(static_cast<v1::OperatorKind>(99));
  v1::ListOperatorsResponse response;
  EXPECT_EQ(stub->ListOperators(&context, unknown, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(TapewiredTest, KeepAliveIsRefusedByName) {
  Serving server;
  grpc::ClientContext context;
  v1::KeepAliveResponse response;
  const grpc::Status status =
      v1::ServerService::NewStub(server.channel)->KeepAlive(&context, v1::KeepAliveRequest(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("tapewire.v1.ServerService/KeepAlive"));
}

TEST(TapewiredTest, DrainKeepsRunningCallsAndRefusesNewOnes) {
  Serving server({"--drain_timeout=60s"});
  grpc::ClientContext context;
  v1::EvaluateResponse response;
  const auto evaluate = v1::AutogradService::NewStub(server.channel)->Evaluate(&context, &response);
  ASSERT_TRUE(eventually([&] { return server.has_stream("Evaluate"); }));
  server.process.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return server.http("/readyz") == "503"; }));
  EXPECT_EQ(server.http("/healthz"), "200");
  EXPECT_TRUE(eventually([&] { return server.health() == 2; }));
  const grpc::Status refused = server.list_models();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(refused.error_message(), HasSubstr("draining"));
  evaluate->WritesDone();
  const grpc::Status ended = evaluate->Finish();
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << "as ever: it was not cut off";
  EXPECT_EQ(server.process.exit_code(), 0);
}

TEST(TapewiredTest, DrainEndsTrainStreamsThatHaveNothingInHand) {
  Serving server({"--drain_timeout=60s"});
  grpc::ClientContext context;
  const auto train = v1::AutogradService::NewStub(server.channel)->Train(&context);
  ASSERT_TRUE(eventually([&] { return server.has_stream("Train"); }));
  server.process.signal(SIGTERM);
  v1::TrainResponse response;
  EXPECT_FALSE(train->Read(&response));
  const grpc::Status ended = train->Finish();
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(ended.error_message(), HasSubstr("draining"));
  EXPECT_EQ(server.process.exit_code(), 0);
  EXPECT_THAT(server.process.errors(), HasSubstr("calls_cut_off=false"));
}

TEST(TapewiredTest, DrainTimeoutCancelsWhatIsLeft) {
  Serving server({"--drain_timeout=200ms"});
  grpc::ClientContext context;
  v1::EvaluateResponse response;
  const auto evaluate = v1::AutogradService::NewStub(server.channel)->Evaluate(&context, &response);
  ASSERT_TRUE(eventually([&] { return server.has_stream("Evaluate"); }));
  server.process.signal(SIGTERM);
  EXPECT_EQ(evaluate->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server.process.exit_code(), 0);
  EXPECT_THAT(server.process.errors(), HasSubstr("calls_cut_off=true"));
}

TEST(TapewiredTest, InTheDrainDelayItIsNotReadyAndServes) {
  Serving server({"--drain_delay=1h"});
  server.process.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return server.http("/readyz") == "503"; }));
  EXPECT_TRUE(eventually([&] { return server.health() == 2; }));
  EXPECT_EQ(server.http("/healthz"), "200");
  EXPECT_TRUE(server.list_models().ok());
  server.process.signal(SIGTERM);
  EXPECT_EQ(server.process.exit_code(), 0) << "a second signal ends the delay, and nothing was left to wait for";
  EXPECT_THAT(server.process.errors(), HasSubstr("draining signal=15 delay_seconds=3600.0"));
}

TEST(TapewiredTest, TheDrainDelayEndsByItself) {
  Serving server({"--drain_delay=100ms"});
  server.process.signal(SIGTERM);
  EXPECT_EQ(server.process.exit_code(), 0);
}

// "1h30m5s", "30s" in seconds.
double seconds_of(const std::string& text) {
  double sum = 0;
  for (size_t at = 0; at < text.size();) {
    size_t used = 0;
    const double number = std::stod(text.substr(at), &used);
    at += used;
    const size_t unit_at = at;
    while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at]))) ++at;
    const std::string unit = text.substr(unit_at, at - unit_at);
    sum += number * (unit == "h" ? 3600 : unit == "m" ? 60 : unit == "ms" ? 1e-3 : 1);
  }
  return sum;
}

TEST(TapewiredTest, ComposeWaitsLongerThanADrainTakes) {
  Tapewired help({"--help"});
  const std::string text = help.read_rest();
  std::ifstream file("deploy/compose.yaml");
  const std::string compose((std::istreambuf_iterator<char>(file)), {});
  const auto after = [](const std::string& in, const std::string& key, const std::string& end) {
    const size_t at = in.find(key);
    EXPECT_NE(at, std::string::npos) << key;
    return in.substr(at + key.size(), in.find_first_of(end, at + key.size()) - at - key.size());
  };
  double drain = 0;
  for (const std::string flag : {"drain_delay", "drain_timeout"}) {
    const bool set = compose.find("--" + flag + "=") != std::string::npos;
    drain +=
        seconds_of(set ? after(compose, "--" + flag + "=", "\"' ]\n") : after(text, "--" + flag + " (default ", ")"));
  }
  EXPECT_GE(drain, 30);
  EXPECT_GE(seconds_of(after(compose, "stop_grace_period: ", " \n")), drain + 5);
}

TEST(TapewiredTest, TellsWhatOperatorsWantToKnow) {
  Serving server;
  const auto stub = v1::ModelService::NewStub(server.channel);
  const auto create = [&](const std::string& id, bool validate_only) {
    grpc::ClientContext context;
    context.AddMetadata("x-request-id", id);
    v1::CreateModelRequest request;
    request.set_name("net");
    request.set_validate_only(validate_only);
    if (!validate_only) {
      request.mutable_call_id()->set_client_id("me");
      request.mutable_call_id()->set_sequence(1);
    }
    request.mutable_spec()->add_modules()->set_type("ReLU");
    v1::CreateModelResponse response;
    const grpc::Status status = stub->CreateModel(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  };
  const auto drop = [&](const std::string& id) {
    grpc::ClientContext context;
    context.AddMetadata("x-request-id", id);
    v1::DeleteModelRequest request;
    request.set_name("net");
    request.mutable_call_id()->set_client_id("me");
    request.mutable_call_id()->set_sequence(2);
    v1::DeleteModelResponse response;
    EXPECT_TRUE(stub->DeleteModel(&context, request, &response).ok());
  };
  create("check-1", true);
  create("make-1", false);
  create("again-1", false);
  drop("drop-1");
  drop("again-2");
  server.process.signal(SIGTERM);
  EXPECT_EQ(server.process.exit_code(), 0);
  const std::string log = server.process.errors();
  EXPECT_THAT(log, HasSubstr(" info model created method=tapewire.v1.ModelService/CreateModel request_id=make-1 "
                             "peer=ipv4:127.0.0.1:"));
  EXPECT_THAT(log, HasSubstr(" model=net parameters=0\n"));
  EXPECT_THAT(log, HasSubstr(" info model deleted method=tapewire.v1.ModelService/DeleteModel request_id=drop-1 "));
  EXPECT_THAT(log, testing::Not(HasSubstr("check-1")));
  EXPECT_THAT(log, testing::Not(HasSubstr("again-"))) << "made and deleted once each";
}

TEST(TapewiredTest, MetricsOfModelsMayBeLeftOut) {
  Serving server({"--metrics_per_model=false"});
  EXPECT_EQ(server.http("/metrics"), "200");
}

TEST(TapewiredTest, SecondSignalEndsItAtOnce) {
  Serving server({"--drain_timeout=1h"});
  grpc::ClientContext context;
  const auto train = v1::AutogradService::NewStub(server.channel)->Train(&context);
  ASSERT_TRUE(eventually([&] { return server.has_stream("Train"); }));
  server.process.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return server.http("/readyz") == "503"; }));
  server.process.signal(SIGTERM);
  EXPECT_EQ(server.process.exit_code(), 1);
  train->Finish();
}

TEST(TapewiredTest, WrongFlagsEndItWithTwoBeforeAnythingStarts) {
  struct Case {
    std::vector<std::string> flags;
    const char* message;
  };
  for (const Case& wrong : {
           Case{{"--max_queue=0"}, "--max_queue: expects at least 1, got 0"},
           Case{{"--grpc_address=nowhere"}, "--grpc_address: expects HOST:PORT, got 'nowhere'"},
           Case{{"--log_level=loud"}, "--log_level: expects debug, info, warning, error or off, got 'loud'"},
           Case{{"--log_format=xml"}, "--log_format: expects text or json"},
           Case{{"--drain_timeout=-1s"}, "--drain_timeout: expects 0s to 24h, got -1s"},
           Case{{"--drain_delay=25h"}, "--drain_delay: expects 0s to 24h, got 25h"},
           Case{{"--slow_call_threshold=-1s"}, "--slow_call_threshold: expects 0s to 24h, got -1s"},
           Case{{"--compute_threads=-1"}, "--compute_threads: expects at least 0"},
           Case{{"--max_tensor_bytes=12XB"}, "max_tensor_bytes"},
           Case{{"--no_such_flag=1"}, "no_such_flag"},
           Case{{"--flagfile=/no/such/file"}, "/no/such/file"},
           Case{{"stray"}, "expects only flags, got 'stray'"},
       }) {
    Tapewired process(wrong.flags);
    EXPECT_EQ(process.read_rest(), "") << wrong.flags[0];
    EXPECT_EQ(process.exit_code(), 2) << wrong.flags[0];
    EXPECT_THAT(process.errors(), HasSubstr(wrong.message));
  }
}

TEST(TapewiredTest, AllWrongFlagsAreToldAtOnce) {
  Tapewired process({"--max_queue=0", "--max_models=0"});
  EXPECT_EQ(process.exit_code(), 2);
  EXPECT_THAT(process.errors(), testing::AllOf(HasSubstr("--max_queue"), HasSubstr("--max_models")));
}

TEST(TapewiredTest, HelpDocumentsEveryFlag) {
  Tapewired process({"--help"});
  const std::string help = process.read_rest();
  EXPECT_EQ(process.exit_code(), 0);
  for (const char* flag : {"grpc_address", "http_address", "compute_threads", "tensor_memory_limit",
                           "max_message_bytes", "max_tensor_bytes", "max_models", "max_queue", "max_tapes",
                           "tape_lease_seconds", "max_hooks", "drain_delay", "drain_timeout", "slow_call_threshold",
                           "metrics_per_model", "log_level", "log_format", "flagfile", "version"}) {
    EXPECT_THAT(help, HasSubstr(std::string("\n  --") + flag));
  }
}

TEST(TapewiredTest, VersionIsOneLine) {
  Tapewired process({"--version"});
  EXPECT_THAT(process.read_rest(), MatchesRegex("tapewired [0-9.]+ \\([0-9a-z]+\\)\n"));
  EXPECT_EQ(process.exit_code(), 0);
}

TEST(TapewiredTest, FlagsComeFromAFile) {
  std::string path = testing::TempDir() + "flagsXXXXXX";
  const int fd = mkstemp(path.data());
  ASSERT_GE(fd, 0);
  close(fd);
  std::ofstream(path) << "--max_queue=23\n--log_level=error\n";
  Serving server({"--flagfile=" + path});
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  EXPECT_TRUE(
      v1::ServerService::NewStub(server.channel)->GetServerInfo(&context, v1::GetServerInfoRequest(), &info).ok());
  EXPECT_EQ(info.limits().at("max_queue"), 23);
  server.process.signal(SIGTERM);
  EXPECT_EQ(server.process.exit_code(), 0);
  EXPECT_EQ(server.process.errors(), "");
  std::remove(path.c_str());
}

TEST(TapewiredTest, ATakenPortIsTold) {
  Serving first;
  Tapewired grpc({"--grpc_address=" + first.grpc_address, "--http_address=127.0.0.1:0"});
  EXPECT_EQ(grpc.read_rest(), "");
  EXPECT_EQ(grpc.exit_code(), 1);
  EXPECT_THAT(grpc.errors(), HasSubstr("cannot listen on " + first.grpc_address + ": address already in use"));
  Tapewired http({"--grpc_address=127.0.0.1:0", "--http_address=" + first.http_address});
  EXPECT_EQ(http.exit_code(), 1);
  EXPECT_THAT(http.errors(), HasSubstr("cannot listen on " + first.http_address + ": address already in use"));
}

}  // namespace
}  // namespace tapewire
