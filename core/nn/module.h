#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/autograd/hooks.h"
#include "core/tensor/tensor.h"
#include "core/tensor/value.h"

namespace tapewire {

class Module;

/// Hooks of a module. A returned value replaces what the hook was given; none leaves it.
using ForwardPreHook = std::optional<Args>(Module& module, const Args& args);
using ForwardHook = std::optional<Value>(Module& module, const Args& args, const Value& output);
/// Gradients by position among the top-level arguments (results); undefined where there is none.
using BackwardPreHook = std::optional<Tensors>(Module& module, const Tensors& grad_output);
using BackwardHook = std::optional<Tensors>(Module& module, const Tensors& grad_input, const Tensors& grad_output);

struct NamedModule {
  std::string name;
  std::shared_ptr<Module> module;
};
using StateDict = std::vector<NamedTensor>;

/// Drops a parameter's gradient, or fills it with zeros in place.
void clear_gradient(const Tensor& parameter, bool set_to_none);

/// What load_state_dict found that did not fit by name.
struct LoadResult {
  std::vector<std::string> missing_keys;
  std::vector<std::string> unexpected_keys;
};

/// Base of all networks and layers (torch.nn.Module): named parameters, buffers and children in registration order, a
/// training flag, and hooks around forward. One thread at a time uses a tree of modules.
class Module : public std::enable_shared_from_this<Module> {
 public:
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// The class's name: "Linear".
  virtual std::string_view type() const = 0;
  /// What the module computes. Callers use operator(), which runs the hooks too.
  virtual Value forward(const Args& args) = 0;

  /// Runs pre-hooks, forward and hooks. Without hooks it is forward alone. An Error gets the innermost module's path.
  Value operator()(const Args& args);
  /// For modules from a tensor to a tensor.
  Tensor operator()(const Tensor& x) { return (*this)(Args{x}).tensor(); }

  /// Registration. A name must not be empty, hold a "." or be taken: "attribute 'p' already exists". A parameter must
  /// be a leaf, or undefined for a slot that stays empty (a Linear without bias). Gives the tensor back. A module must
  /// not be nullptr.
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
  const std::vector<NamedTensor>& own_parameters() const { return parameters_; }
  const std::vector<Buffer>& own_buffers() const { return buffers_; }
  const std::vector<NamedModule>& children() const { return children_; }
  /// The direct child of that name, or nullptr.
  std::shared_ptr<Module> child(std::string_view name) const;
  /// The descendant at a path ("layer1.0.conv1"; "" is this), or nullptr.
  std::shared_ptr<Module> find(std::string_view path);

  /// Pre-order, registration order, each object once under its first name. With itself as "".
  std::vector<NamedModule> named_modules();
  std::vector<NamedTensor> named_parameters();
  /// Buffers, persistent or not.
  std::vector<NamedTensor> named_buffers();

  /// Own parameters, own persistent buffers, children; sharing storage; not deduplicated.
  StateDict state_dict() const;
  /// Copies values in. Throws all faults in one message: a shape mismatch always, missing and unexpected keys if
  /// strict.
  LoadResult load_state_dict(const StateDict& state, bool strict = true);

  bool training() const { return training_; }
  /// Sets self, then children.
  void train(bool training = true);
  void eval() { train(false); }
  /// Drops the gradients of all parameters, or fills them with zeros.
  void zero_grad(bool set_to_none = true);
  /// Calls f on children first, then on self.
  void apply(const std::function<void(Module&)>& f);
  /// Converts floating parameters, buffers and gradients; they keep their identity.
  void to(DType dtype);

  HookHandle register_forward_pre_hook(std::function<ForwardPreHook> hook, bool prepend = false);
  /// `always_call`: also when forward (the output is then none) or an earlier hook throws; the first error is rethrown.
  HookHandle register_forward_hook(std::function<ForwardHook> hook, bool prepend = false, bool always_call = false);
  HookHandle register_full_backward_pre_hook(std::function<BackwardPreHook> hook, bool prepend = false);
  HookHandle register_full_backward_hook(std::function<BackwardHook> hook, bool prepend = false);

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

  /// Each line but the first moved in by two spaces.
  static std::string indented(std::string text);

 private:
  /// What is left to do for an always_call hook when a call failed; `called`: ids of those that ran already.
  using FailedCallHook = void(Module& module, const Args& args, const Value& output,
                              const std::vector<uint64_t>& called);

  void check_name(std::string_view kind, std::string_view name) const;
  bool hooked() const {
    return !forward_pre_hooks_.empty() || !forward_hooks_.empty() || !backward_pre_hooks_.empty() ||
           !backward_hooks_.empty();
  }
  Value call_hooked(Args args);

  std::vector<NamedTensor> parameters_;
  std::vector<Buffer> buffers_;
  std::vector<NamedModule> children_;
  bool training_ = true;
  std::string path_;
  HookTable<ForwardPreHook> forward_pre_hooks_;
  HookTable<ForwardHook> forward_hooks_;
  HookTable<FailedCallHook> always_call_hooks_;
  HookTable<BackwardPreHook> backward_pre_hooks_;
  HookTable<BackwardHook> backward_hooks_;
};

/// The common case: from one tensor to one tensor.
class TensorModule : public Module {
 public:
  virtual Tensor forward(const Tensor& x) = 0;
  Value forward(const Args& args) final;
};

}  // namespace tapewire
