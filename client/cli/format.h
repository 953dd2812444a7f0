#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/console.h"

namespace tapewire::client {

/// "0.01307", "1.2e-09", "nan": significant digits, no padding.
std::string number(double value, int digits = 4);
/// "0.0850", "12.3000": four decimals, so that columns line up; "1.20e-09" where those would say little.
std::string column_number(double value);
/// "21,840".
std::string with_thousands(int64_t value);
/// "512 B", "12.3 MiB".
std::string bytes_text(int64_t bytes);
/// "2026-11-21 05:53:22", in UTC.
std::string time_text(int64_t unix_seconds);
/// "0.84 s", "3 min 2 s", "5 h 12 min".
std::string seconds_text(double seconds);

/// Columns that `text` takes in a terminal, counting a code point as one.
size_t display_width(std::string_view text);
/// At most `width` columns of `text`, the last an ellipsis if something is missing.
std::string cut(std::string_view text, size_t width);
/// `text` without control characters: what a server says must not drive the terminal. Newlines stay if asked.
std::string printable(std::string_view text, bool keep_newlines = false);

enum class Align { kLeft, kRight };

struct Column {
  std::string header;
  Align align = Align::kLeft;
  size_t min_width = 0;
};

/// Rows under headers, columns two blanks apart.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// REQUIRES: as many cells as columns.
  void add(std::vector<std::string> cells);
  void print(const Console& console) const;
  bool empty() const { return rows_.empty(); }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// One line of a table whose widths are given by the columns alone, for rows that come one by one.
std::string table_row(const std::vector<Column>& columns, const std::vector<std::string>& cells);

}  // namespace tapewire::client
