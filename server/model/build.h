#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/nn/module.h"
#include "core/optim/optimizer.h"
#include "core/optim/scheduler.h"
#include "server/model/definition.h"
#include "server/model/loss.h"
#include "tapewire/v1/definition.pb.h"

namespace tapewire {

/// A declared input or output.
struct PortSpec {
  std::string name;
  std::optional<DType> dtype;  // none: any
  Shape shape;                 // -1 where any size will do

  bool fits(const Tensor& x) const;
  std::string to_string() const;
};

/// A model made of its definition.
struct ModelParts {
  std::shared_ptr<Module> root;
  std::vector<PortSpec> inputs;  // as declared; may be empty
  std::vector<PortSpec> outputs;
  BuiltLoss loss;                        // module is null without one
  std::unique_ptr<Optimizer> optimizer;  // null without one
  std::unique_ptr<Scheduler> scheduler;  // null without one
  bool scheduler_by_epoch = false;
  int compute_threads = 0;  // 0: the server's default
  v1::NonFinite on_nonfinite = v1::NON_FINITE_FAIL;
};

/// Builds everything, drawing initial weights from the current generator. Throws INVALID_ARGUMENT with every fault and
/// its path ("conv1: Conv2d: unknown attribute 'kernal_size'; did you mean 'kernel_size'?"), UNIMPLEMENTED for parts of
/// the contract that this version does not serve, RESOURCE_EXHAUSTED when memory is out.
ModelParts build_model(const v1::ModelSpec& spec, const DefinitionLimits& limits);

/// The modules alone, for another tree of the same shape.
std::shared_ptr<Module> build_modules(const v1::ModelSpec& spec, const DefinitionLimits& limits);

}  // namespace tapewire
