#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <iostream>
#include <limits>
#include <thread>

#include "core/base/mutex.h"
#include "core/tensor/allocator.h"
#include "server/codec/chunks.h"
#include "server/flags.h"
#include "server/model/model_registry.h"
#include "server/observe/host.h"
#include "server/observe/http_server.h"
#include "server/observe/memory_guard.h"
#include "server/observe/metrics.h"
#include "server/rpc/backend.h"
#include "server/rpc/rpc_server.h"

namespace tapewire {
namespace {

constexpr int kMaxHttpConnections = 1000;

// Messages of a megabyte come and go: without this each would be mapped, faulted in and unmapped again. Larger ones are
// mapped, and what is free at an arena's end goes back, so that no more than a part of the limit is kept for nothing.
void keep_freed_memory(int64_t limit) {
  constexpr int64_t kMostKept = int64_t{64} << 20;
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(std::clamp<int64_t>(limit / 32, 4 << 20, kMostKept)));
  mallopt(M_ARENA_MAX, 4);
}

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Until the next of the signals.
int wait_for_stop() {
  const sigset_t signals = stop_signals();
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

// Until the next of the signals, or until `delay` has passed.
void wait_for_stop(std::chrono::milliseconds delay) {
  const sigset_t signals = stop_signals();
  const auto until = std::chrono::steady_clock::now() + delay;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::nanoseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    const timespec wait{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
    if (sigtimedwait(&signals, nullptr, &wait) > 0) return;
  }
}

// From now on a signal ends the process at once, also where it is a container's first.
void stop_at_once_on_signal() {
  const sigset_t signals = stop_signals();
  struct sigaction at_once{};
  at_once.sa_handler = [](int) { _exit(1); };
  sigaction(SIGTERM, &at_once, nullptr);
  sigaction(SIGINT, &at_once, nullptr);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

// A connection needs a file descriptor: lets the process have as many as the system allows, and says how many.
int raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<int>::max()));
}

// Ends the process at a time, unless it is destroyed before: for the case that a call does not listen to its
// cancellation, or a library does not return.
class LastResort {
 public:
  LastResort(std::chrono::steady_clock::time_point time, Logger& logger)
      : thread_([this, time, &logger] {
          MutexLock lock(mutex_);
          while (!over_ && std::chrono::steady_clock::now() < time) changed_.wait_until(mutex_, time);
          if (over_) return;
          logger.error("calls did not end when they were cancelled; the process ends without them", {});
          _exit(1);
        }) {}
  ~LastResort() {
    {
      MutexLock lock(mutex_);
      over_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  LastResort(const LastResort&) = delete;
  LastResort& operator=(const LastResort&) = delete;

 private:
  Mutex mutex_;
  CondVar changed_;
  bool over_ TW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

int serve(const ServerOptions& options, Logger& logger) {
  rpc::route_library_logs(logger);
  tensor_allocator().set_limit(options.tensor_memory_limit, "--tensor_memory_limit");
  const int descriptors = raise_descriptor_limit();
  Metrics metrics(build_info(), {.per_model = options.metrics_per_model});
  std::atomic<bool> ready{false};
  ComputePool pool({.permits = options.compute_threads, .max_call = options.max_call});
  ModelRegistry models({.model = {.definition = {.max_tensor_bytes = options.max_tensor_bytes},
                                  .max_queue = options.max_queue,
                                  .max_tapes = options.max_tapes,
                                  .tape_lease = std::chrono::seconds(options.tape_lease_seconds),
                                  .compute_threads = options.compute_threads},
                        .max_models = options.max_models,
                        .hooks = options.watch},
                       pool, metrics);

  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() - kMemoryBesideTensors;
  const auto memory = std::make_shared<MemoryGuard>(
      MemoryGuard::Options{.limit = std::min(options.tensor_memory_limit, kMost) + kMemoryBesideTensors});
  tensor_allocator().set_may_grow([memory](size_t bytes) { return memory->admit(bytes).ok(); });
  // What is worth less than a call that needs memory: what waits for watchers, readers that do not read, and states
  // that are half sent.
  tensor_allocator().set_reclaim([hooks = models.options().model.hooks] {
    return hooks->memory.give_way(1) || codec::ChunkReader::let_go_of_longest_idle() ||
           codec::ChunkAssembler::let_go_of_longest_idle();
  });

  auto http =
      HttpServer::start({.address = options.http_address,
                         .metrics = [&metrics] { return metrics.text(); },
                         .ready = [&ready] { return ready.load(); },
                         .log = [&logger](std::string_view message) { logger.debug("http", {{"message", message}}); },
                         .max_connections = std::clamp(descriptors / 8, 1, kMaxHttpConnections)});
  if (!http.ok()) {
    logger.error("cannot serve HTTP", {{"why", to_std(http.status().message())}});
    return 1;
  }
  rpc::CallGate gate;
  const rpc::Environment environment{metrics,
                                     logger,
                                     gate,
                                     {.max_message_bytes = options.max_message_bytes, .memory = memory.get()},
                                     options.slow_call_threshold};
  const rpc::Backend backend{.models = models,
                             .tensors = {.max_tensor_bytes = options.max_tensor_bytes},
                             .max_answer_bytes = options.max_message_bytes,
                             .facts = {.features = {"hooks.observe"},
                                       .limits = options.limits(),
                                       .cpu = cpu_name(),
                                       .compute_threads = options.compute_threads}};
  auto grpc = rpc::RpcServer::start(options.grpc_address, environment, backend);
  if (!grpc.ok()) {
    logger.error("cannot serve gRPC", {{"why", to_std(grpc.status().message())}});
    return 1;
  }
  ready = true;
  const std::string grpc_address = to_string((*grpc)->address());
  const std::string http_address = to_string((*http)->address());
  const BuildInfo build = build_info();
  logger.info("serving", {{"version", build.version},
                          {"commit", build.commit},
                          {"grpc", grpc_address},
                          {"http", http_address},
                          {"compute_threads", options.compute_threads},
                          {"tensor_memory_limit", options.tensor_memory_limit}});
  std::cout << "tapewired ready grpc=" << grpc_address << " http=" << http_address << std::endl;

  const int signal = wait_for_stop();
  ready = false;
  (*grpc)->announce_drain();
  logger.info("draining", {{"signal", signal},
                           {"delay_seconds", static_cast<double>(options.drain_delay.count()) / 1000},
                           {"timeout_seconds", static_cast<double>(options.drain_timeout.count()) / 1000}});
  wait_for_stop(options.drain_delay);
  stop_at_once_on_signal();
  constexpr auto kToListen = std::chrono::milliseconds(1500);  // that cancelled calls get to end
  const auto deadline = CancelToken::Clock::now() + options.drain_timeout;
  const LastResort last_resort(deadline + kToListen, logger);
  const bool complete = (*grpc)->drain(deadline);
  logger.info("stopped", {{"calls_cut_off", !complete}});
  return 0;
}

}  // namespace
}  // namespace tapewire

int main(int argc, char** argv) {
  const tapewire::ServerOptions options = tapewire::parse_flags(argc, argv);
  tapewire::keep_freed_memory(options.tensor_memory_limit);
  // All threads inherit the mask, so that only the main one hears of the end.
  const sigset_t signals = tapewire::stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  tapewire::Logger logger(options.log_format, options.log_level);
  try {
    return tapewire::serve(options, logger);
  } catch (const std::exception& error) {
    logger.error("cannot start", {{"why", error.what()}});
    return 1;
  }
}
