#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/nn/clone.h"
#include "core/nn/module_hooks.h"
#include "core/nn/state_dict.h"
#include "core/tensor/tensor.h"
#include "core/tensor/value.h"

namespace tapewire {

struct NamedModule {
  std::string name;
  std::shared_ptr<Module> module;
};

/// What named_modules and the like list.
struct NamedOptions {
  std::string prefix;            // put before each name, with a "."
  bool recurse = true;           // with all descendants, not the module alone
  bool remove_duplicate = true;  // each object once, under its first name
};

/// Drops a parameter's gradient, or fills it with zeros in place.
void clear_gradient(const Tensor& parameter, bool set_to_none);

/// Base of all networks and layers (torch.nn.Module): named parameters, buffers and children in registration order, a
/// training flag, and hooks around forward. One thread at a time uses a tree of modules.
class Module : public std::enable_shared_from_this<Module> {
 public:
  virtual ~Module() = default;
  Module& operator=(const Module&) = delete;

  /// The class's name: "Linear".
  virtual std::string_view type() const = 0;
  /// What the module computes. Callers use operator(), which runs the hooks too.
  virtual Value forward(const Args& args) = 0;

  /// Runs pre-hooks, forward and hooks, the global ones (GlobalModuleHooks) first. Without hooks it is forward alone.
  /// An Error gets the innermost module's path.
  Value operator()(const Args& args);
  /// For modules from a tensor to a tensor.
  Tensor operator()(const Tensor& x) { return (*this)(Args{x}).tensor(); }

  /// Registration. A name must not be empty, hold a "." or be taken: "attribute 'p' already exists". A parameter must
  /// be a leaf, or undefined for a slot that stays empty (a Linear without bias). Gives the tensor back. A module must
  /// not be nullptr. Layers that keep what they register as members declare them as Member (core/nn/clone.h).
  Tensor register_parameter(std::string name, Tensor parameter, bool requires_grad = true);
  Tensor register_buffer(std::string name, Tensor buffer, bool persistent = true);
  void register_module(std::string name, std::shared_ptr<Module> module);
  template <class M, class... A>
  std::shared_ptr<M> register_new(std::string name, A&&... args) {
    auto module = std::make_shared<M>(std::forward<A>(args)...);
    register_module(std::move(name), module);
    return module;
  }

  struct Buffer {
    std::string name;
    Tensor tensor;
    bool persistent;
  };
  /// As registered: with empty slots, and with a child under each of its names.
  const std::vector<NamedTensor>& own_parameters() const { return parameters_; }
  const std::vector<Buffer>& own_buffers() const { return buffers_; }
  const std::vector<NamedModule>& children() const { return children_; }
  /// The direct child of that name, or nullptr.
  std::shared_ptr<Module> child(std::string_view name) const;
  /// The descendant at a path ("layer1.0.conv1"; "" is this), or nullptr.
  std::shared_ptr<Module> find(std::string_view path);

  /// What stands at a path. Each throws "Linear has no attribute `scale`", or "`bias` is not an nn.Parameter" ("is not
  /// a buffer", "is not an nn.Module") for something else; an empty slot is no parameter.
  std::shared_ptr<Module> get_submodule(std::string_view path);
  Tensor get_parameter(std::string_view path);
  Tensor get_buffer(std::string_view path);

  /// Pre-order, registration order, itself first (as "", or as the prefix).
  std::vector<NamedModule> named_modules(const NamedOptions& options = {});
  /// Those that are defined. Of modules in the order of named_modules.
  std::vector<NamedTensor> named_parameters(const NamedOptions& options = {});
  /// Buffers, persistent or not.
  std::vector<NamedTensor> named_buffers(const NamedOptions& options = {});
  /// The direct children, each object once.
  std::vector<NamedModule> named_children() const;
  /// The same without names.
  std::vector<std::shared_ptr<Module>> modules();
  std::vector<Tensor> parameters(bool recurse = true);
  std::vector<Tensor> buffers(bool recurse = true);

  /// Own parameters, own persistent buffers, children; sharing storage; not deduplicated. `prefix` is put before each
  /// key as it is ("model."). Tensors are detached unless `keep_vars`.
  StateDict state_dict(const std::string& prefix = "", bool keep_vars = false);
  /// Copies values in, converting to the parameters' dtypes. Throws all faults in one message, and then nothing has
  /// changed: a shape mismatch always, missing and unexpected keys if strict.
  LoadResult load_state_dict(const StateDict& state, bool strict = true);

  bool training() const { return training_; }
  /// Sets self, then children.
  void train(bool training = true);
  void eval() { train(false); }
  /// Of all parameters. Throws "only Tensors of floating point dtype can require gradients" for others.
  void requires_grad_(bool requires_grad = true);
  /// Drops the gradients of all parameters, or fills them with zeros.
  void zero_grad(bool set_to_none = true);
  /// Calls f on children first, then on self.
  void apply(const std::function<void(Module&)>& f);

  /// Converts floating parameters, buffers and gradients; they keep their identity. Throws for a dtype that is not
  /// floating.
  void to(DType dtype);
  /// PyTorch's float() and double().
  void float_() { to(DType::kFloat32); }
  void double_() { to(DType::kFloat64); }
  /// "cpu", where everything is; UNIMPLEMENTED for "cuda" and "cuda:0", INVALID_ARGUMENT for what is no device.
  void to(std::string_view device);
  void cpu() { to("cpu"); }
  [[noreturn]] void cuda();
  /// UNIMPLEMENTED: float32 and float64 are the floating dtypes there are.
  [[noreturn]] void half();
  [[noreturn]] void bfloat16();

  /// A deep copy (copy.deepcopy): tensors of their own, which share bytes with the original's until one of the two
  /// writes (copy on write), and are leaves without gradients; what the tree shares (tied
  /// parameters, a module under two names), the copy shares too; flags and options are those of now. Hooks stay with
  /// the original: their handles could not take them off the copy. Throws for a class that is not registered and does
  /// not say how it is copied.
  std::shared_ptr<Module> clone() const;

  HookHandle register_forward_pre_hook(std::function<ForwardPreHook> hook, bool prepend = false);
  /// `always_call`: also when forward (the output is then none) or an earlier hook throws; the first error is rethrown.
  HookHandle register_forward_hook(std::function<ForwardHook> hook, bool prepend = false, bool always_call = false);
  HookHandle register_full_backward_pre_hook(std::function<BackwardPreHook> hook, bool prepend = false);
  HookHandle register_full_backward_hook(std::function<BackwardHook> hook, bool prepend = false);

  /// Of this module's part of state_dict and load_state_dict.
  HookHandle register_state_dict_pre_hook(std::function<StateDictPreHook> hook);
  HookHandle register_state_dict_post_hook(std::function<StateDictHook> hook);
  HookHandle register_load_state_dict_pre_hook(std::function<LoadStateDictPreHook> hook);
  HookHandle register_load_state_dict_post_hook(std::function<LoadStateDictPostHook> hook);

  /// "in_features=2, out_features=3, bias=True".
  virtual std::string extra_repr() const { return ""; }
  /// As PyTorch prints a module, children indented by two.
  virtual std::string repr() const;

  /// Sets this module's flag alone.
  void set_training_flag(bool training) { training_ = training; }

  /// The path from the root of the tree that name_tree() was called on.
  const std::string& path() const { return path_; }
  /// Tells every module of this tree its path, for errors and anomaly mode.
  void name_tree();

 protected:
  Module() = default;
  /// For the copies that clone() makes: with copies of parameters, buffers and children. Throws outside of clone().
  Module(const Module& other);
  /// A copy of this module by its class's copy constructor. A registered class has it already.
  virtual std::shared_ptr<Module> copy() const;

  /// For containers, whose parameters and children come and go. Names stay unique, tensors leaves, modules not null.
  std::vector<NamedTensor>& edit_parameters() { return parameters_; }
  std::vector<NamedModule>& edit_children() { return children_; }
  /// Throws for a tensor that cannot be a parameter; makes it require a gradient if it can.
  static void check_parameter(std::string_view name, const Tensor& parameter, bool requires_grad);
  static void check_module(std::string_view name, const std::shared_ptr<Module>& module);

  /// Each line but the first moved in by two spaces.
  static std::string indented(std::string text);

 private:
  friend class CloneMemo;
  class StateLoader;

  void check_name(std::string_view kind, std::string_view name) const;
  bool has_attribute(std::string_view name) const;
  /// The module that holds the last segment of a path.
  std::shared_ptr<Module> owner_of(std::string_view path, std::string_view& name);
  void collect_state(StateDict& out, const std::string& prefix, bool keep_vars);

  Value call_hooked(Args args);
  void call_after_failure(const Args& args, Value output, const std::vector<uint64_t>& called);
  /// Those of one kind, the global ones first; nullptr when there are none.
  template <class Signature>
  typename HookTable<Signature>::Snapshot hooks_to_call(HookTable<Signature> CallHooks::* kind) const;
  ModuleHooks& hooks();

  std::vector<NamedTensor> parameters_;
  std::vector<Buffer> buffers_;
  std::vector<NamedModule> children_;
  bool training_ = true;
  std::string path_;
  std::unique_ptr<ModuleHooks> hooks_;  // made by the first registration
};

/// The common case: from one tensor to one tensor.
class TensorModule : public Module {
 public:
  virtual Tensor forward(const Tensor& x) = 0;
  Value forward(const Args& args) final;
};

}  // namespace tapewire
