#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor/value.h"

// What PyTorch gave for losses and modules of sequences, as the generators here wrote it down. Data read at run time:
// as C++ initialisers they took longer to compile than the modules.

namespace tapewire::recorded {

/// What generate_torch_sequences.py stores of a tensor: its sizes, and sums of it times two patterns and itself.
struct Sums {
  std::vector<int64_t> sizes;
  std::vector<double> sums;
};

/// One module and one call of it, with what PyTorch gave in float64.
struct SequenceCase {
  struct Input {
    std::string name;  // twice in a row: a tuple
    std::string kind;  // "tensor" is differentiated; "bool", "float" and "causal" are masks
    std::vector<int64_t> sizes;
  };
  std::string name;
  std::string type;
  AttributeMap attributes;
  std::vector<Input> inputs;
  std::vector<std::pair<std::string, bool>> flags;  // further arguments
  int64_t seed;                                     // set before the call; -1: none
  bool training;
  std::vector<Sums> outputs;           // depth first, without those that are none
  std::vector<Sums> first;             // gradients of the inputs, then of the parameters
  std::vector<Sums> second;            // gradients of the sum of those, times patterns
  std::vector<uint64_t> fingerprints;  // of the float32 state dict under seed 5
  double next_draw;                    // what the generator gives after that
};
inline std::ostream& operator<<(std::ostream& out, const SequenceCase& c) { return out << c.name; }

/// One loss and one call of it, with what PyTorch gave in float64.
struct LossCase {
  std::string type;
  AttributeMap attributes;
  std::vector<NamedTensor> arguments;
  Tensor output;
  std::vector<std::vector<double>> gradients;  // of each argument but "target"
};

/// Of torch_sequences.json and torch_losses.json. Each throws std::exception when its file cannot be read.
const std::vector<SequenceCase>& sequence_cases();
const std::vector<LossCase>& loss_cases();

}  // namespace tapewire::recorded
