#pragma once

#include "core/nn/convolution.h"

namespace tapewire {

/// What convolutions and transposed ones share.

/// Throws for channels that are negative or not divisible by groups.
void check_conv_channels(std::string_view layer, const ConvOptions& options);

/// As PyTorch prints both, each option that is not the default. Sizes are spread over all spatial dimensions;
/// `output_padding` is empty but for a transposed one.
std::string conv_repr(const ConvOptions& options, const Shape& output_padding = {});

}  // namespace tapewire
