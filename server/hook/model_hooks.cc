#include "server/hook/model_hooks.h"

#include <algorithm>
#include <new>
#include <unordered_map>

#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/glob.h"
#include "core/base/limit_error.h"
#include "core/base/suggest.h"
#include "core/base/unguessable_id.h"
#include "core/kernels/frozen.h"

namespace tapewire {
namespace {

std::string numbered(std::string_view base, size_t i) { return i == 0 ? std::string(base) : str_cat(base, "_", i); }

// The tensors at the top level of arguments or of an output, by name.
std::vector<std::pair<std::string, Tensor>> top_level(std::string_view base, std::span<const Value> values) {
  std::vector<std::pair<std::string, Tensor>> out;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].is_tensor()) out.emplace_back(numbered(base, i), values[i].tensor());
  }
  return out;
}

std::vector<std::pair<std::string, Tensor>> gradients(std::string_view base, const Tensors& grads) {
  std::vector<std::pair<std::string, Tensor>> out;
  for (size_t i = 0; i < grads.size(); ++i) out.emplace_back(numbered(base, i), grads[i]);
  return out;
}

// Statistics now, while nobody writes the tensor, and with the model's threads.
std::vector<ObservedTensor> observe(const std::vector<std::pair<std::string, Tensor>>& tensors,
                                    const ObserveOptions& options) {
  std::vector<ObservedTensor> out;
  for (const auto& [name, x] : tensors) {
    ObservedTensor& seen = out.emplace_back();
    seen.name = name;
    seen.none = !x.defined();
    if (seen.none) continue;
    seen.spec = x.spec();
    if (options.stats || options.histogram_bins > 0) seen.stats = kernels::stats(x, options.histogram_bins);
    if (options.tensor && static_cast<int64_t>(x.nbytes()) > options.max_tensor_bytes) {
      seen.omitted = DataOmitted::kAboveMaxTensorBytes;
    }
  }
  return out;
}

using SteadyTime = Lease::Clock::time_point;

// In whole milliseconds: the clocks are not read at the same moment.
std::chrono::system_clock::time_point shown(SteadyTime time, SteadyTime now) {
  using std::chrono::milliseconds;
  return std::chrono::round<milliseconds>(std::chrono::system_clock::now() +
                                          std::chrono::duration_cast<std::chrono::system_clock::duration>(time - now));
}

// The indices of the names that the target matches. Throws when there is none.
template <class NamedThing>
std::vector<size_t> matches(const std::string& target, const std::vector<NamedThing>& things, std::string_view called) {
  std::vector<size_t> out;
  for (size_t i = 0; i < things.size(); ++i) {
    if (i % 256 == 0) check_cancelled();
    if (glob_match(target, things[i].name)) out.push_back(i);
  }
  if (!out.empty()) return out;
  if (is_glob(target)) fail("hook.target: ", quoted(target), " matches no ", called);
  std::vector<std::string_view> known;
  for (const NamedThing& thing : things) known.push_back(thing.name);
  fail("hook.target: no ", called, " ", quoted(target), did_you_mean(target, known));
}

}  // namespace

void ModelHooks::check_room(size_t matched) const {
  MutexLock lock(mutex_);
  if (static_cast<int64_t>(hooks_.size()) >= resources_.limits.max_hooks) {
    fail_limit("max_hooks", "the model has ", hooks_.size(), " hooks already; remove one, or raise --max_hooks (",
               resources_.limits.max_hooks, ")");
  }
  if (matches_ + static_cast<int64_t>(matched) > kMaxMatches) {
    fail_with(absl::StatusCode::kResourceExhausted, "hook.target: matches ", matched,
              " modules or parameters; the model's other hooks sit on ", matches_, ", and ", kMaxMatches,
              " is the most in all");
  }
}

HookInfo ModelHooks::add(const HookTargets& targets, HookSpec spec) {
  drop_expired();
  check_room(0);
  const std::shared_ptr<Entry> entry = attach(targets, {.id = unguessable_id(), .spec = std::move(spec)});
  ++size_;
  metrics_->add_hooks(1);
  HookInfo info = entry->hook->info;
  const SteadyTime now = Lease::Clock::now();
  if (const auto ends = entry->hook->lease.ends(now)) info.expires = shown(*ends, now);
  {
    MutexLock lock(mutex_);
    matches_ += static_cast<int64_t>(info.matched.size());
    hooks_.push_back(entry);
  }
  schedule_expiry();
  return info;
}

void ModelHooks::schedule_expiry() {
  if (!expires_at_) return;
  if (const auto next = next_expiry()) expires_at_(*next);
}

// Nothing is attached when this throws: what can be wrong is checked first.
std::shared_ptr<ModelHooks::Entry> ModelHooks::attach(const HookTargets& targets, HookInfo info) {
  auto entry = std::make_shared<Entry>();
  const HookSpec& spec = info.spec;
  const std::string& target = spec.target;
  const bool on_parameters = spec.kind == HookKind::kTensor;
  const std::vector<size_t> found =
      on_parameters ? matches(target, targets.parameters, "parameter") : matches(target, targets.modules, "module");
  check_room(found.size());
  for (const size_t i : found) {
    const std::string& name = on_parameters ? targets.parameters[i].name : targets.modules[i].name;
    if (on_parameters && !targets.parameters[i].tensor.requires_grad()) {
      fail("hook.target: parameter ", quoted(name), " does not require gradients");
    }
    info.matched.push_back(name);
  }
  if (on_parameters && spec.prepend) {
    fail("hook.prepend: hooks of a parameter's gradient fire in the order of their registration");
  }
  entry->hook = std::make_shared<Hook>(std::move(info));
  entry->handles.reserve(found.size());
  for (size_t i = 0; i < found.size(); ++i) {
    if (on_parameters) {
      put_on_parameter(targets.parameters[found[i]].tensor, i, *entry);
    } else {
      put_on_module(*targets.modules[found[i]].module, i, *entry);
    }
  }
  return entry;
}

void ModelHooks::put_on_parameter(const Tensor& parameter, size_t index, Entry& entry) {
  entry.handles.push_back(
      register_hook(parameter, [self = weak_from_this(), hook = entry.hook, index](const Tensor& grad) {
        if (const auto hooks = self.lock()) hooks->fire(*hook, index, {{"grad", grad}});
        return Tensor();
      }));
}

void ModelHooks::put_on_module(Module& module, size_t index, Entry& entry) {
  const auto show = [self = weak_from_this(), hook = entry.hook, index](const Named& tensors) {
    if (const auto hooks = self.lock()) hooks->fire(*hook, index, tensors);
  };
  const HookSpec& spec = entry.hook->info.spec;
  const bool prepend = spec.prepend;
  switch (spec.kind) {
    case HookKind::kForwardPre:
      entry.handles.push_back(module.register_forward_pre_hook(
          [show](Module&, const Args& args) {
            show(top_level("input", args.positional));
            return std::optional<Args>();
          },
          prepend));
      break;
    case HookKind::kForward:
      entry.handles.push_back(module.register_forward_hook(
          [show](Module&, const Args& args, const Value& output) {
            Named both = top_level("input", args.positional);
            const Named out = top_level("output", output.is_tuple() ? std::span<const Value>(output.tuple())
                                                                    : std::span<const Value>(&output, 1));
            both.insert(both.end(), out.begin(), out.end());
            show(both);
            return std::optional<Value>();
          },
          prepend));
      break;
    case HookKind::kBackwardPre:
      entry.handles.push_back(module.register_full_backward_pre_hook(
          [show](Module&, const Tensors& grad_output) {
            show(gradients("grad_output", grad_output));
            return std::optional<Tensors>();
          },
          prepend));
      break;
    case HookKind::kBackward:
      entry.handles.push_back(module.register_full_backward_hook(
          [show](Module&, const Tensors& grad_input, const Tensors& grad_output) {
            Named both = gradients("grad_input", grad_input);
            const Named out = gradients("grad_output", grad_output);
            both.insert(both.end(), out.begin(), out.end());
            show(both);
            return std::optional<Tensors>();
          },
          prepend));
      break;
    case HookKind::kTensor:
      fail_internal("a tensor hook is not put on a module");
  }
}

void ModelHooks::fire(const Hook& hook, size_t index, const Named& tensors) {
  const HookInfo& info = hook.info;
  const int64_t step = step_count_();
  if (step % std::max<int64_t>(info.spec.every_n_steps, 1) != 0 || hook.lease.over(Lease::Clock::now())) return;
  Watchers listening;
  {
    MutexLock lock(mutex_);
    for (const auto& watcher : watchers_) {
      if (watcher->wants(info.id)) listening.push_back(watcher);
    }
  }
  metrics_->add_hook_events(1);
  if (!listening.empty()) tell(listening, info, info.matched[index], step, tensors);
}

void ModelHooks::tell(const Watchers& listening, const HookInfo& info, const std::string& path, int64_t step,
                      const Named& tensors) {
  const auto miss = [](const Watchers& watchers, HookDrop reason) {
    for (const auto& watcher : watchers) watcher->miss(reason);
  };
  std::vector<ObservedTensor> observed;
  try {
    observed = observe(tensors, info.spec.observe);
  } catch (const Error& error) {
    if (error.code() != absl::StatusCode::kResourceExhausted) throw;
    return miss(listening, HookDrop::kMemory);
  }
  const auto has_data = [&](size_t i) {
    return info.spec.observe.tensor && !observed[i].none && observed[i].omitted == DataOmitted::kNo;
  };
  int64_t data = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (has_data(i)) data += static_cast<int64_t>(tensors[i].second.nbytes());
  }

  const auto push = [&](const Watchers& watchers, int64_t bytes, const auto& fill) {
    if (watchers.empty()) return;
    // Room first: what waits gives way before more is held.
    std::optional<WatchMemory::Share> share = resources_.memory.reserve(bytes);
    if (!share) return miss(watchers, HookDrop::kMemory);
    const auto event = std::make_shared<HookEvent>();
    event->hook_id = info.id;
    event->path = path;
    event->kind = info.spec.kind;
    event->step = step;
    event->time = std::chrono::system_clock::now();
    event->memory = *std::move(share);
    event->tensors = observed;
    try {
      for (size_t i = 0; i < tensors.size(); ++i) {
        if (has_data(i)) fill(event->tensors[i], tensors[i].second);
      }
    } catch (const Error& error) {
      if (error.code() != absl::StatusCode::kResourceExhausted) throw;
      return miss(watchers, HookDrop::kMemory);
    }
    for (const auto& watcher : watchers) watcher->push(event);
  };
  const int64_t bare = wire_bound(info.id, path, observed);
  Watchers take_all;
  Watchers take_bare;
  Watchers take_none;
  for (const auto& watcher : listening) {
    const int64_t most = watcher->options().max_event_bytes;
    (bare + data <= most ? take_all : bare <= most ? take_bare : take_none).push_back(watcher);
  }
  push(take_all, bare + data, [](ObservedTensor& seen, const Tensor& x) { seen.tensor = frozen(x); });
  push(take_bare, bare, [](ObservedTensor& seen, const Tensor&) { seen.omitted = DataOmitted::kEventTooLarge; });
  metrics_->add_hook_dropped(HookDrop::kTooLarge, static_cast<int64_t>(take_bare.size()));
  miss(take_none, HookDrop::kTooLarge);
}

std::optional<SteadyTime> ModelHooks::next_expiry() const {
  std::optional<SteadyTime> first;
  MutexLock lock(mutex_);
  for (const auto& entry : hooks_) {
    const std::optional<SteadyTime> expiry = entry->hook->lease.expiry();
    if (expiry && (!first || *expiry < *first)) first = expiry;
  }
  return first;
}

void ModelHooks::drop_expired() {
  const SteadyTime now = Lease::Clock::now();
  std::vector<std::shared_ptr<Entry>> gone;
  {
    MutexLock lock(mutex_);
    std::erase_if(hooks_, [&](const auto& entry) TW_REQUIRES(mutex_) {
      if (!entry->hook->lease.over(now)) return false;
      matches_ -= static_cast<int64_t>(entry->hook->info.matched.size());
      gone.push_back(entry);
      return true;
    });
  }
  for (const auto& entry : gone) detach(*entry);
}

void ModelHooks::detach(Entry& entry) {
  for (HookHandle& handle : entry.handles) handle.remove();
  --size_;
  metrics_->add_hooks(-1);
}

void ModelHooks::remove(const std::string& id) {
  drop_expired();
  std::shared_ptr<Entry> entry;
  {
    MutexLock lock(mutex_);
    const auto found = std::ranges::find_if(hooks_, [&](const auto& e) { return e->hook->info.id == id; });
    if (found == hooks_.end()) fail_with(absl::StatusCode::kNotFound, "no hook ", quoted(id));
    entry = *found;
    matches_ -= static_cast<int64_t>(entry->hook->info.matched.size());
    hooks_.erase(found);
  }
  detach(*entry);
}

std::vector<HookInfo> ModelHooks::list() const {
  const SteadyTime now = Lease::Clock::now();
  std::vector<HookInfo> out;
  MutexLock lock(mutex_);
  for (const auto& entry : hooks_) {
    if (entry->hook->lease.over(now)) continue;
    HookInfo& info = out.emplace_back(entry->hook->info);
    if (const auto ends = entry->hook->lease.ends(now)) info.expires = shown(*ends, now);
  }
  return out;
}

std::shared_ptr<Watcher> ModelHooks::watch(Watcher::Options options) {
  options.buffer_bytes =
      std::min({options.buffer_bytes, resources_.limits.buffer_bytes, resources_.limits.memory_bytes});
  options.max_event_bytes = std::min(options.max_event_bytes, options.buffer_bytes);
  options.all_bytes = resources_.limits.memory_bytes;
  auto watcher = std::make_shared<Watcher>(std::move(options), metrics_, resources_.dispatcher);
  const SteadyTime now = Lease::Clock::now();
  {
    MutexLock lock(mutex_);
    std::unordered_map<std::string_view, Lease*> leases;
    for (const auto& entry : hooks_) {
      if (!entry->hook->lease.over(now)) leases.emplace(entry->hook->info.id, &entry->hook->lease);
    }
    for (const std::string& id : watcher->options().hook_ids) {
      if (!leases.contains(id)) fail_with(absl::StatusCode::kNotFound, "no hook ", quoted(id));
    }
    if (static_cast<int64_t>(watchers_.size()) >= resources_.limits.max_watchers) {
      fail_limit("max_watchers", "the model has ", watchers_.size(),
                 " watchers already; end a stream, or raise --max_watchers (", resources_.limits.max_watchers, ")");
    }
    if (!finished_) {
      for (const std::string& id : watcher->options().hook_ids) leases.at(id)->begin_watch();
      watchers_.push_back(watcher);
    }
    if (finished_) watcher->finish(*finished_);
  }
  resources_.memory.add(watcher);
  return watcher;
}

void ModelHooks::unwatch(const std::shared_ptr<Watcher>& watcher) {
  {
    MutexLock lock(mutex_);
    if (std::erase(watchers_, watcher) > 0) {
      const SteadyTime now = Lease::Clock::now();
      for (const auto& entry : hooks_) {
        if (watcher->options().hook_ids.contains(entry->hook->info.id)) entry->hook->lease.end_watch(now);
      }
    }
  }
  watcher->detach();
  schedule_expiry();
}

// Leases do not run again: the model or the server ends.
void ModelHooks::finish_watchers(const absl::Status& status) {
  Watchers all;
  {
    MutexLock lock(mutex_);
    finished_ = status;
    all.swap(watchers_);
  }
  for (const auto& watcher : all) watcher->finish(status);
}

}  // namespace tapewire
