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

}  // namespace

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
