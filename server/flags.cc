#include "server/flags.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <map>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "core/base/strings.h"
#include "core/base/suggest.h"
#include "server/observe/host.h"
#include "server/observe/memory_guard.h"
#include "server/observe/version.h"

namespace tapewire {

/// A number of bytes, as a flag: "67108864", "64MiB".
struct Bytes {
  int64_t count = 0;
};

bool AbslParseFlag(absl::string_view text, Bytes* bytes, std::string* error) {  // NOLINT: Abseil's name
  struct Unit {
    std::string_view name;
    int64_t bytes;
  };
  constexpr Unit kUnits[] = {{"KiB", int64_t{1} << 10}, {"MiB", int64_t{1} << 20}, {"GiB", int64_t{1} << 30}};
  std::string_view number = to_std(text);
  int64_t unit = 1;
  for (const Unit& known : kUnits) {
    if (!number.ends_with(known.name)) continue;
    number.remove_suffix(known.name.size());
    unit = known.bytes;
  }
  int64_t count = 0;
  if (!absl::SimpleAtoi(to_absl(number), &count) || count < 0 || count > std::numeric_limits<int64_t>::max() / unit) {
    *error = "expects a number of bytes, or of KiB, MiB or GiB: 64MiB";
    return false;
  }
  bytes->count = count * unit;
  return true;
}

std::string AbslUnparseFlag(Bytes bytes) {  // NOLINT: Abseil's name
  if (bytes.count > 0 && bytes.count % (1 << 20) == 0) return str_cat(bytes.count >> 20, "MiB");
  return str_cat(bytes.count);
}

}  // namespace tapewire

using tapewire::Bytes;

ABSL_FLAG(std::string, grpc_address, "127.0.0.1:8001", "HOST:PORT that gRPC listens on; port 0 is any free one");
ABSL_FLAG(std::string, http_address, "127.0.0.1:8002",
          "HOST:PORT that /metrics, /healthz and /readyz are served on; port 0 is any free one");
ABSL_FLAG(int, compute_threads, 0,
          "threads that compute, shared by all models; 0: as many as the cgroup's CPU quota and the affinity allow");
ABSL_FLAG(Bytes, tensor_memory_limit, Bytes{},
          "bytes that tensors, definitions and messages may hold; 0: 80% of what the cgroup's memory limit, or "
          "the machine's memory, has beyond 160 MiB");
ABSL_FLAG(Bytes, max_message_bytes, Bytes{int64_t{64} << 20}, "bytes of a message, either way");
ABSL_FLAG(Bytes, max_tensor_bytes, Bytes{int64_t{1} << 30},
          "bytes of a tensor that a client sends, also in chunks, or that a definition declares");
ABSL_FLAG(int64_t, max_models, 1000, "models at a time");
ABSL_FLAG(int64_t, max_queue, 256, "calls that may wait for one model, or for the making of one name's model");
ABSL_FLAG(int64_t, max_tapes, 64, "tapes of a model that are kept at a time");
ABSL_FLAG(int64_t, tape_lease_seconds, 600,
          "seconds that a tape is kept after its last use, unless the client asks otherwise");
ABSL_FLAG(int64_t, max_hooks, 1000, "hooks of a model at a time");
ABSL_FLAG(int64_t, max_call_seconds, 600,
          "seconds that a call without a deadline may compute, in a stream each of its messages; 0: no limit");
ABSL_FLAG(int64_t, max_watchers, 100, "streams that watch a model's hooks at a time");
ABSL_FLAG(Bytes, watch_buffer_bytes, Bytes{int64_t{64} << 20}, "bytes of events that wait for one watcher");
ABSL_FLAG(Bytes, watch_memory, Bytes{},
          "bytes that events of all watchers may hold; 0: an eighth of --tensor_memory_limit, at most 256MiB");
ABSL_FLAG(Bytes, watch_bytes_per_second, Bytes{int64_t{128} << 20},
          "bytes of large events that are sent in a second to all watchers together; what waits longer than a buffer "
          "takes is dropped; 0: no bound");
ABSL_FLAG(
    absl::Duration, drain_delay, absl::ZeroDuration(),
    "time between SIGTERM or SIGINT, when /readyz and health checks say that no more should come, and the refusal "
    "of calls; a second signal ends it");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(30),
          "time that running calls get to end once calls are refused; what is left is then cancelled");
ABSL_FLAG(absl::Duration, slow_call_threshold, absl::Seconds(5),
          "calls of one request and one answer that take so long are logged at info");
ABSL_FLAG(bool, metrics_per_model, true,
          "whether /metrics has series of each model; false: totals over all models, without what has no total");
ABSL_FLAG(std::string, log_level, "info", "least severe lines that are logged: debug, info, warning, error or off");
ABSL_FLAG(std::string, log_format, "text", "text (key=value) or json (one object a line), to standard error");

namespace tapewire {
namespace {

constexpr int kBadFlags = 2;

// Abseil ends the program with 1 for a flag that it cannot read; scripts tell a wrong command line by 2.
bool abseil_parses = false;
void exit_for_abseil() {
  if (abseil_parses) std::_Exit(kBadFlags);
}

void print_version() {
  const BuildInfo build = build_info();
  std::cout << "tapewired " << build.version << " (" << build.commit << ")\n";
}

void print_help() {
  std::cout << "tapewired: trains networks that clients define, over gRPC.\n\n"
               "usage: tapewired [--flag=value ...]\n\n";
  std::map<std::string, const absl::CommandLineFlag*> ours;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (flag->Filename().find("server/flags.cc") != std::string::npos) ours.emplace(name.data(), flag);
  }
  for (const auto& [name, flag] : ours) {
    std::cout << "  --" << name << " (default " << flag->DefaultValue() << ")\n      " << flag->Help() << "\n";
  }
  std::cout << "  --flagfile=FILE\n      reads flags from a file, one a line\n"
               "  --version\n      prints the version\n";
}

// Collects what is wrong, so that all of it is told at once.
class Check {
 public:
  template <class T>
  T at_least(std::string_view flag, T value, T least) {
    if (value < least) faults_.push_back(str_cat("--", flag, ": expects at least ", least, ", got ", value));
    return value;
  }
  HostPort address(std::string_view flag, const std::string& text) {
    absl::StatusOr<HostPort> parsed = parse_host_port(text);
    if (parsed.ok()) return *std::move(parsed);
    faults_.push_back(str_cat("--", flag, ": ", to_std(parsed.status().message())));
    return {};
  }
  std::chrono::milliseconds up_to_a_day(std::string_view flag, absl::Duration value) {
    if (value >= absl::ZeroDuration() && value <= absl::Hours(24)) return absl::ToChronoMilliseconds(value);
    faults_.push_back(str_cat("--", flag, ": expects 0s to 24h, got ", absl::FormatDuration(value)));
    return {};
  }
  void add(std::string fault) { faults_.push_back(std::move(fault)); }

  void exit_if_any() const {
    if (faults_.empty()) return;
    for (const std::string& fault : faults_) std::cerr << "tapewired: " << fault << "\n";
    std::_Exit(kBadFlags);
  }

 private:
  std::vector<std::string> faults_;
};

ServerOptions read_flags(Check& check) {
  ServerOptions options;
  options.grpc_address = check.address("grpc_address", absl::GetFlag(FLAGS_grpc_address));
  options.http_address = check.address("http_address", absl::GetFlag(FLAGS_http_address));
  options.compute_threads = check.at_least("compute_threads", absl::GetFlag(FLAGS_compute_threads), 0);
  if (options.compute_threads == 0) options.compute_threads = usable_cpus();
  constexpr int kMostThreads = 1024;
  if (options.compute_threads > kMostThreads) {
    check.add(str_cat("--compute_threads: expects at most ", kMostThreads, ", got ", options.compute_threads));
  }
  options.tensor_memory_limit = absl::GetFlag(FLAGS_tensor_memory_limit).count;
  if (options.tensor_memory_limit == 0) options.tensor_memory_limit = default_tensor_memory(usable_memory());
  constexpr int64_t kMostMessage = std::numeric_limits<int32_t>::max();
  options.max_message_bytes =
      check.at_least("max_message_bytes", absl::GetFlag(FLAGS_max_message_bytes).count, int64_t{4096});
  if (options.max_message_bytes > kMostMessage) {
    check.add(str_cat("--max_message_bytes: expects at most ", kMostMessage, ", as protobuf does, got ",
                      options.max_message_bytes));
  }
  options.max_tensor_bytes =
      check.at_least("max_tensor_bytes", absl::GetFlag(FLAGS_max_tensor_bytes).count, int64_t{1});
  options.max_models = check.at_least("max_models", absl::GetFlag(FLAGS_max_models), int64_t{1});
  options.max_queue = check.at_least("max_queue", absl::GetFlag(FLAGS_max_queue), int64_t{1});
  options.max_tapes = check.at_least("max_tapes", absl::GetFlag(FLAGS_max_tapes), int64_t{0});
  options.tape_lease_seconds =
      check.at_least("tape_lease_seconds", absl::GetFlag(FLAGS_tape_lease_seconds), int64_t{1});
  options.max_hooks = check.at_least("max_hooks", absl::GetFlag(FLAGS_max_hooks), int64_t{0});
  constexpr int64_t kLongestCall = int64_t{100} * 366 * 24 * 3600;
  options.max_call = std::chrono::seconds(
      std::min(kLongestCall, check.at_least("max_call_seconds", absl::GetFlag(FLAGS_max_call_seconds), int64_t{0})));
  options.watch.max_hooks = options.max_hooks;
  options.watch.max_watchers = check.at_least("max_watchers", absl::GetFlag(FLAGS_max_watchers), int64_t{0});
  options.watch.buffer_bytes =
      check.at_least("watch_buffer_bytes", absl::GetFlag(FLAGS_watch_buffer_bytes).count, int64_t{4096});
  options.watch.memory_bytes = absl::GetFlag(FLAGS_watch_memory).count;
  if (options.watch.memory_bytes == 0) {
    options.watch.memory_bytes = std::min(options.tensor_memory_limit / 8, int64_t{256} << 20);
  }
  options.watch.bytes_per_second = absl::GetFlag(FLAGS_watch_bytes_per_second).count;
  options.drain_delay = check.up_to_a_day("drain_delay", absl::GetFlag(FLAGS_drain_delay));
  options.drain_timeout = check.up_to_a_day("drain_timeout", absl::GetFlag(FLAGS_drain_timeout));
  options.slow_call_threshold = check.up_to_a_day("slow_call_threshold", absl::GetFlag(FLAGS_slow_call_threshold));
  options.metrics_per_model = absl::GetFlag(FLAGS_metrics_per_model);
  if (const std::string level = absl::GetFlag(FLAGS_log_level); !parse_log_level(level, options.log_level)) {
    check.add(str_cat("--log_level: expects debug, info, warning, error or off, got ", quoted(level)));
  }
  if (const std::string format = absl::GetFlag(FLAGS_log_format); !parse_log_format(format, options.log_format)) {
    check.add(str_cat("--log_format: expects text or json, got ", quoted(format)));
  }
  return options;
}

}  // namespace

std::map<std::string, int64_t> ServerOptions::limits() const {
  return {{"tensor_memory_limit", tensor_memory_limit},
          {"max_message_bytes", max_message_bytes},
          {"max_tensor_bytes", max_tensor_bytes},
          {"max_models", max_models},
          {"max_queue", max_queue},
          {"max_tapes", max_tapes},
          {"tape_lease_seconds", tape_lease_seconds},
          {"max_hooks", max_hooks},
          {"max_call_seconds", max_call.count()},
          {"max_watchers", watch.max_watchers},
          {"watch_buffer_bytes", watch.buffer_bytes},
          {"watch_memory", watch.memory_bytes},
          {"watch_bytes_per_second", watch.bytes_per_second}};
}

ServerOptions parse_flags(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-help" || argument == "-h" || argument == "--version") {
      if (argument == "--version") {
        print_version();
      } else {
        print_help();
      }
      std::cout.flush();
      std::_Exit(0);
    }
  }
  std::atexit(&exit_for_abseil);
  abseil_parses = true;
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  abseil_parses = false;
  Check check;
  for (size_t i = 1; i < rest.size(); ++i) check.add(str_cat("expects only flags, got ", quoted(rest[i])));
  ServerOptions options = read_flags(check);
  check.exit_if_any();
  return options;
}

}  // namespace tapewire
