#include "server/model/glob.h"

#include <algorithm>
#include <numeric>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {
namespace {

constexpr size_t kCancelEvery = 512;     // names that are matched
constexpr size_t kMostSuggested = 1000;  // names that are looked through for a likely slip

// A part of a pattern without stars, against a text of its size.
bool part_matches(std::string_view part, std::string_view text) {
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] != '?' && part[i] != text[i]) return false;
  }
  return true;
}

// Where the part stands first in the text, from `from` on.
size_t find_part(std::string_view part, std::string_view text, size_t from) {
  if (part.find('?') == std::string_view::npos) return text.find(part, from);
  for (; from + part.size() <= text.size(); ++from) {
    if (part_matches(part, text.substr(from, part.size()))) return from;
  }
  return std::string_view::npos;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern.size() == text.size() && part_matches(pattern, text);
  // The parts in front of the first star and behind the last stand at the ends, each other one where it comes first.
  const size_t last = pattern.rfind('*');
  const std::string_view head = pattern.substr(0, star);
  const std::string_view tail = pattern.substr(last + 1);
  if (head.size() + tail.size() > text.size()) return false;
  if (!part_matches(head, text) || !part_matches(tail, text.substr(text.size() - tail.size()))) return false;
  text = text.substr(head.size(), text.size() - head.size() - tail.size());
  size_t at = 0;
  for (size_t begin = star + 1; begin < last;) {
    const size_t end = pattern.find('*', begin);
    const std::string_view part = pattern.substr(begin, end - begin);
    const size_t found = find_part(part, text, at);
    if (found == std::string_view::npos) return false;
    at = found + part.size();
    begin = end + 1;
  }
  return true;
}

bool is_glob(std::string_view text) { return text.find_first_of("*?") != std::string_view::npos; }

GlobMatcher::GlobMatcher(const std::vector<NamedTensor>& tensors) : tensors_(tensors), by_name_(tensors.size()) {
  std::iota(by_name_.begin(), by_name_.end(), size_t{0});
  std::ranges::stable_sort(by_name_, {}, [&](size_t i) { return std::string_view(tensors_[i].name); });
}

void GlobMatcher::match(std::string_view glob, const std::function<void(size_t)>& found) const {
  check_cancelled();
  const std::string_view prefix = glob.substr(0, glob.find_first_of("*?"));
  const auto name = [&](size_t i) { return std::string_view(tensors_[i].name); };
  const auto begin = std::ranges::lower_bound(by_name_, prefix, {}, name);
  std::vector<size_t> matched;
  size_t looked_at = 0;
  for (auto at = begin; at != by_name_.end() && name(*at).starts_with(prefix); ++at) {
    if (++looked_at % kCancelEvery == 0) check_cancelled();
    // Of those that begin with a whole name, it comes first.
    if (prefix.size() == glob.size() && name(*at).size() > glob.size()) break;
    if (glob_match(glob, name(*at))) matched.push_back(*at);
  }
  std::ranges::sort(matched);
  for (const size_t i : matched) found(i);
}

std::vector<NamedTensor> select_by_globs(const std::vector<std::string>& globs, const std::vector<NamedTensor>& tensors,
                                         std::string_view field, std::string_view called) {
  if (globs.empty()) return tensors;
  const GlobMatcher matcher(tensors);
  std::vector<bool> wanted(tensors.size());
  int with_wildcards = 0;
  for (const std::string& glob : globs) {
    if (is_glob(glob) && ++with_wildcards > kMaxGlobs) {
      fail(field, ": more than ", kMaxGlobs, " globs; name what is wanted, or use fewer");
    }
    bool any = false;
    matcher.match(glob, [&](size_t i) {
      wanted[i] = true;
      any = true;
    });
    if (any) continue;
    if (is_glob(glob)) fail(field, ": ", quoted(glob), " matches no ", called);
    std::vector<std::string_view> known;
    for (size_t i = 0; i < std::min(tensors.size(), kMostSuggested); ++i) known.push_back(tensors[i].name);
    fail(field, ": no ", called, " ", quoted(glob), did_you_mean(glob, known));
  }
  std::vector<NamedTensor> out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (wanted[i]) out.push_back(tensors[i]);
  }
  return out;
}

}  // namespace tapewire
