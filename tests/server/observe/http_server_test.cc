#include "server/observe/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "gmock/gmock.h"

namespace tapewire {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// What the server answers to these bytes until it closes.
std::string talk(int port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return "no connection";
  }
  send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[4096];
  for (ssize_t n = 0; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<size_t>(n));
  close(fd);
  return answer;
}

std::string get(int port, const std::string& path, const std::string& method = "GET") {
  return talk(port, method + " " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    auto server = HttpServer::start({.address = {"127.0.0.1", 0},
                                     .metrics = [] { return std::string("some_metric 1\n"); },
                                     .ready = [this] { return ready_.load(); }});
    EXPECT_TRUE(server.ok()) << server.status();
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
  talk(port(), std::string("\0\xff\xfe GET\r\n\r\n", 12));
  talk(port(), std::string(100000, 'x') + "\r\n\r\n");
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
