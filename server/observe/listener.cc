#include "server/observe/listener.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "core/base/strings.h"
#include "core/base/suggest.h"

namespace tapewire {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* found) const { freeaddrinfo(found); }
};

std::string lower_first(std::string text) {
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

// A listening socket at one of the addresses of a name, or errno.
FileDescriptor listen_at(const addrinfo& at) {
  FileDescriptor fd(socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fd;
  const int yes = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd.get(), at.ai_addr, at.ai_addrlen) == 0 && listen(fd.get(), SOMAXCONN) == 0) return fd;
  const int fault = errno;
  fd.reset();
  errno = fault;
  return fd;
}

int port_of(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  char port[NI_MAXSERV] = {};
  int value = 0;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0 &&
      getnameinfo(reinterpret_cast<sockaddr*>(&bound), size, nullptr, 0, port, sizeof port, NI_NUMERICSERV) == 0) {
    std::from_chars(port, port + std::strlen(port), value);
  }
  return value;
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

absl::StatusOr<Listener> Listener::open(const HostPort& address) {
  const auto fault = [&address](const std::string& why) {
    return absl::UnavailableError(str_cat("cannot listen on ", to_string(address), ": ", lower_first(why)));
  };
  const bool bracketed = address.host.front() == '[';
  const std::string host = bracketed ? address.host.substr(1, address.host.size() - 2) : address.host;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  if (code != 0) return fault(gai_strerror(code));
  const std::unique_ptr<addrinfo, FreeAddresses> found(list);
  // "localhost" may name an address of a family that the machine does not have.
  FileDescriptor fd;
  for (const addrinfo* at = found.get(); at != nullptr && !fd; at = at->ai_next) fd = listen_at(*at);
  if (!fd) return fault(std::strerror(errno));
  const int port = port_of(fd.get());
  return Listener({address.host, port}, std::move(fd));
}

FileDescriptor Listener::accept() const {
  for (;;) {
    FileDescriptor fd(accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    // accept(2): faults of the connection itself, which is gone.
    if (fd || (errno != EINTR && errno != ECONNABORTED && errno != EPROTO && errno != ENETDOWN &&
               errno != EHOSTUNREACH && errno != ENETUNREACH && errno != EPERM)) {
      return fd;
    }
  }
}

}  // namespace tapewire
