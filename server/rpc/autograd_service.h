#pragma once

#include "server/rpc/backend.h"
#include "server/rpc/raw_service.h"

namespace tapewire::rpc {

/// tapewire.v1.AutogradService.
class AutogradService final : public RawService {
 public:
  AutogradService(const Environment& environment, const Backend& backend);

 private:
  void bind_tapes();
  void bind_gradients();
  void bind_steps();

  const Backend& backend_;
};

}  // namespace tapewire::rpc
