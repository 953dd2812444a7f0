#include "client/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/format.h"

namespace tapewire::client {
namespace {

constexpr int kMinBar = 6;
constexpr int kMaxBar = 28;
constexpr std::chrono::milliseconds kRedraw(50);

const char* escape_of(Colour colour) {
  switch (colour) {
    case Colour::kBold:
      return "\033[1m";
    case Colour::kDim:
      return "\033[2m";
    case Colour::kRed:
      return "\033[31m";
    case Colour::kGreen:
      return "\033[32m";
    case Colour::kYellow:
      return "\033[33m";
    case Colour::kCyan:
      return "\033[36m";
  }
  return "";
}

std::string bar(double fraction, int width) {
  const int filled = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
  std::string text;
  for (int i = 0; i < width; ++i) text += i < filled ? "━" : "╌";
  return text;
}

}  // namespace

Console Console::standard() {
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::strcmp(term, "dumb") == 0;
  const char* no_colour = std::getenv("NO_COLOR");
  const bool colour = isatty(STDOUT_FILENO) != 0 && !dumb && (no_colour == nullptr || *no_colour == '\0');
  const bool live = isatty(STDERR_FILENO) != 0 && !dumb;
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 || ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;
  return {std::cout, std::cerr, colour, live, known && size.ws_col > 0 ? size.ws_col : 80};
}

std::string Console::paint(Colour colour, std::string_view text) const {
  if (!colour_) return std::string(text);
  return std::string(escape_of(colour)).append(text).append("\033[0m");
}

bool ProgressLine::due() const {
  return console_.live() && (!visible_ || std::chrono::steady_clock::now() - drawn_ >= kRedraw);
}

void ProgressLine::draw(std::string_view text, double fraction) {
  if (!console_.live()) return;
  // One column stays free: a full line would make some terminals wrap.
  const int room = console_.columns() - 1;
  const std::string percent = absl::StrFormat("  %3.0f%%", std::clamp(fraction, 0.0, 1.0) * 100);
  std::string line = cut(text, static_cast<size_t>(std::max(room, 0)));
  int left = room - static_cast<int>(display_width(line)) - static_cast<int>(percent.size());
  if (left >= kMinBar + 2) absl::StrAppend(&line, "  ", bar(fraction, std::min(left - 2, kMaxBar)));
  if (left >= 0) line += percent;
  console_.err() << "\r\033[K" << line << std::flush;
  drawn_ = std::chrono::steady_clock::now();
  visible_ = true;
}

void ProgressLine::clear() {
  if (visible_) console_.err() << "\r\033[K" << std::flush;
  visible_ = false;
}

}  // namespace tapewire::client
