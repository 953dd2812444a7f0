#pragma once

#include <string>
#include <vector>

#include "core/nn/module.h"

namespace tapewire {

/// A module that is what a test makes of it.
class Box final : public TensorModule {
 public:
  std::string_view type() const override { return "Box"; }
  Tensor forward(const Tensor& x) override { return x; }
};

/// The names of a list of named things.
template <class List>
std::vector<std::string> names(const List& list) {
  std::vector<std::string> out;
  for (const auto& item : list) out.push_back(item.name);
  return out;
}

}  // namespace tapewire
