#include "server/observe/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "gmock/gmock.h"
#include "server/observe/file_descriptor.h"

namespace tapewire {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

using namespace std::chrono_literals;

// A connection of a client.
class Client {
 public:
  // A receive buffer of `receive_bytes`, or the system's.
  explicit Client(int port, int receive_bytes = 0) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_bytes > 0) setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    // What hangs must not hang the test.
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  int fd() const { return fd_.get(); }
  // Whether the connection took all of it.
  bool write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  void end_writing() const { shutdown(fd_.get(), SHUT_WR); }
  // Up to `bytes` at once; "" at the end, and where the connection was reset (`reset`) or is silent for too long.
  std::string read_some(size_t bytes = 4096) {
    std::string out(bytes, '\0');
    const ssize_t n = recv(fd_.get(), out.data(), bytes, 0);
    reset = n < 0;
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return out;
  }
  // Until the server closes.
  std::string read_all() {
    std::string all;
    for (std::string part; !(part = read_some(64 << 10)).empty();) all += part;
    return all;
  }
  // Until `end` has come.
  std::string read_to(std::string_view end) {
    std::string all;
    while (!all.ends_with(end)) {
      const std::string part = read_some(1);
      if (part.empty()) break;
      all += part;
    }
    return all;
  }

  bool reset = false;

 private:
  FileDescriptor fd_;
};

// What the server answers to these bytes until it closes.
std::string talk(int port, const std::string& request) {
  Client client(port);
  client.write(request);
  return client.read_all();
}

std::string request(const std::string& path, const std::string& method = "GET", const std::string& headers = "") {
  return method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}

std::string get(int port, const std::string& path, const std::string& method = "GET") {
  return talk(port, request(path, method, "Content-Length: 0\r\nConnection: close\r\n"));
}

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() { start({}); }
  // Anew, with options of the test's own.
  void start(HttpServer::Options options) {
    server_.reset();
    options.address = {"127.0.0.1", 0};
    if (!options.metrics) options.metrics = [] { return std::string("some_metric 1\n"); };
    options.ready = [this] { return ready_.load(); };
    auto server = HttpServer::start(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  int port() const { return server_->address().port; }

  std::atomic<bool> ready_{true};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, BindsAFreePortAndTellsIt) { EXPECT_GT(port(), 0); }

TEST_F(HttpServerTest, MetricsHaveTheTextFormatsContentType) {
  const std::string answer = get(port(), "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nsome_metric 1\n"));
}

TEST_F(HttpServerTest, QueryStringsAreIgnored) {
  EXPECT_THAT(get(port(), "/metrics?name=x"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ReadinessFollowsTheServer) {
  EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get(port(), "/readyz"), StartsWith("HTTP/1.1 200"));
  ready_ = false;
  EXPECT_THAT(get(port(), "/readyz"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  const std::string answer = get(port(), "/metrics", "HEAD");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 14\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, OtherPathsAndMethodsAreRefused) {
  for (const char* path : {"/", "/metrics/", "/../etc/passwd", "/favicon.ico", "/healthzz"}) {
    EXPECT_THAT(get(port(), path), testing::AnyOf(StartsWith("HTTP/1.1 404"), StartsWith("HTTP/1.1 400"))) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    EXPECT_THAT(get(port(), "/metrics", method), StartsWith("HTTP/1.1 405")) << method;
  }
}

TEST_F(HttpServerTest, GarbageDoesNotEndIt) {
  start({.connection_timeout = 500ms});
  for (const std::string& garbage :
       {std::string("\0\xff\xfe GET\r\n\r\n", 12), std::string(100000, 'x') + "\r\n\r\n"}) {
    Client client(port());
    client.write(garbage);
    client.end_writing();
    client.read_all();
    EXPECT_FALSE(client.reset);
  }
  EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ServesManyAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> ok{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) ok += get(port(), "/metrics").starts_with("HTTP/1.1 200");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ok, 80);
}

TEST_F(HttpServerTest, AConnectionServesManyRequests) {
  Client client(port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(client.write(request("/healthz")));
    EXPECT_THAT(client.read_to("ok\n"), StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE(client.write(request("/metrics")));
    EXPECT_THAT(client.read_to("some_metric 1\n"), StartsWith("HTTP/1.1 200"));
  }
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  const std::string answer =
      talk(port(), request("/metrics") + request("/healthz") + request("/readyz", "GET", "Connection: close\r\n"));
  const size_t first = answer.find("\r\n\r\nsome_metric 1\nHTTP/1.1 200");
  ASSERT_NE(first, std::string::npos) << answer;
  EXPECT_THAT(answer.substr(first), HasSubstr("\r\n\r\nok\nHTTP/1.1 200"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nready\n"));
}

TEST_F(HttpServerTest, Http10ClosesAfterTheAnswer) {
  Client client(port());
  EXPECT_TRUE(client.write("GET /metrics HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(client.read_all(), EndsWith("\r\n\r\nsome_metric 1\n"));
  EXPECT_FALSE(client.reset);
}

TEST_F(HttpServerTest, TheTextIsOneFormatWhateverIsAccepted) {
  const std::string answer = talk(
      port(), request("/metrics", "GET",
                      "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
                      "Accept-Encoding: gzip\r\nConnection: close\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nsome_metric 1\n"));
}

TEST_F(HttpServerTest, ALongTextArrivesWholeThoughTheServerHasClosedLongAgo) {
  const std::string text(1 << 20, 'x');
  start({.metrics = [&] { return text; }});
  Client slow(port(), 4096);
  EXPECT_TRUE(slow.write(request("/metrics", "GET", "Connection: close\r\n")));
  std::string answer = slow.read_to("\r\n\r\n");
  // What the server did with it is done when it has answered another.
  for (int i = 0; i < 10; ++i) EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  answer = slow.read_all();
  EXPECT_EQ(answer.size(), text.size());
  EXPECT_FALSE(slow.reset);
}

TEST_F(HttpServerTest, AnAnswerIsNotResetByWhatTheClientStillSends) {
  Client client(port());
  // Far more than a request may have, and than fits on the way.
  EXPECT_TRUE(client.write(request("/healthz", "GET", "X: " + std::string(8 << 20, 'x') + "\r\n")));
  client.end_writing();
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 431"));
  EXPECT_FALSE(client.reset);
}

TEST_F(HttpServerTest, ABodyIsReadBeforeItIsRefused) {
  Client client(port());
  const std::string body(1 << 20, 'x');
  EXPECT_TRUE(client.write(request("/metrics", "POST", "Content-Length: 1048576\r\n") + body));
  EXPECT_THAT(client.read_to("only GET and HEAD\n"), HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_TRUE(client.write(request("/healthz")));
  EXPECT_THAT(client.read_to("ok\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, FiveHundredIdleConnectionsKeepNoProbeWaiting) {
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 500; ++i) idle.push_back(std::make_unique<Client>(port()));
  for (int i = 0; i < 500; i += 2) EXPECT_TRUE(idle[static_cast<size_t>(i)]->write("GET /healthz HTT"));
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

TEST_F(HttpServerTest, ProbesDoNotWaitForATextAndAllWhoWaitForItGetTheNext) {
  Mutex mutex;
  CondVar changed;
  int begun = 0, allowed = 0;
  start({.metrics = [&] {
    MutexLock lock(mutex);
    const int mine = ++begun;
    changed.notify_all();
    while (allowed < mine) changed.wait(mutex);
    return "text " + std::to_string(mine) + "\n";
  }});
  const auto allow = [&](int texts) {
    MutexLock lock(mutex);
    allowed = texts;
    changed.notify_all();
  };
  Client first(port());
  EXPECT_TRUE(first.write(request("/metrics")));
  {
    MutexLock lock(mutex);
    while (begun < 1) changed.wait(mutex);
  }
  std::vector<std::unique_ptr<Client>> later;
  for (int i = 0; i < 5; ++i) {
    later.push_back(std::make_unique<Client>(port()));
    EXPECT_TRUE(later.back()->write(request("/metrics")));
  }
  // Those before it have been accepted when this is answered.
  EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get(port(), "/readyz"), StartsWith("HTTP/1.1 200"));
  allow(1);
  EXPECT_THAT(first.read_to("text 1\n"), StartsWith("HTTP/1.1 200"));
  allow(2);
  for (const auto& client : later) EXPECT_THAT(client->read_to("text 2\n"), EndsWith("text 2\n"));
  MutexLock lock(mutex);
  EXPECT_EQ(begun, 2);
}

TEST_F(HttpServerTest, ATextThatCannotBeMadeIsAnError) {
  start({.metrics = []() -> std::string { throw std::bad_alloc(); }});
  EXPECT_THAT(get(port(), "/metrics"), StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, AClientThatLeavesWhileItsTextIsMadeIsForgotten) {
  Mutex mutex;
  CondVar changed;
  bool begun = false, allowed = false;
  start({.metrics = [&] {
    MutexLock lock(mutex);
    begun = true;
    changed.notify_all();
    while (!allowed) changed.wait(mutex);
    return std::string("late\n");
  }});
  {
    Client gone(port());
    EXPECT_TRUE(gone.write(request("/metrics")));
    // Closing resets the connection.
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(gone.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    MutexLock lock(mutex);
    while (!begun) changed.wait(mutex);
  }
  EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  {
    MutexLock lock(mutex);
    allowed = true;
    changed.notify_all();
  }
  EXPECT_THAT(get(port(), "/metrics"), EndsWith("late\n"));
}

TEST_F(HttpServerTest, TheLongestWithoutAnAnswerMakesRoomForANewConnection) {
  start({.max_connections = 4});
  Client busy(port());
  EXPECT_TRUE(busy.write(request("/healthz")));
  EXPECT_THAT(busy.read_to("ok\n"), StartsWith("HTTP/1.1 200"));
  Client oldest(port());
  EXPECT_TRUE(busy.write(request("/healthz")));
  EXPECT_THAT(busy.read_to("ok\n"), StartsWith("HTTP/1.1 200"));
  Client second(port());
  EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(oldest.read_some(), "");
  EXPECT_TRUE(busy.write(request("/healthz")));
  EXPECT_THAT(busy.read_to("ok\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, WhoeverCompletesNoAnswerInTimeIsHungUpOn) {
  const std::string text(16 << 20, 'x');
  start({.metrics = [&] { return text; }, .connection_timeout = 200ms});
  Client idle(port());
  EXPECT_EQ(idle.read_some(), "");
  EXPECT_FALSE(idle.reset);
  Client trickling(port());
  const auto begun = std::chrono::steady_clock::now();
  while (trickling.write("G") && std::chrono::steady_clock::now() - begun < 20s) std::this_thread::sleep_for(5ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
  Client slow(port(), 4096);
  EXPECT_TRUE(slow.write(request("/metrics")));
  size_t bytes = 0;
  for (std::string part; !(part = slow.read_some(4096)).empty(); bytes += part.size()) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_LT(bytes, text.size());
}

TEST_F(HttpServerTest, ReadersThatStallKeepEightTextsAtMost) {
  std::atomic<int> texts{0};
  start({.metrics = [&] { return std::string(8 << 20, static_cast<char>('a' + texts++)); }});
  std::vector<std::unique_ptr<Client>> stalled;
  for (int i = 0; i < 9; ++i) {
    stalled.push_back(std::make_unique<Client>(port(), 4096));
    EXPECT_TRUE(stalled.back()->write(request("/metrics", "GET", "Connection: close\r\n")));
    EXPECT_THAT(stalled.back()->read_to("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_LT(stalled.front()->read_all().size(), size_t{8} << 20);
  EXPECT_EQ(stalled[1]->read_all().substr(0, 1), "b");
}

TEST_F(HttpServerTest, StopsWithConnectionsOfEveryKind) {
  const std::string text(16 << 20, 'x');
  start({.metrics = [&] { return text; }});
  Client idle(port()), begun(port()), stalled(port(), 4096);
  EXPECT_TRUE(begun.write("GET /heal"));
  EXPECT_TRUE(stalled.write(request("/metrics")));
  EXPECT_THAT(stalled.read_to("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  const auto stopping = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - stopping, 5s);
}

TEST_F(HttpServerTest, TakenPortIsAnErrorThatNamesIt) {
  const auto second = HttpServer::start({.address = server_->address(), .metrics = {}, .ready = {}});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("127.0.0.1:" + std::to_string(port())));
}

TEST(HostPort, ParsesNamesAndAddresses) {
  EXPECT_EQ(parse_host_port("localhost:8001")->host, "localhost");
  EXPECT_EQ(parse_host_port("[::1]:0")->host, "[::1]");
  EXPECT_EQ(parse_host_port("[::1]:0")->port, 0);
  EXPECT_EQ(to_string(*parse_host_port("0.0.0.0:65535")), "0.0.0.0:65535");
}

TEST(HostPort, RefusesWhatIsNone) {
  for (const char* text : {"", "localhost", ":80", "a:b", "a:", "a:-1", "a:65536", "::1:80", "a:80x", "a: 80"}) {
    EXPECT_FALSE(parse_host_port(text).ok()) << text;
  }
}

}  // namespace
}  // namespace tapewire
