#pragma once

#include <string>
#include <vector>

#include "client/cli/console.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

/// Lines that draw one grey image of `rows` x `columns` bytes, two rows of pixels a line: half blocks in shades of grey
/// where there is colour, else letters of rising density.
std::vector<std::string> draw_image(const unsigned char* pixels, int rows, int columns, bool colour);

/// Images of `pixels` ([N, rows, columns] uint8) with a caption under each, as many beside each other as fit.
void print_images(const Console& console, const v1::Tensor& pixels, const std::vector<std::string>& captions);

}  // namespace tapewire::client
