#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/nn/module.h"

namespace tapewire {

/// What DescribeModel tells: modules, parameters and buffers by path. A copy is cheap; what it shares is immutable.
struct ModelDescription {
  struct ModuleRow {
    std::string path;
    std::string type;
    std::string text;  // "Linear(in_features=2, ...)"
  };
  struct ParameterRow {
    std::string path;
    TensorSpec spec;
    bool requires_grad = false;
  };
  struct BufferRow {
    std::string path;
    TensorSpec spec;
    bool persistent = false;
  };
  /// What does not change while the model lives.
  struct Tree {
    std::vector<ModuleRow> modules;
    std::vector<BufferRow> buffers;
    std::vector<ParameterRow> parameters;
    std::string text;  // as PyTorch prints the model
  };

  std::shared_ptr<const Tree> tree;
  std::shared_ptr<const std::vector<bool>> training;  // by module
};

/// Of a model in whose turn this is called. Looks at the cancel token.
std::shared_ptr<const ModelDescription::Tree> describe_tree(Module& root, const std::vector<NamedModule>& modules);
std::shared_ptr<const std::vector<bool>> describe_modes(const std::vector<NamedModule>& modules);

}  // namespace tapewire
