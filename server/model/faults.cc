#include "server/model/faults.h"

#include "core/base/error.h"

namespace tapewire {
namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

std::string shortened(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  size_t head = most / 2;
  size_t tail = text.size() - most / 2;
  while (head > 0 && continues(text[head])) --head;
  while (tail < text.size() && continues(text[tail])) ++tail;
  return str_cat(text.substr(0, head), "…", text.substr(tail));
}

void Faults::add(std::string_view fault) {
  if (!full()) faults_.push_back(shortened(fault, kLongest));
}

void Faults::add_all(std::string_view prefix, const std::vector<std::string>& faults) {
  for (const std::string& fault : faults) {
    if (full()) return;
    add(str_cat(prefix, shortened(fault, kLongest)));
  }
}

void Faults::throw_if_any() const {
  if (faults_.empty()) return;
  constexpr size_t kMostShown = 50;
  if (faults_.size() == 1) fail(faults_[0]);
  std::string text = str_cat(full() ? "at least " : "", faults_.size(), " faults:");
  size_t shown = 0;
  while (shown < faults_.size() && shown < kMostShown && text.size() + faults_[shown].size() < kLongestText) {
    text += str_cat("\n  ", faults_[shown++]);
  }
  if (shown < faults_.size()) text += str_cat("\n  and ", faults_.size() - shown, " more");
  fail(text);
}

}  // namespace tapewire
