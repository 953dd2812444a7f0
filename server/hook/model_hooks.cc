#include "server/hook/model_hooks.h"

#include <algorithm>

#include "core/autograd/meta.h"
#include "core/base/limit_error.h"
#include "core/base/suggest.h"
#include "server/model/glob.h"

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

ObservedTensor observe(const std::string& name, const Tensor& x, const ObserveOptions& options) {
  ObservedTensor seen;
  seen.name = name;
  if (!x.defined()) {
    seen.none = true;
    return seen;
  }
  seen.spec = x.spec();
  if (options.stats || options.histogram_bins > 0) seen.stats = kernels::stats(x, options.histogram_bins);
  if (options.tensor && static_cast<int64_t>(x.nbytes()) <= options.max_tensor_bytes) seen.tensor = frozen(x);
  return seen;
}

bool expired(const HookInfo& info) { return info.expires && *info.expires <= std::chrono::system_clock::now(); }

}  // namespace

HookInfo ModelHooks::add(LiveModel& model, HookSpec spec) {
  drop_expired(model);
  {
    MutexLock lock(mutex_);
    if (static_cast<int64_t>(hooks_.size()) >= max_hooks_) {
      fail_limit("max_hooks", "the model has ", hooks_.size(), " hooks already; remove one, or raise --max_hooks (",
                 max_hooks_, ")");
    }
  }
  HookInfo info{.id = unguessable_id(), .spec = std::move(spec)};
  if (info.spec.lease) info.expires = std::chrono::system_clock::now() + *info.spec.lease;
  const std::shared_ptr<Entry> entry = attach(model, std::move(info));
  model.add_hooks(1);
  MutexLock lock(mutex_);
  hooks_.push_back(entry);
  return *entry->info;
}

// Nothing is attached when this throws: what can be wrong is checked first.
std::shared_ptr<ModelHooks::Entry> ModelHooks::attach(LiveModel& model, HookInfo info) {
  auto entry = std::make_shared<Entry>();
  const std::string& target = info.spec.target;
  if (info.spec.kind == HookKind::kTensor) {
    std::vector<Tensor> parameters;
    for (const NamedTensor& p : model.parameters()) {
      if (!glob_match(target, p.name)) continue;
      if (!p.tensor.requires_grad()) fail("hook.target: parameter ", quoted(p.name), " does not require gradients");
      info.matched.push_back(p.name);
      parameters.push_back(p.tensor);
    }
    if (parameters.empty() && !is_glob(target)) model.require_parameter(target, "hook.target");
    if (parameters.empty()) fail("hook.target: ", quoted(target), " matches no parameter");
    if (info.spec.prepend)
      fail("hook.prepend: hooks of a parameter's gradient fire in the order of their registration");
    entry->info = std::make_shared<const HookInfo>(std::move(info));
    for (size_t i = 0; i < parameters.size(); ++i) {
      entry->handles.push_back(
          register_hook(parameters[i], [self = weak_from_this(), &model, info = entry->info, i](const Tensor& grad) {
            if (const auto hooks = self.lock()) hooks->fire(model, *info, info->matched[i], {{"grad", grad}});
            return Tensor();
          }));
    }
    return entry;
  }
  std::vector<Module*> modules;
  for (const NamedModule& m : model.modules()) {
    if (!glob_match(target, m.name)) continue;
    info.matched.push_back(m.name);
    modules.push_back(m.module.get());
  }
  if (modules.empty() && !is_glob(target)) model.require_module_at(target, "hook.target");
  if (modules.empty()) fail("hook.target: ", quoted(target), " matches no module");
  entry->info = std::make_shared<const HookInfo>(std::move(info));
  for (size_t i = 0; i < modules.size(); ++i) put_on_module(model, *modules[i], i, *entry);
  return entry;
}

// The closures are owned by the model's modules, so the model outlives them.
void ModelHooks::put_on_module(const LiveModel& model, Module& module, size_t index, Entry& entry) {
  const auto show = [self = weak_from_this(), &model, info = entry.info, index](const Named& tensors) {
    if (const auto hooks = self.lock()) hooks->fire(model, *info, info->matched[index], tensors);
  };
  const bool prepend = entry.info->spec.prepend;
  switch (entry.info->spec.kind) {
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

void ModelHooks::fire(const LiveModel& model, const HookInfo& info, const std::string& path, const Named& tensors) {
  if (model.step_count() % std::max<int64_t>(info.spec.every_n_steps, 1) != 0 || expired(info)) return;
  std::vector<std::shared_ptr<Watcher>> listening;
  {
    MutexLock lock(mutex_);
    for (const auto& watcher : watchers_) {
      if (watcher->wants(info.id)) listening.push_back(watcher);
    }
  }
  metrics_->add_hook_events(1);
  if (listening.empty()) return;
  auto event = std::make_shared<HookEvent>();
  event->hook_id = info.id;
  event->path = path;
  event->kind = info.spec.kind;
  event->step = model.step_count();
  event->time = std::chrono::system_clock::now();
  for (const auto& [name, tensor] : tensors) event->tensors.push_back(observe(name, tensor, info.spec.observe));
  for (const auto& watcher : listening) {
    if (const int64_t lost = watcher->push(event); lost > 0) metrics_->add_hook_dropped(HookDrop::kBufferFull, lost);
  }
}

bool ModelHooks::any_expired() const {
  MutexLock lock(mutex_);
  return std::ranges::any_of(hooks_, [](const auto& entry) { return expired(*entry->info); });
}

void ModelHooks::drop_expired(LiveModel& model) {
  std::vector<std::shared_ptr<Entry>> gone;
  {
    MutexLock lock(mutex_);
    std::erase_if(hooks_, [&](const auto& entry) {
      if (!expired(*entry->info)) return false;
      gone.push_back(entry);
      return true;
    });
  }
  for (const auto& entry : gone) detach(model, *entry);
}

void ModelHooks::detach(LiveModel& model, Entry& entry) {
  for (HookHandle& handle : entry.handles) handle.remove();
  model.add_hooks(-1);
}

void ModelHooks::remove(LiveModel& model, const std::string& id) {
  drop_expired(model);
  std::shared_ptr<Entry> entry;
  {
    MutexLock lock(mutex_);
    const auto found = std::ranges::find_if(hooks_, [&](const auto& e) { return e->info->id == id; });
    if (found == hooks_.end()) fail_with(absl::StatusCode::kNotFound, "no hook ", quoted(id));
    entry = *found;
    hooks_.erase(found);
  }
  detach(model, *entry);
}

std::vector<HookInfo> ModelHooks::list() const {
  MutexLock lock(mutex_);
  std::vector<HookInfo> out;
  for (const auto& entry : hooks_) {
    if (!expired(*entry->info)) out.push_back(*entry->info);
  }
  return out;
}

std::shared_ptr<Watcher> ModelHooks::watch(Watcher::Options options) {
  MutexLock lock(mutex_);
  for (const std::string& id : options.hook_ids) {
    if (std::ranges::none_of(hooks_, [&](const auto& e) { return e->info->id == id && !expired(*e->info); })) {
      fail_with(absl::StatusCode::kNotFound, "no hook ", quoted(id));
    }
  }
  auto watcher = std::make_shared<Watcher>(std::move(options));
  if (finished_) {
    watcher->finish(*finished_);
  } else {
    watchers_.push_back(watcher);
  }
  return watcher;
}

void ModelHooks::unwatch(const std::shared_ptr<Watcher>& watcher) {
  MutexLock lock(mutex_);
  std::erase(watchers_, watcher);
}

void ModelHooks::finish_watchers(const absl::Status& status) {
  std::vector<std::shared_ptr<Watcher>> all;
  {
    MutexLock lock(mutex_);
    finished_ = status;
    all.swap(watchers_);
  }
  for (const auto& watcher : all) watcher->finish(status);
}

}  // namespace tapewire
