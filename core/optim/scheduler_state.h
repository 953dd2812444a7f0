#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tapewire {

/// What a schedule needs to go on: "last_epoch", "base_lr0", "last_lr0", ...; of the schedules that it is made of as
/// "schedulers.0.last_epoch". The optimizer's rates go with the optimizer's state.
using SchedulerState = std::map<std::string, double, std::less<>>;

/// Writes a state, one schedule at a time.
class SchedulerStateWriter {
 public:
  void number(std::string_view key, double value);
  void count(std::string_view key, int64_t value) { number(key, static_cast<double>(value)); }
  /// What `write` writes stands under `name` and a dot.
  template <class Write>
  void within(const std::string& name, Write&& write) {
    const std::string outer = prefix_;
    prefix_ += name + ".";
    write();
    prefix_ = outer;
  }

  SchedulerState take() { return std::move(state_); }

 private:
  std::string prefix_;
  SchedulerState state_;
};

/// Reads a state, collecting its faults; a value with a fault stays as it was. REQUIRES: the state outlives it.
class SchedulerStateReader {
 public:
  explicit SchedulerStateReader(const SchedulerState& state);

  /// Any number but NaN.
  void number(std::string_view key, double& value);
  /// A whole number from `least` to 2^53.
  void count(std::string_view key, int64_t& value, int64_t least = 0);
  template <class Read>
  void within(const std::string& name, Read&& read) {
    const std::string outer = prefix_;
    prefix_ += name + ".";
    read();
    prefix_ = outer;
  }

  /// All faults in one line, those of keys that nobody read among them; "" when there are none.
  std::string faults() const;

 private:
  // nullptr, and a fault, when it is missing.
  const double* find(const std::string& key);

  const SchedulerState& state_;
  std::string prefix_;
  std::set<std::string_view> unread_;
  std::vector<std::string> faults_;
};

}  // namespace tapewire
