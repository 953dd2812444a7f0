#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/program.h"

namespace tapewire {

/// What a Program is made of; of program*.cc alone.

enum class OperandKind : uint8_t { kConstant, kSlot, kList, kSlice, kTraining };

/// All calls, in a few arrays of small records: definitions may have very many.
struct Program::Packed {
  // Elements of one of the arrays.
  struct Range {
    uint32_t begin = 0;
    uint32_t count = 0;
  };
  struct Argument {
    OperandKind kind = OperandKind::kConstant;
    uint32_t index = 0;  // of a slot, of a constant, or of a list's range
  };
  static constexpr uint32_t kNone = ~uint32_t{0};
  enum class When : uint8_t { kAlways, kEval, kTraining };
  struct Call {
    uint32_t module = kNone;  // else an op:
    uint32_t op = kNone;
    uint32_t attrs = kNone;  // the eval mode's; the training mode's is the next where the op takes the mode
    uint32_t names = kNone;  // of the arguments behind the positional ones
    uint32_t present = kNone;
    Range arguments;
    Range results;
    Range last_uses;
    uint32_t positional = 0;
    When when = When::kAlways;
    bool takes_mode = false;
  };

  std::vector<GraphInputDef> inputs;
  std::vector<std::string> module_paths;
  std::vector<std::string> constant_names;  // parameters and buffers
  std::vector<Call> calls;
  std::vector<uint32_t> outputs;
  size_t slots = 0;  // inputs first, then parameters and buffers, then results

  std::vector<Argument> arguments;
  std::vector<Range> lists;  // of arguments
  std::vector<uint32_t> slot_lists;
  std::vector<Value> constants;
  std::vector<std::shared_ptr<const BoundCall>> ops;
  std::vector<std::shared_ptr<const void>> attrs;
  std::vector<std::vector<std::string>> names;
};

}  // namespace tapewire
