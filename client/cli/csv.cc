#include "client/cli/csv.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

std::string_view strip(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view next_part(std::string_view& rest, char separator) {
  const auto at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

std::vector<std::string_view> split_cells(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const bool last = line.find(',') == std::string_view::npos;
    cells.push_back(strip(next_part(line, ',')));
    if (last) return cells;
  }
}

}  // namespace

absl::StatusOr<v1::Tensor> parse_csv(std::string_view content, const std::string& name) {
  std::vector<double> values;
  int64_t columns = 0;
  int64_t rows = 0;
  bool first = true;
  for (int64_t number = 1; !content.empty(); ++number) {
    const std::string_view line = strip(next_part(content, '\n'));
    if (line.empty()) continue;
    const std::vector<std::string_view> cells = split_cells(line);
    const bool may_be_header = std::exchange(first, false);
    const size_t row_start = values.size();
    for (const std::string_view cell : cells) {
      const auto value = parse_number(cell);
      if (!value) break;
      values.push_back(*value);
    }
    const size_t good = values.size() - row_start;
    if (good < cells.size()) {
      values.resize(row_start);
      if (may_be_header) continue;
      return absl::InvalidArgumentError(absl::StrCat(name, ":", number, ": column ", good + 1, ": \"",
                                                     std::string(cells[good]), "\" is not a number"));
    }
    if (rows == 0) columns = static_cast<int64_t>(cells.size());
    if (static_cast<int64_t>(cells.size()) != columns) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ":", number, ": ", cells.size(), " columns, expected ", columns));
    }
    ++rows;
  }
  if (rows == 0) return absl::InvalidArgumentError(absl::StrCat(name, ": no rows of numbers"));
  return make_tensor<double>({rows, columns}, values);
}

}  // namespace tapewire::client
