#include "client/cli/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace tapewire::client {
namespace {

bool starts_code_point(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

std::string pad(const std::string& cell, const Column& column, size_t width) {
  const size_t used = display_width(cell);
  const std::string blanks(used < width ? width - used : 0, ' ');
  return column.align == Align::kRight ? blanks + cell : cell + blanks;
}

}  // namespace

std::string number(double value, int digits) { return absl::StrFormat("%.*g", digits, value); }

std::string column_number(double value) {
  const double size = std::abs(value);
  return value == 0 || (size >= 1e-3 && size < 1e3) ? absl::StrFormat("%.4f", value) : absl::StrFormat("%.2e", value);
}

std::string with_thousands(int64_t value) {
  std::string digits = absl::StrCat(value);
  const std::ptrdiff_t first = value < 0 ? 1 : 0;
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<size_t>(at), 1, ',');
  }
  return digits;
}

std::string bytes_text(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  auto value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string time_text(int64_t unix_seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixSeconds(unix_seconds), absl::UTCTimeZone());
}

std::string seconds_text(double seconds) {
  if (seconds < 60) return absl::StrFormat("%.2f s", seconds);
  const auto whole = static_cast<int64_t>(seconds);
  if (whole < 3600) return absl::StrCat(whole / 60, " min ", whole % 60, " s");
  return absl::StrCat(whole / 3600, " h ", whole % 3600 / 60, " min");
}

size_t display_width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_code_point));
}

std::string cut(std::string_view text, size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  size_t columns = 0;
  size_t end = 0;
  for (; end < text.size(); ++end) {
    if (starts_code_point(text[end]) && ++columns == width) break;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string printable(std::string_view text, bool keep_newlines) {
  std::string clean(text);
  for (char& byte : clean) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '\n' ? !keep_newlines : code < 0x20 || code == 0x7f) byte = byte == '\n' || byte == '\t' ? ' ' : '?';
  }
  // U+0080 to U+009F, which some terminals obey, are C2 80 to C2 9F.
  for (size_t i = 0; i + 1 < clean.size(); ++i) {
    const auto next = static_cast<unsigned char>(clean[i + 1]);
    if (clean[i] == '\xC2' && next >= 0x80 && next <= 0x9F) clean.replace(i, 2, "?");
  }
  return clean;
}

std::string table_row(const std::vector<Column>& columns, const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) line += "  ";
    line += pad(printable(cells[i]), columns[i], std::max(columns[i].min_width, display_width(columns[i].header)));
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

void Table::add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

void Table::print(const Console& console) const {
  std::vector<Column> columns = columns_;
  std::vector<std::string> headers;
  for (size_t i = 0; i < columns.size(); ++i) {
    headers.push_back(columns[i].header);
    for (const auto& row : rows_) {
      columns[i].min_width = std::max(columns[i].min_width, display_width(printable(row[i])));
    }
  }
  console.out() << console.paint(Colour::kBold, table_row(columns, headers)) << '\n';
  for (const auto& row : rows_) {
    const std::string line = table_row(columns, row);
    console.out() << (console.colour() ? cut(line, static_cast<size_t>(console.columns())) : line) << '\n';
  }
}

}  // namespace tapewire::client
