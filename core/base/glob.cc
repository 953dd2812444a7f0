#include "core/base/glob.h"

#include <cstddef>

namespace tapewire {
namespace {

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

}  // namespace tapewire
