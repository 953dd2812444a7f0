#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/optim/optimizer.h"

namespace tapewire {

/// What a schedule needs to go on: "last_epoch", "last_lr0", ... The optimizer's rates go with the optimizer's state.
using SchedulerState = std::map<std::string, double, std::less<>>;

/// Base of learning rate schedules (torch.optim.lr_scheduler.LRScheduler), in the chainable form: a step changes the
/// rates that the optimizer has now, so several schedules, or a rate set by hand, combine. REQUIRES: the optimizer
/// outlives it.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// The class's name: "StepLR".
  virtual std::string_view type() const = 0;

  /// Moves on by one epoch, or whatever the caller counts. `metric` is for schedules that watch one.
  void step(std::optional<double> metric = {});
  /// How often step() ran.
  int64_t last_epoch() const { return last_epoch_; }
  /// The rate of each group as the last step left it.
  const std::vector<double>& last_lr() const { return last_lr_; }

  virtual SchedulerState state_dict() const;
  /// Throws, without having changed anything, when a number is missing, unknown or impossible.
  virtual void load_state_dict(const SchedulerState& state);

 protected:
  explicit Scheduler(Optimizer& optimizer);

  Optimizer& optimizer() const { return optimizer_; }
  /// Changes the optimizer's rates; last_epoch() has moved on already. The default sets each group's to next_rate().
  virtual void advance(std::optional<double> metric);
  /// The rate of a group at last_epoch(), given the one it has now.
  virtual double next_rate(size_t group) const = 0;

 private:
  void note_rates();

  Optimizer& optimizer_;
  int64_t last_epoch_ = 0;
  std::vector<double> last_lr_;
};

struct StepLROptions {
  int64_t step_size = 1;
  double gamma = 0.1;
  static constexpr auto fields() {
    return std::tuple{required_field("step_size", &StepLROptions::step_size, "epochs between two changes"),
                      field("gamma", &StepLROptions::gamma, "what the rate is multiplied by")};
  }
};

/// Multiplies the rates by gamma every step_size epochs. torch.optim.lr_scheduler.StepLR.
class StepLR final : public Scheduler {
 public:
  using Options = StepLROptions;
  static constexpr auto kName = "StepLR";
  static constexpr auto kDoc = "multiplies the learning rate by gamma every step_size epochs";

  StepLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;

 private:
  Options options_;
};

/// What is known of a schedule class with its options erased.
struct SchedulerDef {
  std::string_view name;
  std::string_view doc;
  std::vector<AttributeInfo> (*attributes)() = nullptr;
  /// Adds one line to `faults` for each bad attribute and then gives nullptr. Throws Error for values out of range.
  std::unique_ptr<Scheduler> (*make)(Optimizer& optimizer, const AttributeMap& attributes,
                                     std::vector<std::string>& faults) = nullptr;
};

/// nullptr when unknown.
const SchedulerDef* find_scheduler(std::string_view name);
/// The same, throwing "unknown scheduler type 'StepLr'; did you mean 'StepLR'?".
const SchedulerDef& require_scheduler(std::string_view name);
/// In alphabetical order.
std::vector<const SchedulerDef*> all_schedulers();

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
/// from an Optimizer& and Options.
template <class T>
SchedulerDef scheduler_def() {
  SchedulerDef def;
  def.name = T::kName;
  def.doc = T::kDoc;
  def.attributes = &attribute_infos<typename T::Options>;
  def.make = [](Optimizer& optimizer, const AttributeMap& attributes,
                std::vector<std::string>& faults) -> std::unique_ptr<Scheduler> {
    typename T::Options options{};
    const size_t before = faults.size();
    parse_attributes(attributes, options, faults);
    if (faults.size() > before) return nullptr;
    return std::make_unique<T>(optimizer, options);
  };
  return def;
}

}  // namespace tapewire
