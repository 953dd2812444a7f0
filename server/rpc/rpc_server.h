#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "server/observe/listener.h"
#include "server/rpc/call_context.h"

namespace grpc {
class Server;
}  // namespace grpc

namespace tapewire::rpc {

struct Backend;
class ConnectionAcceptor;
class RawService;

/// A gRPC server of some services, with grpc.health.v1 and reflection. Its calls end before it is destroyed. This
/// header keeps gRPC's out of those who use it.
class RpcServer {
 public:
  /// Listens and serves the contract. `environment` and `backend` outlive the server. UNAVAILABLE when the address
  /// cannot be had; port 0 is any.
  static absl::StatusOr<std::unique_ptr<RpcServer>> start(const HostPort& address, const Environment& environment,
                                                          const Backend& backend);
  /// The same with services of the caller's.
  static absl::StatusOr<std::unique_ptr<RpcServer>> start(const HostPort& address, const Environment& environment,
                                                          std::vector<std::unique_ptr<RawService>> services);
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  /// With the port that was bound.
  const HostPort& address() const { return address_; }

  /// Tells health checks NOT_SERVING, and serves on: whoever balances load sends no more calls.
  void announce_drain();
  /// Refuses new calls with UNAVAILABLE, tells health checks NOT_SERVING, waits for the calls that are here until
  /// `deadline` at most; cancels what is left, and returns when the last call has ended. True when none was cut off but
  /// streams of events.
  bool drain(CancelToken::Clock::time_point deadline);

 private:
  explicit RpcServer(const Environment& environment);

  const Environment& environment_;
  std::vector<std::unique_ptr<RawService>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ConnectionAcceptor> acceptor_;
  HostPort address_;
};

/// What gRPC and protobuf say goes to `logger` from now on: gRPC's errors as warnings, the rest to debug, since the
/// calls that they are about are logged and answered anyway. `logger` outlives all use of either.
void route_library_logs(Logger& logger);

}  // namespace tapewire::rpc
