#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/nn/module.h"
#include "server/model/build.h"

namespace tapewire {

/// What a model's calls give it and get from it, by name: the ports that its definition declares, and the inputs of its
/// root. Immutable, so any thread may use it.
class ModelSignature {
 public:
  explicit ModelSignature(const ModelParts& parts);

  /// The arguments of the root's forward. An unnamed input is that of its position; those of inputs_require_grad become
  /// leaves that require gradients. `named`, if given, gets each input under the name by which calls may speak of it.
  /// Throws INVALID_ARGUMENT for a name that is unknown, given twice or missing, and for a tensor that does not fit its
  /// port.
  Args arguments(const std::vector<NamedTensor>& inputs, const std::vector<std::string>& require_grad = {},
                 std::vector<NamedTensor>* named = nullptr) const;
  /// The tensors of the root's output, flattened depth first, under their names. Throws where they do not fit what is
  /// declared.
  std::vector<NamedTensor> name_outputs(const Value& output) const;

 private:
  struct Input {
    std::string name;
    bool optional = false;
  };
  size_t place_of(const std::string& name, const std::string& where) const;

  std::vector<PortSpec> inputs_;  // as declared
  std::vector<PortSpec> outputs_;
  std::vector<Input> root_inputs_;  // of a Graph
  bool is_graph_ = false;
  std::unordered_map<std::string, size_t> places_;  // of the names that inputs may have
};

}  // namespace tapewire
