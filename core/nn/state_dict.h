#pragma once

#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace tapewire {

class Module;

/// Tensors by their paths ("layer1.0.weight"), in order.
using StateDict = std::vector<NamedTensor>;

/// What load_state_dict found that did not fit by name.
struct LoadResult {
  std::vector<std::string> missing_keys;
  std::vector<std::string> unexpected_keys;
};

/// What a hook sees before the state of one module and those below it is looked up. All but `prefix` may be edited.
struct LoadStateDict {
  StateDict& state;                      // what is given under the prefix: keys may be renamed, added and removed
  const std::string& prefix;             // of the module's keys: "layer1.0.", or "" for the root
  LoadResult& keys;                      // as found so far
  std::vector<std::string>& error_msgs;  // each a line of the error that load_state_dict ends with
};

/// Hooks around state_dict and load_state_dict. The prefix is that of the module's keys: "layer1.0.", or "".
///
/// Before a module's state is collected.
using StateDictPreHook = void(Module& module, const std::string& prefix, bool keep_vars);
/// After that of a module and all below it was; `state` is what was collected up to then, and may be edited.
using StateDictHook = void(Module& module, StateDict& state, const std::string& prefix);
/// Before a module's state is looked up in what is given, parents before children.
using LoadStateDictPreHook = void(Module& module, LoadStateDict& load);
/// After everything was loaded, children before parents; may edit what counts as missing and unexpected. It must not
/// convert the module. When it throws, or a key that it left makes the load fail, the old values come back.
using LoadStateDictPostHook = void(Module& module, LoadResult& keys);

}  // namespace tapewire
