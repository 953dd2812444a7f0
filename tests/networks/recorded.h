#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "core/nn/module.h"

namespace tapewire::networks {

/// What record.py wrote of one network: how it is trained, and what PyTorch made of it.
struct RecordedNetwork {
  struct Checksum {
    std::string name;  // in the state dict
    double sum;        // of the elements, weighed
    double magnitude;  // the sum of their magnitudes
  };

  std::string name;
  std::string definition;  // a file, from the root of the source
  uint64_t seed = 0;
  std::string data;  // a recipe of data.h
  int64_t batch = 0;
  int64_t parameters = 0;
  std::vector<double> float64;  // losses, a step each
  std::vector<double> float32;
  std::vector<double> spread;         // of PyTorch's losses up to each step
  std::vector<Checksum> final_state;  // after the last step, in float64

  /// How far from PyTorch's loss of a step (from 0) ours may lie: in float64 a billionth of it; in float32 three times
  /// PyTorch's spread at that step, at least 1e-5.
  double bound(size_t step, DType dtype) const;
  const std::vector<double>& losses(DType dtype) const { return dtype == DType::kFloat64 ? float64 : float32; }

  friend void PrintTo(const RecordedNetwork& network, std::ostream* out) { *out << network.name; }
};

/// All that networks.json holds. Throws std::runtime_error when it is missing, std::exception when it is malformed.
const std::vector<RecordedNetwork>& recorded_networks();

/// Steps that a test makes: all of them, but the first few under sanitizers, which slow them down.
size_t steps_of(const RecordedNetwork& network);

/// "unet: step 3: loss 0.51, PyTorch's 0.52 (float32, bound 1e-05)", a line for each step that is out of bounds; empty
/// when none is.
std::string difference(const RecordedNetwork& network, const std::vector<double>& losses, DType dtype);

/// The same of the tensors of a state dict, in float64: a line for each that is missing, too many, or off by more than
/// a billionth of its magnitude, or by 1e-12 where that is next to nothing (a bias in front of a batch norm).
std::string difference(const RecordedNetwork& network, const StateDict& state);

/// "unet          float32: at most 2.6e-05 off, 0.26 of the bound": the largest deviation of a loss.
std::string summary(const RecordedNetwork& network, const std::vector<double>& losses, DType dtype);

}  // namespace tapewire::networks
