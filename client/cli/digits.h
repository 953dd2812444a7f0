#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "client/cli/console.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

/// Lines that draw one grey image of `rows` x `columns` bytes, two rows of pixels a line: half blocks in shades of grey
/// where there is colour, else letters of rising density.
std::vector<std::string> draw_image(std::span<const unsigned char> pixels, size_t rows, size_t columns, bool colour);

/// `pixels` ([N, rows, columns] uint8) without the border that is blank in all images.
v1::Tensor crop_images(const v1::Tensor& pixels);

/// Images with a caption under each, as many beside each other as fit, cropped.
void print_images(const Console& console, const v1::Tensor& pixels, const std::vector<std::string>& captions);

}  // namespace tapewire::client
