#pragma once

#include <string>
#include <vector>

#include "core/nn/module.h"

namespace tapewire {

/// Takes the outputs of modules during one forward, under their paths. Used in the model's turn; must not outlive the
/// modules.
class Captures {
 public:
  Captures() = default;
  ~Captures();
  Captures(const Captures&) = delete;
  Captures& operator=(const Captures&) = delete;

  /// Takes what `module` puts out from now on: its tensors are named `path`, `path`_1, ...
  void watch(Module& module, const std::string& path);
  /// In the order in which the modules ended.
  const std::vector<NamedTensor>& taken() const { return taken_; }

 private:
  std::vector<HookHandle> handles_;
  std::vector<NamedTensor> taken_;
};

}  // namespace tapewire
