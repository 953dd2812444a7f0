#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/rpc/raw_service.h"

namespace tapewire::rpc {

/// gRPC's server reflection, v1 and v1alpha: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md. They
/// list `services` and themselves, and describe every file that this binary knows. A stream of it keeps no drain
/// waiting.
std::vector<std::unique_ptr<RawService>> make_reflection_services(const Environment& environment,
                                                                  std::vector<std::string> services);

}  // namespace tapewire::rpc
