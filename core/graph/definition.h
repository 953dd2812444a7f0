#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/tensor/value.h"

namespace tapewire {

/// A forward written as data: what proto/tapewire/v1/definition.proto carries, in the engine's own types.

struct ArgumentDef;

struct SliceDef {
  std::vector<ArgumentDef> parts;  // start, stop, step; three of them, none where absent
};

/// One argument of a call: a name, a number or other literal, a list, a slice, or the module's training flag.
struct ArgumentDef {
  struct Ref {
    std::string name;
  };
  struct Training {};
  std::variant<Value, Ref, std::vector<ArgumentDef>, SliceDef, Training> kind;
};

/// When a call runs; otherwise its results are none.
struct ConditionDef {
  std::optional<std::string> present;  // this name is not none
  std::optional<bool> training;        // the module is in this mode
};

struct CallDef {
  enum class Target : uint8_t { kModule, kOp };
  Target target = Target::kOp;
  std::string name;  // a child's path, or an op of the catalogue
  std::vector<ArgumentDef> args;
  std::vector<std::pair<std::string, ArgumentDef>> kwargs;
  std::vector<std::string> results;
  std::optional<ConditionDef> when;
};

struct GraphInputDef {
  std::string name;
  bool optional = false;
  Value default_value;
};

struct GraphDef {
  std::vector<GraphInputDef> inputs;
  std::vector<CallDef> calls;
  std::vector<std::string> outputs;
};

}  // namespace tapewire
