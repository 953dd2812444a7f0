#include "core/base/suggest.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

#include "absl/strings/escaping.h"
#include "core/base/cancel.h"
#include "core/base/strings.h"

namespace tapewire {
namespace {

constexpr size_t kLongestName = 64;
constexpr size_t kMostCompared = 2000;

// The number of slips that a name of such a length is forgiven.
constexpr size_t slips(size_t length) { return std::max<size_t>(1, length / 3); }

// Damerau-Levenshtein distance with adjacent swaps, letters compared without case; anything above `most` where it is
// more. Only cells within `most` of the diagonal can count.
// REQUIRES: a.size() <= kLongestName, the sizes differ by at most `most`, most <= slips(kLongestName).
size_t edit_distance(std::string_view a, std::string_view b, size_t most) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  using Row = std::array<uint8_t, kLongestName + slips(kLongestName) + 1>;
  const auto far = static_cast<uint8_t>(most + 1);
  Row before, previous, row;
  before.fill(far);
  previous.fill(far);
  for (size_t j = 0; j <= std::min(most, b.size()); ++j) previous[j] = static_cast<uint8_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row.fill(far);
    if (i <= most) row[0] = static_cast<uint8_t>(i);
    const size_t last = std::min(b.size(), i + most);
    for (size_t j = i > most ? i - most : 1; j <= last; ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      int distance = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
        distance = std::min(distance, before[j - 2] + 1);
      }
      row[j] = static_cast<uint8_t>(distance);
    }
    before = previous;
    previous = row;
  }
  return previous[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.empty() || name.size() > kLongestName) return "";
  std::string_view best;
  size_t most = slips(name.size());
  size_t compared = 0;
  for (std::string_view candidate : candidates) {
    if (candidate.size() + most < name.size() || candidate.size() > name.size() + most) continue;
    if (++compared > kMostCompared) break;
    count_work(static_cast<int64_t>(name.size() * (2 * most + 1)));
    const size_t distance = edit_distance(name, candidate, most);
    if (distance > most) continue;
    best = candidate;
    if (distance == 0) break;
    most = distance - 1;  // only one nearer is better
  }
  return best;
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates) {
  const std::string_view near = nearest_name(name, candidates);
  return near.empty() ? "" : str_cat("; did you mean '", near, "'?");
}

std::string quoted(std::string_view text, size_t limit) {
  const bool cut = text.size() > limit;
  return str_cat("'", absl::CHexEscape(to_absl(text.substr(0, limit))), cut ? "...'" : "'");
}

}  // namespace tapewire
