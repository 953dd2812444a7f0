#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/autograd/hooks.h"
#include "core/base/mutex.h"
#include "server/hook/event.h"
#include "server/hook/watcher.h"
#include "server/model/model_state.h"

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
  std::optional<std::chrono::system_clock::time_point> expires;
};

/// The hooks that clients put on one model, and those who watch them. Thread-safe, but for add and remove, which take
/// the model's turn.
class ModelHooks : public std::enable_shared_from_this<ModelHooks> {
 public:
  ModelHooks(int64_t max_hooks, std::shared_ptr<ModelMetrics> metrics)
      : max_hooks_(max_hooks), metrics_(std::move(metrics)) {}

  /// Puts a hook on all that its target matches. In the model's turn. INVALID_ARGUMENT, RESOURCE_EXHAUSTED.
  HookInfo add(ModelState& model, HookSpec spec) TW_EXCLUDES(mutex_);
  /// Takes it off. In the model's turn. NOT_FOUND.
  void remove(ModelState& model, const std::string& id) TW_EXCLUDES(mutex_);
  /// Takes off those whose lease ran out. In the model's turn.
  void drop_expired(ModelState& model) TW_EXCLUDES(mutex_);
  bool any_expired() const TW_EXCLUDES(mutex_);
  /// In registration order; those whose lease ran out are gone.
  std::vector<HookInfo> list() const TW_EXCLUDES(mutex_);

  /// Begins a watch. NOT_FOUND for an id that is no hook of the model.
  std::shared_ptr<Watcher> watch(Watcher::Options options) TW_EXCLUDES(mutex_);
  /// The watch is over; nothing is pushed any more.
  void unwatch(const std::shared_ptr<Watcher>& watcher) TW_EXCLUDES(mutex_);
  /// Ends all watches with that status, and later ones at once.
  void finish_watchers(const absl::Status& status) TW_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::shared_ptr<const HookInfo> info;
    std::vector<HookHandle> handles;
  };
  using Named = std::vector<std::pair<std::string, Tensor>>;

  std::shared_ptr<Entry> attach(ModelState& model, HookInfo info);
  /// Puts the hook on the module whose path is entry.info->matched[index].
  void put_on_module(const ModelState& model, Module& module, size_t index, Entry& entry);
  static void detach(ModelState& model, Entry& entry);
  /// Called by the engine: makes an event of what the hook sees, if anybody watches.
  void fire(const ModelState& model, const HookInfo& info, const std::string& path, const Named& tensors)
      TW_EXCLUDES(mutex_);

  const int64_t max_hooks_;
  const std::shared_ptr<ModelMetrics> metrics_;
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<Entry>> hooks_ TW_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Watcher>> watchers_ TW_GUARDED_BY(mutex_);
  std::optional<absl::Status> finished_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
