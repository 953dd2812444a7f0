#pragma once

#include <memory>

#include "server/rpc/backend.h"
#include "server/rpc/client_stream.h"
#include "tapewire/v1/autograd_service.pb.h"

namespace tapewire::rpc {

/// Decoding and running of steps, single or in streams, and of evaluations.

StepArgs decode_step(const v1::StepRequest& request);
void submit_train_step(const std::shared_ptr<LiveModel>& model, const std::shared_ptr<CancelSource>& cancel,
                       v1::TrainStepRequest request, const Backend& backend, Answer<v1::TrainStepResponse> answer);

std::unique_ptr<BidiHandler<v1::TrainRequest, v1::TrainResponse>> make_train_handler(const Backend& backend,
                                                                                     const Context& call);
std::unique_ptr<ClientStreamHandler<v1::EvaluateRequest, v1::EvaluateResponse>> make_evaluate_handler(
    const Backend& backend, const Context& call);

}  // namespace tapewire::rpc
