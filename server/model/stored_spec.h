#pragma once

#include <string>

#include "core/tensor/allocator.h"
#include "tapewire/v1/definition.pb.h"

namespace tapewire {

/// A model's definition as it is kept to be shown: serialized, since a parsed one takes many times its bytes. As long
/// as this lives, an estimate of what the model holds because of its definition (this, modules, compiled graphs) counts
/// as tensor memory; tensors count for themselves.
class StoredSpec {
 public:
  /// Counts what building the model takes, too. Throws RESOURCE_EXHAUSTED when there is no room for it.
  explicit StoredSpec(const v1::ModelSpec& spec);

  /// The model is built: the count falls to what stays.
  void built() noexcept { building_.clear(); }
  v1::ModelSpec load() const;
  /// What load() takes, in bytes.
  size_t loaded_bytes() const { return loaded_bytes_; }
  /// What stays, in bytes.
  size_t counted() const { return kept_.bytes(); }

 private:
  std::string bytes_;
  size_t loaded_bytes_ = 0;
  AdoptedCount kept_;
  AdoptedCount building_;
};

}  // namespace tapewire
