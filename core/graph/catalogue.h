#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/attributes.h"

namespace tapewire {

enum class CatalogueKind : uint8_t { kOp, kModule, kLoss, kOptimizer, kScheduler, kInit };

/// One thing that a definition can name, as its own code describes it.
struct CatalogueEntry {
  struct Input {
    std::string_view name;
    bool optional = false;
    bool list = false;
  };
  CatalogueKind kind = CatalogueKind::kOp;
  std::string_view name;
  std::string_view doc;
  std::vector<Input> inputs;
  std::vector<AttributeInfo> attributes;
  std::vector<std::string_view> outputs;
  bool differentiable = false;
  bool inplace = false;  // name_ exists too
};

/// All of it: by kind, then by name.
std::vector<CatalogueEntry> catalogue();
/// As docs/operators.md shows it.
std::string catalogue_markdown();

}  // namespace tapewire
