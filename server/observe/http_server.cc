#include "server/observe/http_server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <list>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/strings.h"
#include "server/observe/metrics.h"
#include "server/observe/wakeup.h"

namespace tapewire {
namespace {

using Clock = std::chrono::steady_clock;
using Text = std::shared_ptr<const std::string>;

constexpr const char* kPlain = "text/plain; charset=utf-8";
// A request's line and headers must fit; more is answered with 431.
constexpr size_t kConnectionMemory = 16 << 10;
// Texts of /metrics that slow readers may keep alive; beyond it, those who read the oldest are hung up on.
constexpr size_t kMaxTexts = 8;
// What a client still sends after the last answer is read and dropped for this long: closing a socket with unread data
// would reset the connection, and the answer with it.
constexpr std::chrono::seconds kLinger{2};
// Without a descriptor for the next connection, and none of ours to close, accepting rests for this long.
constexpr std::chrono::milliseconds kAcceptRest{100};

// Makes a text on a thread of its own, one at a time.
class Renderer {
 public:
  Renderer(std::function<std::string()> render, const Wakeup& done)
      : render_(std::move(render)), done_(done), thread_([this] { run(); }) {}
  ~Renderer() {
    {
      MutexLock lock(mutex_);
      stop_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  // REQUIRES: the last one was taken.
  void start() TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    wanted_ = true;
    changed_.notify_all();
  }
  // The text, once, after `done` was woken. A text that is null could not be made.
  std::optional<Text> take() TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return std::exchange(text_, std::nullopt);
  }

 private:
  void run() TW_EXCLUDES(mutex_) {
    for (;;) {
      {
        MutexLock lock(mutex_);
        while (!wanted_ && !stop_) changed_.wait(mutex_);
        if (stop_) return;
        wanted_ = false;
      }
      Text text;
      try {
        text = std::make_shared<const std::string>(render_());
      } catch (const std::exception&) {
        // Out of memory: this scrape fails, the next may not.
      }
      MutexLock lock(mutex_);
      text_ = std::move(text);
      done_.wake();
    }
  }

  const std::function<std::string()> render_;
  const Wakeup& done_;
  Mutex mutex_;
  CondVar changed_;
  bool wanted_ TW_GUARDED_BY(mutex_) = false;
  bool stop_ TW_GUARDED_BY(mutex_) = false;
  std::optional<Text> text_ TW_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace

/// Belongs to the thread that runs it, but for stop(). libmicrohttpd speaks HTTP; this accepts, decides who is hung up
/// on, and waits.
class HttpServer::Loop {
 public:
  Loop(Options options, Listener listener)
      : options_(std::move(options)), listener_(std::move(listener)), renderer_(options_.metrics, wakeup_) {
    daemon_ =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
                         nullptr, nullptr, &Loop::on_request, this, MHD_OPTION_EXTERNAL_LOGGER, &Loop::on_log, this,
                         MHD_OPTION_NOTIFY_CONNECTION, &Loop::on_connection, this, MHD_OPTION_NOTIFY_COMPLETED,
                         &Loop::on_completed, this, MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory,
                         MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(options_.max_connections), MHD_OPTION_END);
    if (daemon_ != nullptr) daemon_fd_ = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  }
  ~Loop() {
    if (daemon_ == nullptr) return;
    // A connection that is suspended cannot be ended.
    for (const std::vector<Connection*>& waiting : {waiting_, rendering_}) {
      for (const Connection* connection : waiting) MHD_resume_connection(connection->handle);
    }
    stopping_ = true;
    MHD_stop_daemon(daemon_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  bool ok() const { return daemon_ != nullptr && wakeup_; }
  const HostPort& address() const { return listener_.address(); }

  void run() {
    while (!stop_) {
      wait();
      wakeup_.clear();
      if (std::optional<Text> text = renderer_.take()) hand_out(*text);
      accept_waiting();
      MHD_run(daemon_);
      const Clock::time_point now = Clock::now();
      while (!open_.empty() && open_.front().since + options_.connection_timeout <= now) hang_up(open_.front());
      drop_lingering(now);
      if (is_rendering_ || waiting_.empty()) continue;
      is_rendering_ = true;
      rendering_.swap(waiting_);
      make_room_for_text();
      renderer_.start();
    }
  }
  // From any thread: run() returns soon.
  void stop() {
    stop_ = true;
    wakeup_.wake();
  }

 private:
  struct Connection;
  using Connections = std::list<Connection>;

  struct Connection {
    MHD_Connection* handle;
    int fd;
    Clock::time_point since;  // it was accepted, or completed its last answer
    Connections::iterator self;
    bool hung_up = false;
    bool complete = false;     // the request is here as a whole
    std::optional<Text> text;  // of /metrics, once it was made
  };
  struct Lingering {
    FileDescriptor fd;
    Clock::time_point until;
  };

  // --- waiting ---

  bool accepts(Clock::time_point now) const {
    return now >= accept_from_ && static_cast<int>(open_.size() + hung_up_.size()) < options_.max_connections;
  }

  // Until there is something to do.
  void wait() {
    const Clock::time_point now = Clock::now();
    polled_.clear();
    polled_.push_back({wakeup_.fd(), POLLIN, 0});
    polled_.push_back({daemon_fd_, POLLIN, 0});
    for (const Lingering& closed : lingering_) polled_.push_back({closed.fd.get(), POLLIN, 0});
    Clock::time_point until = Clock::time_point::max();
    if (accepts(now)) {
      polled_.push_back({listener_.fd(), POLLIN, 0});
    } else if (now < accept_from_) {
      until = accept_from_;
    }
    if (!open_.empty()) until = std::min(until, open_.front().since + options_.connection_timeout);
    if (!lingering_.empty()) until = std::min(until, lingering_.front().until);
    int timeout = -1;
    if (until != Clock::time_point::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
      timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
    }
    MHD_UNSIGNED_LONG_LONG pending = 0;
    if (MHD_get_timeout(daemon_, &pending) == MHD_YES && pending == 0) timeout = 0;
    poll(polled_.data(), polled_.size(), timeout);
  }

  // --- connections ---

  void accept_waiting() {
    // A crowd at the door does not keep those inside waiting.
    constexpr int kAtOnce = 64;
    for (int i = 0; i < kAtOnce && accepts(Clock::now()); ++i) {
      FileDescriptor fd = listener_.accept();
      if (!fd) {
        if (errno != EAGAIN && errno != EWOULDBLOCK) rest(std::generic_category().message(errno));
        return;
      }
      // libmicrohttpd wants an address only to tell it.
      const sockaddr none{};
      if (MHD_add_connection(daemon_, fd.release(), &none, sizeof none) != MHD_YES) return rest("no memory");
      if (static_cast<int>(open_.size() + hung_up_.size()) >= options_.max_connections) hang_up_longest();
    }
  }

  // No descriptor or no memory for a connection.
  void rest(const std::string& why) {
    log(str_cat("cannot accept a connection: ", why));
    accept_from_ = Clock::now() + kAcceptRest;
    hang_up_longest();
  }

  void hang_up_longest() {
    if (!lingering_.empty()) lingering_.pop_front();
    if (!open_.empty()) hang_up(open_.front());
  }

  // libmicrohttpd ends it in its next run, or when it is resumed.
  void hang_up(Connection& connection) {
    shutdown(connection.fd, SHUT_RDWR);
    connection.hung_up = true;
    hung_up_.splice(hung_up_.end(), open_, connection.self);
  }

  void opened(MHD_Connection* handle, void** socket_context) {
    const int fd = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    Connection& connection = open_.emplace_back(Connection{.handle = handle, .fd = fd, .since = Clock::now()});
    connection.self = std::prev(open_.end());
    *socket_context = &connection;
  }

  // libmicrohttpd is about to close the socket.
  void closed(Connection& connection) {
    char byte = 0;
    const bool peer_closed = recv(connection.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    if (!connection.hung_up && !peer_closed && !stopping_) {
      if (static_cast<int>(lingering_.size()) >= options_.max_connections) lingering_.pop_front();
      FileDescriptor copy(fcntl(connection.fd, F_DUPFD_CLOEXEC, 0));
      if (copy && shutdown(copy.get(), SHUT_WR) == 0) {
        lingering_.push_back({std::move(copy), Clock::now() + kLinger});
      }
    }
    accept_from_ = {};
    (connection.hung_up ? hung_up_ : open_).erase(connection.self);
  }

  void drop_lingering(Clock::time_point now) {
    std::array<char, 16 << 10> dropped;
    std::erase_if(lingering_, [&](const Lingering& closed) {
      if (closed.until <= now) return true;
      const ssize_t n = recv(closed.fd.get(), dropped.data(), dropped.size(), MSG_DONTWAIT);
      return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    });
  }

  void completed(Connection& connection) {
    connection.complete = false;
    connection.text.reset();
    if (connection.hung_up) return;
    connection.since = Clock::now();
    open_.splice(open_.end(), open_, connection.self);
  }

  // --- requests ---

  MHD_Result respond(Connection& connection, std::string_view method, std::string_view path, size_t* body_bytes) {
    // A body is read to its end before the answer: a client that still sends would not read it.
    if (!connection.complete) {
      connection.complete = true;
      return MHD_YES;
    }
    if (*body_bytes > 0) {
      *body_bytes = 0;
      return MHD_YES;
    }
    if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD) {
      return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, kPlain, "only GET and HEAD\n");
    }
    if (path == "/metrics") return respond_metrics(connection);
    if (path == "/healthz") return answer(connection, MHD_HTTP_OK, kPlain, "ok\n");
    if (path == "/readyz") {
      return options_.ready() ? answer(connection, MHD_HTTP_OK, kPlain, "ready\n")
                              : answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, kPlain, "not ready\n");
    }
    return answer(connection, MHD_HTTP_NOT_FOUND, kPlain, "there are /metrics, /healthz and /readyz\n");
  }

  // All who ask before a text is begun get the same one.
  MHD_Result respond_metrics(Connection& connection) {
    if (!connection.text) {
      waiting_.push_back(&connection);
      MHD_suspend_connection(connection.handle);
      return MHD_YES;
    }
    const Text& text = *connection.text;
    if (!text) return answer(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, kPlain, "no memory for the metrics\n");
    return answer(connection, MHD_HTTP_OK, kMetricsContentType, *text);
  }

  void hand_out(const Text& text) {
    is_rendering_ = false;
    if (text) texts_.push_back(text);
    for (Connection* connection : rendering_) {
      connection->text = text;
      MHD_resume_connection(connection->handle);
    }
    rendering_.clear();
  }

  void make_room_for_text() {
    std::erase_if(texts_, [](const std::weak_ptr<const std::string>& text) { return text.expired(); });
    while (texts_.size() >= kMaxTexts) {
      const Text oldest = texts_.front().lock();
      texts_.pop_front();
      for (auto at = open_.begin(); at != open_.end();) {
        Connection& connection = *at++;
        if (connection.text && *connection.text == oldest) hang_up(connection);
      }
    }
  }

  // `body` stays as it is until the answer is completed.
  MHD_Result answer(const Connection& connection, unsigned code, const char* type, std::string_view body) {
    // Persistent: libmicrohttpd neither copies nor frees it.
    MHD_Response* response =
        MHD_create_response_from_buffer(body.size(), const_cast<char*>(body.data()), MHD_RESPMEM_PERSISTENT);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    const MHD_Result queued = MHD_queue_response(connection.handle, code, response);
    MHD_destroy_response(response);
    return queued;
  }

  // --- libmicrohttpd's callbacks ---

  static MHD_Result on_request(void* self, MHD_Connection* handle, const char* url, const char* method, const char*,
                               const char*, size_t* body_bytes, void**) {
    auto* connection =
        static_cast<Connection*>(MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
    return static_cast<Loop*>(self)->respond(*connection, method, url, body_bytes);
  }
  static void on_connection(void* self, MHD_Connection* handle, void** socket_context,
                            MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      static_cast<Loop*>(self)->opened(handle, socket_context);
    } else {
      static_cast<Loop*>(self)->closed(*static_cast<Connection*>(*socket_context));
    }
  }
  static void on_completed(void* self, MHD_Connection* handle, void**, MHD_RequestTerminationCode) {
    auto* connection =
        static_cast<Connection*>(MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
    static_cast<Loop*>(self)->completed(*connection);
  }
  static void on_log(void* self, const char* format, va_list arguments) {
    std::array<char, 512> text;
    // libmicrohttpd's own format. NOLINTNEXTLINE(clang-diagnostic-format-nonliteral)
    vsnprintf(text.data(), text.size(), format, arguments);
    std::string_view message(text.data());
    while (message.ends_with('\n')) message.remove_suffix(1);
    static_cast<Loop*>(self)->log(message);
  }
  void log(std::string_view message) {
    if (options_.log) options_.log(message);
  }

  const Options options_;
  const Listener listener_;
  const Wakeup wakeup_;
  Renderer renderer_;
  MHD_Daemon* daemon_ = nullptr;
  int daemon_fd_ = -1;
  std::atomic<bool> stop_{false};
  bool stopping_ = false;
  Connections open_;  // the longest without a completed answer first
  Connections hung_up_;
  std::deque<Lingering> lingering_;
  Clock::time_point accept_from_;
  std::vector<pollfd> polled_;
  std::vector<Connection*> waiting_;    // for the next text; suspended
  std::vector<Connection*> rendering_;  // for the text that is made; suspended
  bool is_rendering_ = false;
  std::deque<std::weak_ptr<const std::string>> texts_;
};

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)), thread_([this] { loop_->run(); }) {}

HttpServer::~HttpServer() {
  loop_->stop();
  thread_.join();
}

const HostPort& HttpServer::address() const { return loop_->address(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::start(Options options) {
  absl::StatusOr<Listener> listener = Listener::open(options.address);
  if (!listener.ok()) return listener.status();
  auto loop = std::make_unique<Loop>(std::move(options), *std::move(listener));
  if (!loop->ok()) return absl::UnavailableError("cannot serve HTTP: no descriptor or no memory is left");
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(loop)));
}

}  // namespace tapewire
