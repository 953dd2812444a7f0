#include "server/rpc/connection_acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace tapewire::rpc {
namespace {

// Accepting rests for so long where a connection could not be had.
constexpr int kRestMs = 100;
// As gRPC sets it for its own connections: unacknowledged data ends a connection after this.
constexpr unsigned kUnacknowledgedMs = 20'000;

// Descriptors are given from the lowest that is free: one of the last quarter says that the rest are used up.
bool is_of_the_last(int fd) {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 && static_cast<rlim_t>(fd) >= limit.rlim_cur / 4 * 3;
}

}  // namespace

ConnectionAcceptor::ConnectionAcceptor(Listener listener, Handover server, Logger& logger)
    : listener_(std::move(listener)), server_(std::move(server)), logger_(logger) {
  // What is accepted inherits these.
  const int yes = 1;
  setsockopt(listener_.fd(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(listener_.fd(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs, sizeof kUnacknowledgedMs);
  thread_ = std::thread([this] { run(); });
}

ConnectionAcceptor::~ConnectionAcceptor() {
  stop_.wake();
  thread_.join();
}

void ConnectionAcceptor::run() {
  const auto refuse = [this](const std::string& why) {
    const std::vector<LogField> fields{{"why", why}};
    logger_.log_limited(LogLevel::kWarning, "gRPC connection refused", "", fields);
  };
  std::array<pollfd, 2> polled{pollfd{stop_.fd(), POLLIN, 0}, pollfd{listener_.fd(), POLLIN, 0}};
  for (;;) {
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    FileDescriptor fd = listener_.accept();
    if (fd && !is_of_the_last(fd.get())) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.listener_fd = listener_.fd();
      connection.fd = fd.release();
      server_->HandleNewConnection(&connection);
    } else if (fd) {
      refuse("too many open files");
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
      refuse(std::generic_category().message(errno));
      poll(polled.data(), 1, kRestMs);
    }
  }
}

}  // namespace tapewire::rpc
