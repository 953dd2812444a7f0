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
/// something does not fit, naming it; also where tensors would broadcast that the loss compares element by element.
Tensor compute_loss(const BuiltLoss& loss, const std::vector<NamedTensor>& outputs,
                    const std::vector<NamedTensor>& targets);

/// The output that meets a loss of one output: `loss.output`, or the first. Throws when there is none.
const Tensor& judged_output(const BuiltLoss& loss, const std::vector<NamedTensor>& outputs);

/// What a batch adds to a loss over many: a sum, and what its mean divides it by; both 0 where nothing counts.
struct LossSum {
  double sum = 0;
  double count = 0;
};

/// The loss of a batch of `samples`, as compute_loss has it, summed. A loss that is a mean, or with reduction 'none',
/// counts what LossModule::divisor says; a loss that sums counts the samples.
LossSum sum_loss(const BuiltLoss& loss, const std::vector<NamedTensor>& outputs,
                 const std::vector<NamedTensor>& targets, int64_t samples);

}  // namespace tapewire
