#pragma once

#include "server/rpc/backend.h"
#include "server/rpc/raw_service.h"

namespace tapewire::rpc {

/// tapewire.v1.HookService.
class HookService final : public RawService {
 public:
  HookService(const Environment& environment, const Backend& backend);

 private:
  const Backend& backend_;
};

}  // namespace tapewire::rpc
