#include "core/optim/scheduler_state.h"

#include <cmath>

#include "core/base/suggest.h"
#include "core/tensor/value.h"

namespace tapewire {

void SchedulerStateWriter::number(std::string_view key, double value) { state_[str_cat(prefix_, key)] = value; }

SchedulerStateReader::SchedulerStateReader(const SchedulerState& state) : state_(state) {
  for (const auto& [key, value] : state) unread_.insert(key);
}

const double* SchedulerStateReader::find(const std::string& key) {
  const auto found = state_.find(key);
  if (found == state_.end()) {
    faults_.push_back(str_cat("missing ", quoted(key)));
    return nullptr;
  }
  unread_.erase(key);
  return &found->second;
}

void SchedulerStateReader::number(std::string_view key, double& value) {
  const std::string full = str_cat(prefix_, key);
  const double* found = find(full);
  if (found == nullptr) return;
  if (std::isnan(*found)) {
    faults_.push_back(str_cat(quoted(full), " must be a number, got nan"));
  } else {
    value = *found;
  }
}

void SchedulerStateReader::count(std::string_view key, int64_t& value, int64_t least) {
  const std::string full = str_cat(prefix_, key);
  const double* found = find(full);
  if (found == nullptr) return;
  if (*found >= static_cast<double>(least) && *found <= 0x1p53 && *found == std::floor(*found)) {
    value = static_cast<int64_t>(*found);
  } else {
    faults_.push_back(str_cat(quoted(full), " must be a count, got ", Value(*found).repr()));
  }
}

std::string SchedulerStateReader::faults() const {
  std::string out;
  const auto add = [&out](const std::string& fault) { out += str_cat(out.empty() ? "" : "; ", fault); };
  for (const std::string& fault : faults_) add(fault);
  for (const std::string_view key : unread_) add(str_cat("unexpected ", quoted(key)));
  return out;
}

}  // namespace tapewire
