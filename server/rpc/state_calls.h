#pragma once

#include "server/rpc/backend.h"
#include "server/rpc/client_stream.h"
#include "tapewire/v1/model_service.pb.h"

namespace tapewire::rpc {

/// Serves one WriteState: puts the tensors together as they come, and loads them in the model's turn once all are here.
std::unique_ptr<ClientStreamHandler<v1::WriteStateRequest, v1::WriteStateResponse>> make_write_state_handler(
    const Backend& backend, const Context& call);

}  // namespace tapewire::rpc
