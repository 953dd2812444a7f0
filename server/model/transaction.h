#pragma once

#include <utility>
#include <vector>

#include "server/model/model_state.h"

namespace tapewire {

/// What a call must leave as it found it if it fails: parameters, module buffers, gradients, random state. Holds shares
/// of bytes, so a change copies first. An optimizer's step is the last thing that a call does, and fails before its
/// first write or not at all: it lets the shares of the parameters go first, so that it writes in place.
class ModelState::Transaction {
 public:
  explicit Transaction(ModelState& model);
  /// Puts everything back, unless commit() was called.
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// The changes stay: parameter_version rises if buffers changed, or `parameters_changed` says so.
  void commit(bool parameters_changed = false);
  /// Puts the gradients back, and nothing else.
  void restore_gradients();
  /// Puts parameters and buffers back, and nothing else.
  void restore_values();
  /// The parameters are about to be written by what fails before its first write or not at all.
  void release_parameters();

 private:
  struct Saved {
    Tensor tensor;
    Ref<Buffer> bytes;
  };

  ModelState& model_;
  bool committed_ = false;
  Generator::State random_;
  std::vector<Saved> parameters_;
  std::vector<Saved> buffers_;
  std::vector<Saved> gradients_;  // by parameter; undefined where there was none
};

/// Sets the training flag of the whole tree for a scope, where one is asked for.
class ModelState::ModeScope {
 public:
  ModeScope(ModelState& model, std::optional<bool> training);
  ~ModeScope();
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

 private:
  ModelState& model_;
  std::vector<bool> before_;
};

}  // namespace tapewire
