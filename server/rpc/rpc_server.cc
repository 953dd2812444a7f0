#include "server/rpc/rpc_server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "core/base/strings.h"
#include "core/tensor/allocator.h"
#include "google/protobuf/stubs/logging.h"
#include "grpc/grpc.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/support/log.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server_builder.h"
#include "server/rpc/connection_acceptor.h"
#include "server/rpc/reflection_service.h"

namespace tapewire::rpc {
namespace {

// The libraries call back without a context.
std::atomic<Logger*> library_logger{nullptr};

void log_for_grpc(gpr_log_func_args* args) {
  Logger* logger = library_logger.load();
  if (logger == nullptr) return;
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug;
  logger->log(level, "grpc", {{"message", args->message}, {"file", args->file}, {"line", args->line}});
}

void log_for_protobuf(google::protobuf::LogLevel, const char* file, int line, const std::string& message) {
  Logger* logger = library_logger.load();
  if (logger != nullptr) logger->debug("protobuf", {{"message", message}, {"file", file}, {"line", line}});
}

// What messages that are coming or going may take in gRPC's own buffers, of all connections together: past it gRPC
// reads no more, and then cancels calls. One message of the largest size always fits.
size_t buffer_quota(const WireLimits& limits) {
  constexpr int64_t kBesides = int64_t{16} << 20;
  return static_cast<size_t>(std::max(tensor_allocator().limit() / 4, limits.max_message_bytes + kBesides));
}

}  // namespace

void route_library_logs(Logger& logger) {
  library_logger = &logger;
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_set_log_function(&log_for_grpc);
  google::protobuf::SetLogHandler(&log_for_protobuf);
}

RpcServer::RpcServer(const Environment& environment) : environment_(environment) {}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::start(const HostPort& address, const Environment& environment,
                                                            std::vector<std::unique_ptr<RawService>> services) {
  // Held until the process ends: gRPC's own end joins a thread that may sleep for ten seconds, where a large answer was
  // under way (gRPC 1.51's backup poller).
  [[maybe_unused]] static const bool held = (grpc_init(), true);
  absl::StatusOr<Listener> listener = Listener::open(address);
  if (!listener.ok()) return listener.status();
  std::unique_ptr<RpcServer> server(new RpcServer(environment));
  server->services_ = std::move(services);
  std::vector<std::string> names;
  for (const auto& service : server->services_) names.push_back(service->full_name());
  std::vector<std::string> listed = names;
  // gRPC brings its implementation, and our contract its description.
  listed.push_back(grpc::health::v1::HealthCheckRequest::descriptor()->file()->service(0)->full_name());
  for (auto& reflection : make_reflection_services(environment, std::move(listed))) {
    server->services_.push_back(std::move(reflection));
  }
  grpc::EnableDefaultHealthCheckService(true);

  grpc::ServerBuilder builder;
  auto handover = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  // Ours is the limit that says which flag to set; gRPC's stands behind it for what would fill the memory.
  const int64_t cut_off =
      environment.limits.max_message_bytes + std::max<int64_t>(environment.limits.max_message_bytes, 4 << 20);
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<int64_t>(cut_off, std::numeric_limits<int>::max())));
  builder.SetMaxSendMessageSize(-1);
  builder.SetResourceQuota(grpc::ResourceQuota("tapewired").Resize(buffer_quota(environment.limits)));
  // A connection that says nothing is hung up on.
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  // A client whose machine is gone would hold its streams for ever.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  for (const auto& service : server->services_) builder.RegisterService(service.get());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return absl::UnavailableError("cannot serve gRPC");
  grpc::HealthCheckServiceInterface& health = *server->server_->GetHealthCheckService();
  health.SetServingStatus(true);
  for (const std::string& name : names) health.SetServingStatus(name, true);
  server->acceptor_ =
      std::make_unique<ConnectionAcceptor>(*std::move(listener), std::move(handover), environment.logger);
  server->address_ = server->acceptor_->address();
  return server;
}

RpcServer::~RpcServer() {
  if (server_ != nullptr) drain(CancelToken::Clock::now());
}

void RpcServer::announce_drain() { server_->GetHealthCheckService()->SetServingStatus(false); }

bool RpcServer::drain(CancelToken::Clock::time_point deadline) {
  announce_drain();
  environment_.gate.drain();
  const bool complete = environment_.gate.wait_idle(deadline);
  environment_.gate.cancel_all();
  acceptor_.reset();
  // The calls have been told; health watches, which are not ours, end here.
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  server_->Wait();
  return complete;
}

}  // namespace tapewire::rpc
