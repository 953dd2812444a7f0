#include "core/base/suggest.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <vector>

#include "absl/strings/escaping.h"
#include "core/base/cancel.h"
#include "core/base/strings.h"

namespace tapewire {
namespace {

// Damerau-Levenshtein distance with adjacent swaps, letters compared without case; any number above `most` when it is
// more than that.
size_t edit_distance(std::string_view a, std::string_view b, size_t most) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  const size_t far = most + 1;
  std::vector<size_t> before(b.size() + 1, far), previous(b.size() + 1, far), row(b.size() + 1, far);
  for (size_t j = 0; j <= std::min(b.size(), most); ++j) previous[j] = j;
  size_t nearest_before = 0;
  for (size_t i = 1; i <= a.size(); ++i) {
    // Further from the diagonal the distance is more than `most`.
    const size_t from = i > most ? i - most : 1;
    const size_t to = std::min(b.size(), i + most);
    row[from - 1] = i <= most ? i : far;
    size_t nearest = row[from - 1];
    for (size_t j = from; j <= to; ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (same ? 0u : 1u)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
      nearest = std::min(nearest, row[j]);
    }
    if (to < b.size()) row[to + 1] = far;
    if (nearest > most && nearest_before > most) return far;
    nearest_before = nearest;
    before.swap(previous);
    previous.swap(row);
  }
  return previous[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  constexpr size_t kLongestName = 64;
  if (name.empty() || name.size() > kLongestName) return "";
  std::string_view best;
  size_t best_distance = std::numeric_limits<size_t>::max();
  const size_t most = std::max<size_t>(1, name.size() / 3);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (i % 64 == 0) check_cancelled();
    const std::string_view candidate = candidates[i];
    const size_t longer = std::max(name.size(), candidate.size());
    if (longer - std::min(name.size(), candidate.size()) > most) continue;  // the distance is at least that
    const size_t distance = edit_distance(name, candidate, most);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best_distance <= most ? best : std::string_view{};
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
