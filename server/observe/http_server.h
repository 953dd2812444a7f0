#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "server/observe/listener.h"

namespace tapewire {

/// Serves GET and HEAD of /metrics, /healthz (200 while the process lives) and /readyz (503 unless ready) until
/// destroyed.
///
/// One thread serves all connections, another makes the text of /metrics, so that a probe waits for nobody. A
/// connection on which no answer was completed for `connection_timeout` is closed: one that is idle, that sends its
/// request or reads its answer too slowly. Where `max_connections` are open, or the process has no descriptor left, a
/// new one takes the place of the one that has gone without a completed answer for the longest.
class HttpServer {
 public:
  struct Options {
    HostPort address;                      // port 0: any free one
    std::function<std::string()> metrics;  // the body of /metrics; called by one thread
    std::function<bool()> ready;
    std::function<void(std::string_view)> log = nullptr;  // hears of faults; from any thread
    int max_connections = 1000;
    std::chrono::milliseconds connection_timeout = std::chrono::seconds(60);
  };

  /// Listens, or says why not.
  static absl::StatusOr<std::unique_ptr<HttpServer>> start(Options options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// With the port that was bound.
  const HostPort& address() const;

 private:
  class Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);

  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace tapewire
