#include <memory>
#include <utility>
#include <vector>

#include "server/rpc/autograd_service.h"
#include "server/rpc/hook_service.h"
#include "server/rpc/model_service.h"
#include "server/rpc/rpc_server.h"
#include "server/rpc/server_service.h"

namespace tapewire::rpc {

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::start(const HostPort& address, const Environment& environment,
                                                            const Backend& backend) {
  std::vector<std::unique_ptr<RawService>> services;
  services.push_back(std::make_unique<ServerService>(environment, backend));
  services.push_back(std::make_unique<ModelService>(environment, backend));
  services.push_back(std::make_unique<AutogradService>(environment, backend));
  services.push_back(std::make_unique<HookService>(environment, backend));
  return start(address, environment, std::move(services));
}

}  // namespace tapewire::rpc
