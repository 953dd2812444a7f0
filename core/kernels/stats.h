#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// What a statistics hook reports of a tensor. All but the counts speak of the finite elements; of none they are 0.
struct Stats {
  int64_t count = 0;  // all elements
  int64_t zeros = 0;
  int64_t nans = 0;
  int64_t infs = 0;
  double mean = 0;
  double std = 0;  // of the population
  double min = 0;
  double max = 0;
  double l2_norm = 0;
  std::vector<double> edges;    // bins + 1 of them from min to max (widened by half where they are equal)
  std::vector<int64_t> counts;  // the last bin includes its upper edge; empty without bins or finite elements
};

/// Any dtype. REQUIRES: histogram_bins >= 0; 0 asks for none.
Stats stats(const Tensor& x, int histogram_bins = 0);

}  // namespace tapewire::kernels
