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

#include "core/tensor/allocator.h"
#include "server/flags.h"
#include "server/hook/hook_hub.h"
#include "server/model/model_registry.h"
#include "server/observe/host.h"
#include "server/observe/http_server.h"
#include "server/observe/metrics.h"
#include "server/rpc/backend.h"
#include "server/rpc/rpc_server.h"

namespace tapewire {
namespace {

constexpr int kMaxHttpConnections = 1000;

// Messages of a megabyte come and go: without this each would be mapped, faulted in and unmapped again.
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
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

int serve(const ServerOptions& options, Logger& logger) {
  rpc::route_library_logs(logger);
  tensor_allocator().set_limit(options.tensor_memory_limit, "--tensor_memory_limit");

  const int descriptors = raise_descriptor_limit();
  Metrics metrics(build_info(), {.per_model = options.metrics_per_model});
  std::atomic<bool> ready{false};
  ComputePool pool({.permits = options.compute_threads, .max_queue = options.max_queue, .observer = {}});
  HookHub hooks(options.max_hooks);
  ModelRegistry models({.model = {.definition = {.max_tensor_bytes = options.max_tensor_bytes},
                                  .max_queue = options.max_queue,
                                  .max_tapes = options.max_tapes,
                                  .tape_lease = std::chrono::seconds(options.tape_lease_seconds),
                                  .compute_threads = options.compute_threads},
                        .max_models = options.max_models},
                       pool, metrics);

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
  const rpc::Environment environment{
      metrics, logger, gate, {.max_message_bytes = options.max_message_bytes}, options.slow_call_threshold};
  const rpc::Backend backend{.models = models,
                             .hooks = hooks,
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
  const bool complete = (*grpc)->drain(CancelToken::Clock::now() + options.drain_timeout);
  logger.info("stopped", {{"calls_cut_off", !complete}});
  return 0;
}

}  // namespace
}  // namespace tapewire

int main(int argc, char** argv) {
  const tapewire::ServerOptions options = tapewire::parse_flags(argc, argv);
  tapewire::keep_freed_memory();
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
