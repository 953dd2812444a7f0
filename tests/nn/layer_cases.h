#pragma once

#include "tests/nn/activation_values.h"
#include "tests/nn/convolution_values.h"
#include "tests/nn/dropout_values.h"
#include "tests/nn/normalization_values.h"
#include "tests/nn/pooling_values.h"
#include "tests/nn/shape_values.h"

namespace tapewire {

/// The cases of all families.
inline std::vector<LayerCase> layer_cases() {
  std::vector<LayerCase> all;
  for (const auto* family :
       {&torch_values::activation_cases(), &torch_values::convolution_cases(), &torch_values::dropout_cases(),
        &torch_values::normalization_cases(), &torch_values::pooling_cases(), &torch_values::shape_cases()}) {
    all.insert(all.end(), family->begin(), family->end());
  }
  return all;
}

}  // namespace tapewire
