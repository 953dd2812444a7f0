#include "client/cli/digits.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/cli/format.h"

namespace tapewire::client {
namespace {

constexpr std::string_view kShades = " .:-=+*#%@";
constexpr size_t kGap = 2;

/// The 256-colour palette's grey ramp (232 to 255) and its black.
int grey(int level) { return level < 8 ? 16 : 232 + std::min(level * 24 / 256, 23); }

}  // namespace

std::vector<std::string> draw_image(std::span<const unsigned char> pixels, size_t rows, size_t columns, bool colour) {
  std::vector<std::string> lines;
  for (size_t row = 0; row < rows; row += 2) {
    std::string line;
    for (size_t column = 0; column < columns; ++column) {
      const int upper = pixels[row * columns + column];
      const int lower = row + 1 < rows ? pixels[(row + 1) * columns + column] : 0;
      if (colour) {
        absl::StrAppend(&line, "\033[38;5;", grey(upper), ";48;5;", grey(lower), "m▀");
      } else {
        line += kShades[static_cast<size_t>((upper + lower) * static_cast<int>(kShades.size()) / 511)];
      }
    }
    if (colour) line += "\033[0m";
    lines.push_back(std::move(line));
  }
  return lines;
}

v1::Tensor crop_images(const v1::Tensor& pixels) {
  const auto rows = static_cast<size_t>(pixels.shape(1));
  const auto columns = static_cast<size_t>(pixels.shape(2));
  size_t top = rows;
  size_t bottom = 0;
  size_t left = columns;
  size_t right = 0;
  for (size_t i = 0; i < pixels.data().size(); ++i) {
    if (pixels.data()[i] == '\0') continue;
    const size_t row = i / columns % rows;
    const size_t column = i % columns;
    top = std::min(top, row);
    bottom = std::max(bottom, row + 1);
    left = std::min(left, column);
    right = std::max(right, column + 1);
  }
  if (top >= bottom) return pixels;
  v1::Tensor cropped;
  cropped.set_dtype(pixels.dtype());
  cropped.add_shape(pixels.shape(0));
  cropped.add_shape(static_cast<int64_t>(bottom - top));
  cropped.add_shape(static_cast<int64_t>(right - left));
  for (size_t image = 0; image < static_cast<size_t>(pixels.shape(0)); ++image) {
    for (size_t row = top; row < bottom; ++row) {
      cropped.mutable_data()->append(pixels.data(), (image * rows + row) * columns + left, right - left);
    }
  }
  return cropped;
}

void print_images(const Console& console, const v1::Tensor& pixels, const std::vector<std::string>& captions) {
  const v1::Tensor cropped = crop_images(pixels);
  const auto rows = static_cast<size_t>(cropped.shape(1));
  const auto columns = static_cast<size_t>(cropped.shape(2));
  const std::span bytes(reinterpret_cast<const unsigned char*>(cropped.data().data()), cropped.data().size());
  size_t width = columns;
  for (const auto& caption : captions) width = std::max(width, display_width(caption));
  const size_t per_row = std::max<size_t>(1, (static_cast<size_t>(console.columns()) + kGap) / (width + kGap));
  for (size_t first = 0; first < captions.size(); first += per_row) {
    const size_t last = std::min(captions.size(), first + per_row);
    // A block is its picture's lines and its caption; a line is as wide as it looks, whatever escapes it holds.
    std::vector<std::string> lines((rows + 1) / 2 + 1);
    for (size_t i = first; i < last; ++i) {
      const auto picture =
          draw_image(bytes.subspan(i * rows * columns, rows * columns), rows, columns, console.colour());
      const std::string rest(i + 1 < last ? width + kGap - columns : 0, ' ');
      for (size_t line = 0; line < picture.size(); ++line) lines[line] += picture[line] + rest;
      lines.back() += captions[i];
      if (i + 1 < last) lines.back().append(width + kGap - display_width(captions[i]), ' ');
    }
    if (first > 0) console.out() << '\n';
    for (const auto& line : lines) console.out() << line << '\n';
  }
}

}  // namespace tapewire::client
