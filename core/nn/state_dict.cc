#include "core/nn/state_dict.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/nn/module.h"

namespace tapewire {
namespace {

// A state dict by key, with the order in which it came.
struct Given {
  size_t position;
  Tensor tensor;
};
using GivenState = std::map<std::string, Given, std::less<>>;

GivenState by_key(const StateDict& state, std::vector<std::string>& error_msgs) {
  GivenState out;
  for (size_t i = 0; i < state.size(); ++i) {
    if (!out.emplace(state[i].name, Given{i, state[i].tensor}).second) {
      error_msgs.push_back(str_cat("Key \"", state[i].name, "\" is in state_dict twice."));
    }
  }
  return out;
}

// What is given under a prefix, as it came.
StateDict part_of(const GivenState& state, const std::string& prefix) {
  std::vector<GivenState::const_iterator> found;
  for (auto at = state.lower_bound(prefix); at != state.end() && at->first.starts_with(prefix); ++at) {
    found.push_back(at);
  }
  std::ranges::sort(found, {}, [](const auto& at) { return at->second.position; });
  StateDict out;
  for (const auto& at : found) out.push_back({at->first, at->second.tensor});
  return out;
}

std::string key_line(const char* what, const std::vector<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys) out += str_cat(out.empty() ? "" : ", ", "\"", key, "\"");
  return str_cat(what, " key(s) in state_dict: ", out, ". ");
}

// Values to copy into a module's tensors. Unless kept, those that were there come back.
class Copies {
 public:
  Copies() = default;
  ~Copies() {
    for (const Saved& saved : saved_) {
      saved.storage->replace_buffer(saved.bytes);
      saved.storage->bump_version();
    }
  }
  Copies(const Copies&) = delete;
  Copies& operator=(const Copies&) = delete;

  void add(const Tensor& from, const Tensor& into) { copies_.push_back({from, into}); }
  // Remembers, until keep(), what run() is about to overwrite.
  void save() {
    for (const Copy& copy : copies_) saved_.push_back({copy.into.storage_ref(), copy.into.storage().share_buffer()});
  }
  // Once begun it is not cancelled.
  void run() {
    check_cancelled();
    const CancelScope shield(nullptr);
    for (const Copy& copy : copies_) {
      kernels::copy(copy.from, copy.into);
      copy.into.storage().bump_version();
    }
  }
  void keep() { saved_.clear(); }

 private:
  struct Copy {
    Tensor from;
    Tensor into;
  };
  struct Saved {
    Ref<Storage> storage;
    Ref<Buffer> bytes;
  };
  std::vector<Copy> copies_;
  std::vector<Saved> saved_;
};

}  // namespace

// One load_state_dict: looks everything up, then copies.
class Module::StateLoader {
 public:
  StateLoader(Module& root, const StateDict& state) : root_(root) { visit(root, by_key(state, error_msgs_), ""); }

  LoadResult run(bool strict) {
    // A post hook may pardon keys, so with one the verdict comes after it; nothing else changes its mind.
    if (post_hooks_.empty() || !error_msgs_.empty()) {
      throw_faults(strict);
      copies_.run();
      return std::move(keys_);
    }
    copies_.save();
    copies_.run();
    for (const auto& [module, hooks] : post_hooks_) {
      for (const auto& entry : *hooks) entry.hook(*module, keys_);
    }
    throw_faults(strict);
    copies_.keep();
    return std::move(keys_);
  }

 private:
  void visit(Module& module, const GivenState& state, const std::string& prefix) {
    if (!module.hooks_ || module.hooks_->load_pre.empty()) {
      look_up(module, state, prefix);
      return;
    }
    StateDict part = part_of(state, prefix);
    LoadStateDict load{part, prefix, keys_, error_msgs_};
    const auto hooks = module.hooks_->load_pre.snapshot();
    for (const auto& entry : *hooks) entry.hook(module, load);
    look_up(module, by_key(part, error_msgs_), prefix);
  }

  void look_up(Module& module, const GivenState& state, const std::string& prefix) {
    std::set<std::string_view> own;
    const auto take = [&](const std::string& name, const Tensor& tensor) {
      if (!tensor.defined()) return;
      own.insert(name);
      match(state, str_cat(prefix, name), tensor);
    };
    for (const NamedTensor& p : module.parameters_) take(p.name, p.tensor);
    for (const Buffer& b : module.buffers_) {
      if (b.persistent) take(b.name, b.tensor);
    }
    find_unexpected(module, own, state, prefix);
    for (const NamedModule& child : module.children_) visit(*child.module, state, str_cat(prefix, child.name, "."));
    if (module.hooks_ && !module.hooks_->load_post.empty()) {
      post_hooks_.emplace_back(module.shared_from_this(), module.hooks_->load_post.snapshot());
    }
  }

  void match(const GivenState& state, const std::string& key, const Tensor& mine) {
    const auto found = state.find(key);
    if (found == state.end()) {
      keys_.missing_keys.push_back(key);
      return;
    }
    Tensor given = found->second.tensor;
    if (!given.defined()) {
      error_msgs_.push_back(
          str_cat("While copying the parameter named \"", key,
                  "\", expected torch.Tensor or Tensor-like object from checkpoint but received None"));
      return;
    }
    // What PyTorch 0.3 saved as [1] is a scalar since.
    if (mine.dim() == 0 && given.sizes() == Shape{1}) given = given.alias({{}, {}, given.offset()});
    if (given.sizes() != mine.sizes()) {
      error_msgs_.push_back(
          str_cat("size mismatch for ", key, ": copying a param with shape torch.Size(", to_string(given.sizes()),
                  ") from checkpoint, the shape in current model is torch.Size(", to_string(mine.sizes()), ")."));
      return;
    }
    copies_.add(given, detach(mine));
  }

  // Keys under the prefix that name neither a tensor of the module nor one of a child.
  void find_unexpected(const Module& module, const std::set<std::string_view>& own, const GivenState& state,
                       const std::string& prefix) {
    std::set<std::string_view> children;
    for (const NamedModule& child : module.children_) children.insert(child.name);
    for (const NamedTensor& given : part_of(state, prefix)) {
      const std::string_view name = std::string_view(given.name).substr(prefix.size());
      const size_t dot = name.find('.');
      const bool expected = dot == std::string_view::npos ? own.contains(name) : children.contains(name.substr(0, dot));
      if (!expected) keys_.unexpected_keys.push_back(given.name);
    }
  }

  void throw_faults(bool strict) const {
    std::vector<std::string> lines;
    if (strict && !keys_.missing_keys.empty()) lines.push_back(key_line("Missing", keys_.missing_keys));
    if (strict && !keys_.unexpected_keys.empty()) lines.push_back(key_line("Unexpected", keys_.unexpected_keys));
    lines.insert(lines.end(), error_msgs_.begin(), error_msgs_.end());
    if (lines.empty()) return;
    std::string text = str_cat("Error(s) in loading state_dict for ", root_.type(), ":");
    for (const std::string& line : lines) text += str_cat("\n\t", line);
    fail(text);
  }

  Module& root_;
  LoadResult keys_;
  std::vector<std::string> error_msgs_;
  Copies copies_;
  std::vector<std::pair<std::shared_ptr<Module>, HookTable<LoadStateDictPostHook>::Snapshot>> post_hooks_;
};

LoadResult Module::load_state_dict(const StateDict& state, bool strict) {
  return StateLoader(*this, state).run(strict);
}

StateDict Module::state_dict(const std::string& prefix, bool keep_vars) {
  StateDict out;
  collect_state(out, prefix, keep_vars);
  return out;
}

void Module::collect_state(StateDict& out, const std::string& prefix, bool keep_vars) {
  if (hooks_ && !hooks_->state_dict_pre.empty()) {
    const auto hooks = hooks_->state_dict_pre.snapshot();
    for (const auto& entry : *hooks) entry.hook(*this, prefix, keep_vars);
  }
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    if (tensor.defined()) out.push_back({str_cat(prefix, name), keep_vars ? tensor : detach(tensor)});
  };
  for (const NamedTensor& p : parameters_) add(p.name, p.tensor);
  for (const Buffer& b : buffers_) {
    if (b.persistent) add(b.name, b.tensor);
  }
  for (const NamedModule& child : children_)
    child.module->collect_state(out, str_cat(prefix, child.name, "."), keep_vars);
  if (hooks_ && !hooks_->state_dict.empty()) {
    const auto hooks = hooks_->state_dict.snapshot();
    for (const auto& entry : *hooks) entry.hook(*this, out, prefix);
  }
}

HookHandle Module::register_state_dict_pre_hook(std::function<StateDictPreHook> hook) {
  return hooks().state_dict_pre.add(std::move(hook));
}

HookHandle Module::register_state_dict_post_hook(std::function<StateDictHook> hook) {
  return hooks().state_dict.add(std::move(hook));
}

HookHandle Module::register_load_state_dict_pre_hook(std::function<LoadStateDictPreHook> hook) {
  return hooks().load_pre.add(std::move(hook));
}

HookHandle Module::register_load_state_dict_post_hook(std::function<LoadStateDictPostHook> hook) {
  return hooks().load_post.add(std::move(hook));
}

}  // namespace tapewire
