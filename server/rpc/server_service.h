#pragma once

#include "server/rpc/backend.h"
#include "server/rpc/raw_service.h"

namespace tapewire::rpc {

/// Tells what the server is, what it can do and how busy it is. KeepAlive is not served by this version.
class ServerService final : public RawService {
 public:
  /// Both outlive the service.
  ServerService(const Environment& environment, const Backend& backend);
};

}  // namespace tapewire::rpc
