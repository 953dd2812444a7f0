#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/ops/op.h"

namespace tapewire {

/// All ops by name. Filled before main, read-only after.

/// The op of that name, or nullptr. `inplace` tells whether the name was the in-place form ("relu_").
const OpDef* find_op(std::string_view name, bool* inplace = nullptr);
/// The same, throwing "unknown op 'rellu'; did you mean 'relu'?".
const OpDef& require_op(std::string_view name, bool* inplace = nullptr);
/// In alphabetical order, without in-place forms.
std::vector<const OpDef*> all_ops();

/// Registers the ops of one family: `const OpFamily kFamily{op_def<Relu>(), op_def<Softmax>()};` in its .cc.
class OpFamily {
 public:
  template <class... Defs>
  explicit OpFamily(const Defs&... defs) {
    (add(defs), ...);
  }

 private:
  static void add(const OpDef& def);
};

}  // namespace tapewire
