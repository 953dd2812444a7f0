#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/optim/optimizer.h"
#include "core/optim/scheduler_state.h"

namespace tapewire {

/// Base of learning rate schedules (torch.optim.lr_scheduler.LRScheduler), in the chainable form: a step changes the
/// rates that the optimizer has now, so several schedules, or a rate set by hand, combine. Making a schedule sets the
/// rates of epoch 0. To go on where another stopped, make optimizer and schedule first and then load both states.
/// REQUIRES: the optimizer outlives it.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// The class's name: "StepLR".
  virtual std::string_view type() const = 0;

  /// Moves on by one epoch, or whatever the caller counts. `metric` is for schedules that watch one. Throws what
  /// check_step() does, and then nothing has changed.
  void step(std::optional<double> metric = {});
  /// Throws if the next step() cannot be: a metric is missing, or the schedule is at its end.
  virtual void check_step(std::optional<double> /*metric*/) const {}
  /// How often step() ran.
  int64_t last_epoch() const { return last_epoch_; }
  /// The rate of each group as the last step left it.
  const std::vector<double>& last_lr() const { return last_lr_; }
  Optimizer& optimizer() const { return optimizer_; }

  /// Starts at epoch 0 from the rates that the optimizer has now.
  void begin();
  /// Starts at epoch 0 from the rates that the optimizer had when the schedule was made: SequentialLR's step(0).
  virtual void restart();

  SchedulerState state_dict() const;
  /// Throws, without having changed anything, when a number is missing, unknown or impossible.
  void load_state_dict(const SchedulerState& state);

 protected:
  /// Remembers the optimizer's initial rates. A class's own constructor ends with begin().
  explicit Scheduler(Optimizer& optimizer);

  /// Sets the rates of epoch 0, and what the schedule counts beside epochs.
  virtual void start() { advance({}); }
  /// Changes the optimizer; last_epoch() has moved on already. The default sets each group's next_rate() and
  /// next_momentum().
  virtual void advance(std::optional<double> metric);
  /// The rate of a group at last_epoch(), given the one it has now. The default keeps it.
  virtual double next_rate(size_t group) const { return optimizer_.learning_rate(group); }
  /// The momentum of a group at last_epoch(); none leaves it alone.
  virtual std::optional<double> next_momentum(size_t /*group*/) const { return std::nullopt; }
  /// What schedules are relative to.
  double base_rate(size_t group) const;

  /// What the schedule keeps beside epochs and rates.
  virtual void save(SchedulerStateWriter& /*state*/) const {}
  virtual void load(SchedulerStateReader& /*state*/) {}

  /// The state of a schedule that this one is made of, under its index.
  static void save_member(const Scheduler& member, size_t index, SchedulerStateWriter& state);
  static void load_member(Scheduler& member, size_t index, SchedulerStateReader& state);

 private:
  void note_rates();
  void save_all(SchedulerStateWriter& state) const;
  void load_all(SchedulerStateReader& state);

  Optimizer& optimizer_;
  int64_t last_epoch_ = 0;
  std::vector<double> base_lr_;
  std::vector<double> last_lr_;
};

using Schedulers = std::vector<std::unique_ptr<Scheduler>>;

/// What is known of a schedule class with its options erased.
struct SchedulerDef {
  std::string_view name;
  std::string_view doc;
  bool combines = false;  // is made of other schedules
  std::vector<AttributeInfo> (*attributes)() = nullptr;
  /// Adds one line to `faults` for each bad attribute and then gives nullptr. Throws Error for values out of range.
  std::unique_ptr<Scheduler> (*make)(Optimizer& optimizer, Schedulers&& members, const AttributeMap& attributes,
                                     std::vector<std::string>& faults) = nullptr;
};

/// nullptr when unknown.
const SchedulerDef* find_scheduler(std::string_view name);
/// The same, throwing "unknown scheduler type 'StepLr'; did you mean 'StepLR'?".
const SchedulerDef& require_scheduler(std::string_view name);
/// In alphabetical order.
std::vector<const SchedulerDef*> all_schedulers();

/// A schedule as a definition says it.
struct SchedulerSpec {
  std::string type;
  AttributeMap attributes;
  std::vector<SchedulerSpec> schedulers;  // of SequentialLR and ChainedScheduler
};

/// Makes it, its members first, in order. Adds one line that begins with `path` to `faults` for each fault
/// ("scheduler.schedulers[1]: LinearLR: unknown attribute 'factor'") and then gives nullptr.
std::unique_ptr<Scheduler> make_scheduler(Optimizer& optimizer, const SchedulerSpec& spec, const std::string& path,
                                          std::vector<std::string>& faults);

/// Registers a file's classes: `const SchedulerFamily kFamily{scheduler_def<StepLR>()};`
class SchedulerFamily {
 public:
  template <class... Defs>
  explicit SchedulerFamily(const Defs&... defs) {
    (add(defs), ...);
  }

 private:
  static void add(const SchedulerDef& def);
};

/// The def of a class that has `using Options` (described), `static constexpr auto kName` and `kDoc`, and a constructor
/// from an Optimizer& and Options, or from an Optimizer&, Schedulers and Options.
template <class T>
SchedulerDef scheduler_def() {
  constexpr bool kCombines = std::is_constructible_v<T, Optimizer&, Schedulers, const typename T::Options&>;
  SchedulerDef def;
  def.name = T::kName;
  def.doc = T::kDoc;
  def.combines = kCombines;
  def.attributes = &attribute_infos<typename T::Options>;
  def.make = [](Optimizer& optimizer, [[maybe_unused]] Schedulers&& members, const AttributeMap& attributes,
                std::vector<std::string>& faults) -> std::unique_ptr<Scheduler> {
    typename T::Options options{};
    const size_t before = faults.size();
    parse_attributes(attributes, options, faults);
    if (faults.size() > before) return nullptr;
    if constexpr (kCombines) {
      return std::make_unique<T>(optimizer, std::move(members), options);
    } else {
      return std::make_unique<T>(optimizer, options);
    }
  };
  return def;
}

}  // namespace tapewire
