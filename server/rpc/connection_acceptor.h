#pragma once

#include <memory>
#include <thread>

#include "grpcpp/server_builder.h"
#include "server/observe/listener.h"
#include "server/observe/log.h"
#include "server/observe/wakeup.h"

namespace tapewire::rpc {

/// Accepts gRPC's connections on a thread of its own, until destroyed.
///
/// gRPC's own listener (1.51) never accepts again once the process was out of file descriptors. This one takes no
/// descriptor of the last quarter, which is left for the HTTP port and for files: a client that comes then is hung up
/// on, and served when it comes again after others have left.
class ConnectionAcceptor {
 public:
  using Handover = std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor>;

  /// Hands connections to a server that runs. `logger` outlives it.
  ConnectionAcceptor(Listener listener, Handover server, Logger& logger);
  /// The server still runs then.
  ~ConnectionAcceptor();
  ConnectionAcceptor(const ConnectionAcceptor&) = delete;
  ConnectionAcceptor& operator=(const ConnectionAcceptor&) = delete;

  const HostPort& address() const { return listener_.address(); }

 private:
  void run();

  const Listener listener_;
  const Handover server_;
  Logger& logger_;
  const Wakeup stop_;
  std::thread thread_;
};

}  // namespace tapewire::rpc
