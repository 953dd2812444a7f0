#include "server/observe/http_server.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "civetweb.h"
#include "core/base/strings.h"
#include "core/base/suggest.h"
#include "server/observe/metrics.h"

namespace tapewire {
namespace {

struct Answer {
  int code;
  std::string_view reason;
  std::string_view type;
  std::string body;
};

// A connection that sends nothing holds a thread this long: it must not keep a probe of /healthz waiting.
constexpr const char* kThreads = "8";
constexpr const char* kRequestTimeoutMs = "2000";

constexpr std::string_view kPlain = "text/plain; charset=utf-8";

int send(mg_connection* connection, const Answer& answer, bool with_body) {
  const std::string head =
      str_cat("HTTP/1.1 ", answer.code, " ", answer.reason, "\r\nContent-Type: ", answer.type,
              "\r\nContent-Length: ", answer.body.size(), answer.code == 405 ? "\r\nAllow: GET, HEAD" : "",
              "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
  mg_write(connection, head.data(), head.size());
  if (with_body) mg_write(connection, answer.body.data(), answer.body.size());
  return answer.code;
}

struct FreeAddresses {
  void operator()(addrinfo* found) const { freeaddrinfo(found); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

// getaddrinfo's code; 0 with what was found.
int resolve(const HostPort& address, Addresses& out) {
  const bool bracketed = address.host.front() == '[';
  const std::string host = bracketed ? address.host.substr(1, address.host.size() - 2) : address.host;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (code == 0) out.reset(found);
  return code;
}

// Connects and hangs up.
void knock(const HostPort& address) {
  Addresses found;
  if (resolve(address, found) != 0) return;
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  // Whether it connects or not: mg_stop ends in any case, only later.
  [[maybe_unused]] const int connected = connect(fd, found->ai_addr, found->ai_addrlen);
  close(fd);
}

std::string lower_first(std::string text) {
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

}  // namespace

absl::StatusOr<HostPort> parse_host_port(const std::string& text) {
  const auto wrong = [&text](std::string_view why) {
    return absl::InvalidArgumentError(str_cat("expects HOST:PORT, got ", quoted(text), ": ", why));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong("there is no port");
  HostPort address{text.substr(0, colon), 0};
  if (address.host.empty()) return wrong("there is no host; 0.0.0.0 is every address of this machine");
  const bool bracketed = address.host.front() == '[' && address.host.back() == ']';
  if (address.host.find(':') != std::string::npos && !bracketed) return wrong("an IPv6 host stands in brackets");
  const std::string_view port = std::string_view(text).substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size() || address.port < 0 ||
      address.port > 65535) {
    return wrong("the port is a number from 0 to 65535");
  }
  return address;
}

std::string to_string(const HostPort& address) { return str_cat(address.host, ":", address.port); }

std::optional<std::string> listen_fault(const HostPort& address) {
  Addresses found;
  if (const int code = resolve(address, found); code != 0) return lower_first(gai_strerror(code));
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return lower_first(std::strerror(errno));
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  std::optional<std::string> fault;
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0) {
    fault = lower_first(std::strerror(errno));
  }
  close(fd);
  return fault;
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::start(Options options) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(options)));
  const std::string listen = to_string(server->options_.address);
  const std::vector<const char*> settings{
      "listening_ports", listen.c_str(),      "num_threads", kThreads, "request_timeout_ms",
      kRequestTimeoutMs, "linger_timeout_ms", "0",           nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = &HttpServer::handle;
  callbacks.log_message = &HttpServer::note;
  std::string text(256, '\0');
  mg_init_data init{&callbacks, server.get(), const_cast<const char**>(settings.data())};
  mg_error_data error{nullptr, text.data(), text.size()};
  server->context_ = mg_start2(&init, &error);
  if (server->context_ == nullptr) {
    const std::string why = server->last_message_.empty() ? text.c_str() : server->last_message_;
    const std::optional<std::string> fault = listen_fault(server->options_.address);
    return absl::UnavailableError(str_cat("cannot listen on ", listen, ": ", fault ? *fault : why));
  }
  mg_server_port port{};
  if (mg_get_server_ports(server->context_, 1, &port) < 1) return absl::InternalError("CivetWeb tells no port");
  server->options_.address.port = port.port;
  return server;
}

HttpServer::~HttpServer() {
  if (context_ == nullptr) return;
  // CivetWeb looks for the stop only every two seconds, or when somebody connects.
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    mg_stop(context_);
    stopped = true;
  });
  while (!stopped) {
    knock(options_.address);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  stopper.join();
}

int HttpServer::note(const mg_connection* connection, const char* message) {
  auto* server = static_cast<HttpServer*>(mg_get_user_data(mg_get_context(connection)));
  // Before the listener stands there is one thread; later ones have their log.
  if (server->context_ == nullptr) {
    server->last_message_ = message;
  } else if (server->options_.log) {
    server->options_.log(message);
  }
  return 1;
}

int HttpServer::handle(mg_connection* connection) {
  return static_cast<const HttpServer*>(mg_get_request_info(connection)->user_data)->respond(connection);
}

int HttpServer::respond(mg_connection* connection) const {
  const mg_request_info* request = mg_get_request_info(connection);
  const std::string_view method = request->request_method;
  const std::string_view path = request->local_uri != nullptr ? request->local_uri : "";
  const bool head = method == "HEAD";
  if (method != "GET" && !head) {
    return send(connection, {405, "Method Not Allowed", kPlain, "only GET and HEAD\n"}, true);
  }
  if (path == "/metrics") return send(connection, {200, "OK", kMetricsContentType, options_.metrics()}, !head);
  if (path == "/healthz") return send(connection, {200, "OK", kPlain, "ok\n"}, !head);
  if (path == "/readyz") {
    const bool ready = options_.ready();
    return send(
        connection,
        ready ? Answer{200, "OK", kPlain, "ready\n"} : Answer{503, "Service Unavailable", kPlain, "not ready\n"},
        !head);
  }
  return send(connection, {404, "Not Found", kPlain, "there are /metrics, /healthz and /readyz\n"}, !head);
}

}  // namespace tapewire
