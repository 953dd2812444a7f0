#include "client/cli/digits.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/cli/format.h"

namespace tapewire::client {
namespace {

constexpr std::string_view kShades = " .:-=+*#%@";
constexpr int kGap = 3;

/// The 256-colour palette's grey ramp (232 to 255) and its black.
int grey(int level) { return level < 8 ? 16 : 232 + std::min(level * 24 / 256, 23); }

}  // namespace

std::vector<std::string> draw_image(const unsigned char* pixels, int rows, int columns, bool colour) {
  std::vector<std::string> lines;
  for (int row = 0; row < rows; row += 2) {
    std::string line;
    for (int column = 0; column < columns; ++column) {
      const int upper = pixels[static_cast<ptrdiff_t>(row) * columns + column];
      const int lower = row + 1 < rows ? pixels[static_cast<ptrdiff_t>(row + 1) * columns + column] : 0;
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

void print_images(const Console& console, const v1::Tensor& pixels, const std::vector<std::string>& captions) {
  const int rows = static_cast<int>(pixels.shape(1));
  const int columns = static_cast<int>(pixels.shape(2));
  const auto count = static_cast<size_t>(pixels.shape(0));
  const auto* data = reinterpret_cast<const unsigned char*>(pixels.data().data());
  const auto per_row = static_cast<size_t>(std::max(1, (console.columns() + kGap) / (columns + kGap)));
  for (size_t first = 0; first < count; first += per_row) {
    const size_t last = std::min(count, first + per_row);
    std::vector<std::vector<std::string>> images;
    for (size_t i = first; i < last; ++i) {
      const size_t size = static_cast<size_t>(rows) * static_cast<size_t>(columns);
      images.push_back(draw_image(data + i * size, rows, columns, console.colour()));
    }
    const std::string gap(kGap, ' ');
    for (size_t line = 0; !images.empty() && line < images[0].size(); ++line) {
      for (size_t i = 0; i < images.size(); ++i) console.out() << (i > 0 ? gap : "") << images[i][line];
      console.out() << '\n';
    }
    for (size_t i = first; i < last; ++i) {
      const std::string caption = cut(captions[i], static_cast<size_t>(columns));
      console.out() << (i > first ? gap : "") << caption
                    << std::string(static_cast<size_t>(columns) - display_width(caption), ' ');
    }
    console.out() << '\n';
  }
}

}  // namespace tapewire::client
