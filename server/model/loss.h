#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/nn/registry.h"
#include "server/model/definition.h"
#include "tapewire/v1/definition.pb.h"

namespace tapewire {

/// A loss, and which of the model's outputs meets it.
struct BuiltLoss {
  std::shared_ptr<LossModule> module;
  std::string output;  // "": the first
};

/// A loss of the catalogue. `path` begins the faults.
BuiltLoss build_loss(const v1::LossSpec& spec, const DefinitionLimits& limits, const std::string& path);

/// The loss of a call. A target goes to the loss's argument of its name; a lone one of another name, or none, is
/// "target". The arguments that are left take outputs: one takes `loss.output`; several (an anchor, a positive and a
/// negative) take those of their names, or, when not all of these are outputs, the first ones in order. Throws when
/// something does not fit, naming it.
Tensor compute_loss(const BuiltLoss& loss, const std::vector<NamedTensor>& outputs,
                    const std::vector<NamedTensor>& targets);

}  // namespace tapewire
