#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/autograd/hooks.h"
#include "core/base/mutex.h"
#include "core/nn/module.h"
#include "server/hook/event.h"
#include "server/hook/event_dispatcher.h"
#include "server/hook/hook_limits.h"
#include "server/hook/lease.h"
#include "server/hook/watch_memory.h"
#include "server/hook/watcher.h"
#include "server/observe/model_metrics.h"

namespace tapewire {

/// What of each tensor an observing hook shows.
struct ObserveOptions {
  bool stats = false;
  int histogram_bins = 0;
  bool tensor = false;
  int64_t max_tensor_bytes = 0;
};

/// A hook as its client asks for it.
struct HookSpec {
  std::string target;  // a module path, a parameter path for kTensor, or a glob of them
  HookKind kind = HookKind::kForward;
  ObserveOptions observe;
  int64_t every_n_steps = 1;
  bool prepend = false;
  std::optional<std::chrono::milliseconds> lease;
  std::string client_id;
};

/// A hook as it is.
struct HookInfo {
  std::string id;
  HookSpec spec;
  std::vector<std::string> matched;
  std::optional<std::chrono::system_clock::time_point> expires;  // as of when it was asked for
};

/// What all models' hooks share.
struct HookResources {
  explicit HookResources(const HookLimits& l) : limits(l), memory(l.memory_bytes), dispatcher(l.bytes_per_second) {}

  const HookLimits limits;
  WatchMemory memory;
  EventDispatcher dispatcher;
};

/// What hooks can be put on.
struct HookTargets {
  const std::vector<NamedModule>& modules;
  const std::vector<NamedTensor>& parameters;
};

/// The hooks that clients put on one model, and those who watch them. add, remove and drop_expired are called in the
/// model's turn, as hooks fire in it; the others from any thread.
class ModelHooks : public std::enable_shared_from_this<ModelHooks> {
 public:
  /// Modules and parameters that all hooks of a model sit on, a module as often as it has hooks.
  static constexpr int64_t kMaxMatches = 100'000;

  /// `step_count` tells the optimizer steps made so far, in the model's turn. `expires_at`, if any, hears when to ask
  /// next whether leases ran out: from any thread, outside of locks.
  ModelHooks(std::shared_ptr<HookResources> resources, std::shared_ptr<ModelMetrics> metrics,
             std::function<int64_t()> step_count, std::function<void(Lease::Clock::time_point)> expires_at = nullptr)
      : shared_(std::move(resources)),
        resources_(*shared_),
        metrics_(std::move(metrics)),
        step_count_(std::move(step_count)),
        expires_at_(std::move(expires_at)) {}

  /// Puts a hook on all that its target matches. INVALID_ARGUMENT, RESOURCE_EXHAUSTED; then nothing has changed.
  HookInfo add(const HookTargets& targets, HookSpec spec) TW_EXCLUDES(mutex_);
  /// Takes it off. NOT_FOUND.
  void remove(const std::string& id) TW_EXCLUDES(mutex_);
  /// Takes off those whose lease ran out.
  void drop_expired() TW_EXCLUDES(mutex_);

  /// When the next lease runs out, as far as is known now; it may turn out later, when somebody watches meanwhile.
  std::optional<Lease::Clock::time_point> next_expiry() const TW_EXCLUDES(mutex_);
  /// In registration order; those whose lease ran out are gone.
  std::vector<HookInfo> list() const TW_EXCLUDES(mutex_);
  /// Those that are not taken off yet.
  int64_t size() const { return size_.load(); }

  /// Begins a watch; a hook that it names keeps its lease meanwhile. NOT_FOUND for an id that is no hook of the model,
  /// RESOURCE_EXHAUSTED for too many watches. The buffer's bytes are bounded by the server's limit.
  std::shared_ptr<Watcher> watch(Watcher::Options options) TW_EXCLUDES(mutex_);
  /// The watch is over: nothing is pushed any more, its sink is let go, leases run again.
  void unwatch(const std::shared_ptr<Watcher>& watcher) TW_EXCLUDES(mutex_);
  /// Ends all watches with that status, and later ones at once.
  void finish_watchers(const absl::Status& status) TW_EXCLUDES(mutex_);

 private:
  /// A hook, shared with the closures on the modules.
  struct Hook {
    explicit Hook(HookInfo i) : info(std::move(i)), lease(info.spec.lease) {}

    const HookInfo info;
    Lease lease;
  };
  struct Entry {
    std::shared_ptr<Hook> hook;
    std::vector<HookHandle> handles;
  };
  using Named = std::vector<std::pair<std::string, Tensor>>;
  using Watchers = std::vector<std::shared_ptr<Watcher>>;

  void check_room(size_t matches) const TW_EXCLUDES(mutex_);
  std::shared_ptr<Entry> attach(const HookTargets& targets, HookInfo info);
  void put_on_parameter(const Tensor& parameter, size_t index, Entry& entry);
  /// Puts the hook on the module whose path is matched[index].
  void put_on_module(Module& module, size_t index, Entry& entry);
  void detach(Entry& entry);
  /// Called by the engine: makes an event of what the hook sees, if anybody watches. A fault of the watch is no fault
  /// of the call that fires.
  void fire(const Hook& hook, size_t index, const Named& tensors) TW_EXCLUDES(mutex_);
  void tell(const Watchers& listening, const HookInfo& info, const std::string& path, int64_t step,
            const Named& tensors);

  /// Tells when leases run out next.
  void schedule_expiry() TW_EXCLUDES(mutex_);

  const std::shared_ptr<HookResources> shared_;
  HookResources& resources_;
  const std::shared_ptr<ModelMetrics> metrics_;
  const std::function<int64_t()> step_count_;
  const std::function<void(Lease::Clock::time_point)> expires_at_;
  std::atomic<int64_t> size_{0};
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<Entry>> hooks_ TW_GUARDED_BY(mutex_);
  int64_t matches_ TW_GUARDED_BY(mutex_) = 0;
  Watchers watchers_ TW_GUARDED_BY(mutex_);
  std::optional<absl::Status> finished_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
