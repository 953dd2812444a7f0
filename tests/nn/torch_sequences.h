#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor/value.h"

namespace tapewire::torch_values {

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

}  // namespace tapewire::torch_values
