#pragma once

#include <chrono>
#include <ostream>
#include <string>
#include <string_view>

namespace tapewire::client {

enum class Colour { kBold, kDim, kRed, kGreen, kYellow, kCyan };

/// Where a command writes, and what can be done there.
class Console {
 public:
  /// `colour`: of `out`. `live`: a line of `err` can be drawn again.
  Console(std::ostream& out, std::ostream& err, bool colour, bool live, int columns)
      : out_(out), err_(err), colour_(colour), live_(live), columns_(columns) {}

  /// The process's. Colour on a terminal unless NO_COLOR is set or TERM is "dumb".
  static Console standard();

  std::ostream& out() const { return out_; }
  std::ostream& err() const { return err_; }
  bool colour() const { return colour_; }
  bool live() const { return live_; }
  int columns() const { return columns_; }

  /// `text` in a colour where there are colours, as it is elsewhere.
  std::string paint(Colour colour, std::string_view text) const;

 private:
  std::ostream& out_;
  std::ostream& err_;
  bool colour_;
  bool live_;
  int columns_;
};

/// A last line that is drawn again and again while something runs; nothing where the console is not live.
class ProgressLine {
 public:
  explicit ProgressLine(const Console& console) : console_(console) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }

  /// Whether it is time to draw (20 times a second), so that a caller can save itself the work.
  bool due() const;
  /// `text`, then as much of a bar filled to `fraction` as the terminal has room for, and the percentage.
  void draw(std::string_view text, double fraction);
  void clear();

 private:
  const Console& console_;
  std::chrono::steady_clock::time_point drawn_;
  bool visible_ = false;
};

}  // namespace tapewire::client
