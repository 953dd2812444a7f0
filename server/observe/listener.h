#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/observe/file_descriptor.h"

namespace tapewire {

/// A HOST:PORT as flags give it; an IPv6 host stands in brackets.
struct HostPort {
  std::string host;
  int port = 0;
};
/// INVALID_ARGUMENT says what is wrong with `text`.
absl::StatusOr<HostPort> parse_host_port(const std::string& text);
std::string to_string(const HostPort& address);

/// A TCP socket that listens. No other socket can have the same address and port.
class Listener {
 public:
  /// Port 0 is any free one. UNAVAILABLE names the address and says why it cannot be had.
  static absl::StatusOr<Listener> open(const HostPort& address);

  /// With the port that was bound.
  const HostPort& address() const { return address_; }
  int fd() const { return fd_.get(); }
  /// The next connection, non-blocking and closed on exec. None: errno says why, EAGAIN where nobody waits. Connections
  /// that were given up while they waited are passed over.
  FileDescriptor accept() const;

 private:
  Listener(HostPort address, FileDescriptor fd) : address_(std::move(address)), fd_(std::move(fd)) {}

  HostPort address_;
  FileDescriptor fd_;
};

}  // namespace tapewire
