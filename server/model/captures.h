#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "core/autograd/node.h"
#include "core/nn/module.h"

namespace tapewire {

/// Takes the outputs of modules during one forward, under their paths, as they are when they leave the module: what is
/// taken has the bytes and the place in the graph of that moment, whatever an in-place op does to the output later.
/// Gradients of it are kept (retain_grad). One thread at a time; must not outlive the modules.
class Captures {
 public:
  Captures() = default;
  ~Captures();
  Captures(const Captures&) = delete;
  Captures& operator=(const Captures&) = delete;

  /// Takes what `module` puts out from now on: its tensors are named `path`, `path`_1, ... A path that is watched
  /// already stays as it is.
  void watch(Module& module, const std::string& path);
  /// The same for the modules at these paths; `module_at(path)` finds one, or throws.
  void watch_all(const std::vector<std::string>& paths, absl::FunctionRef<Module&(const std::string&)> module_at);
  /// In the order in which the modules ended.
  const std::vector<NamedTensor>& taken() const { return taken_; }

 private:
  Tensor take(const Tensor& output);

  std::set<std::string> paths_;
  std::vector<HookHandle> handles_;
  // By node and output. Modules that put out the same (a Sequential and its last child) share one tensor, because a
  // node keeps the gradient of an output for one tensor.
  std::map<std::pair<const Node*, uint32_t>, Tensor> known_;
  std::vector<NamedTensor> taken_;
};

}  // namespace tapewire
