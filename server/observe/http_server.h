#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct mg_connection;
struct mg_context;

namespace tapewire {

/// A HOST:PORT as flags give it; an IPv6 host stands in brackets.
struct HostPort {
  std::string host;
  int port = 0;
};
/// INVALID_ARGUMENT says what is wrong with `text`.
absl::StatusOr<HostPort> parse_host_port(const std::string& text);
std::string to_string(const HostPort& address);
/// Why the address cannot be listened on ("address already in use"), which servers' libraries do not tell; nothing if
/// it can.
std::optional<std::string> listen_fault(const HostPort& address);

/// Serves GET and HEAD of /metrics, /healthz (200 while the process lives) and /readyz (503 unless ready) until
/// destroyed.
class HttpServer {
 public:
  struct Options {
    HostPort address;                      // port 0: any free one
    std::function<std::string()> metrics;  // the body of /metrics
    std::function<bool()> ready;
    std::function<void(std::string_view)> log = nullptr;  // hears of faults; from any thread
  };

  /// Listens, or says why not.
  static absl::StatusOr<std::unique_ptr<HttpServer>> start(Options options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// With the port that was bound.
  const HostPort& address() const { return options_.address; }

 private:
  explicit HttpServer(Options options) : options_(std::move(options)) {}
  static int handle(mg_connection* connection);
  static int note(const mg_connection* connection, const char* message);
  int respond(mg_connection* connection) const;

  Options options_;
  std::atomic<mg_context*> context_{nullptr};
  std::string last_message_;  // of the start
};

}  // namespace tapewire
