#include "core/nn/backward_hooks.h"

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/autograd/node.h"
#include "core/base/error.h"

namespace tapewire {
namespace {

// Spreads the watched gradients to their positions among all; the others are none.
Tensors spread(const Tensors& grads, const std::vector<size_t>& positions, size_t count) {
  Tensors out(count);
  for (size_t i = 0; i < positions.size(); ++i) out[positions[i]] = grads[i];
  return out;
}

Tensors gather(const Tensors& all, const std::vector<size_t>& positions) {
  Tensors out;
  for (const size_t position : positions) out.push_back(all[position]);
  return out;
}

}  // namespace

class ModuleBackwardHooks::Identity final : public Node {
 public:
  Identity(std::shared_ptr<ModuleBackwardHooks> hooks, bool inputs) : hooks_(std::move(hooks)), inputs_(inputs) {}
  std::string name() const override { return "BackwardHookFunctionBackward"; }
  Tensors apply(Tensors grads) override {
    return inputs_ ? hooks_->on_grad_input(std::move(grads)) : hooks_->on_grad_output(std::move(grads));
  }

 private:
  std::shared_ptr<ModuleBackwardHooks> hooks_;
  bool inputs_;
};

std::vector<Value> ModuleBackwardHooks::pass_through(std::vector<Value> values, bool inputs) {
  std::vector<size_t>& watched = inputs ? watched_inputs_ : watched_outputs_;
  (inputs ? input_count_ : output_count_) = values.size();
  if (!grad_enabled()) return values;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].is_tensor() && values[i].tensor().requires_grad()) watched.push_back(i);
  }
  if (watched.empty()) return values;
  auto node = make_ref<Identity>(shared_from_this(), inputs);
  for (const size_t i : watched) node->add_next_edge(gradient_edge(values[i].tensor()));
  for (const size_t i : watched) {
    const Tensor& x = values[i].tensor();
    Tensor alias = x.alias();
    set_history(alias, node, node->add_output(x.spec()));
    set_view_of(alias, x, ViewOrigin::kCustomFunction);
    values[i] = alias;
  }
  return values;
}

Args ModuleBackwardHooks::watch_inputs(Args args) {
  std::vector<Value> values(args.positional.begin(), args.positional.end());
  for (auto& [name, value] : args.named) values.push_back(value);
  values = pass_through(std::move(values), true);
  for (size_t i = 0; i < args.positional.size(); ++i) args.positional[i] = values[i];
  for (size_t i = 0; i < args.named.size(); ++i) args.named[i].second = values[args.positional.size() + i];
  return args;
}

Value ModuleBackwardHooks::watch_outputs(Value output) {
  if (!output.is_tuple()) return pass_through({std::move(output)}, false)[0];
  return Tuple(pass_through(output.tuple(), false));
}

Tensors ModuleBackwardHooks::on_grad_output(Tensors grads) {
  Tensors all = spread(grads, watched_outputs_, output_count_);
  const std::shared_ptr<Module> module = module_.lock();
  if (!module) return grads;
  if (pre_hooks_) {
    for (const auto& entry : *pre_hooks_) {
      std::optional<Tensors> replaced = entry.hook(*module, all);
      if (!replaced) continue;
      if (replaced->size() != all.size()) {
        fail("Backward pre hook returned an invalid number of grad_output, got ", replaced->size(), ", but expected ",
             all.size());
      }
      all = std::move(*replaced);
    }
  }
  if (hooks_ && !watched_inputs_.empty()) kept_for_pass(this) = all;
  if (hooks_ && watched_inputs_.empty()) {
    // No gradient leaves at the input: the hooks fire here and have nothing to replace.
    const Tensors none(input_count_);
    for (const auto& entry : *hooks_) {
      const std::optional<Tensors> replaced = entry.hook(*module, none, all);
      if (!replaced) continue;
      for (const Tensor& grad : *replaced) {
        if (grad.defined()) {
          fail(
              "Backward hook for Modules where no input requires gradient should always return None or None for all "
              "gradients.");
        }
      }
    }
  }
  return gather(all, watched_outputs_);
}

Tensors ModuleBackwardHooks::on_grad_input(Tensors grads) {
  const std::shared_ptr<Module> module = module_.lock();
  std::optional<Tensors>& grad_output = kept_for_pass(this);
  // A gradient that reached the input without passing the output (through a tensor kept aside) is none of ours.
  if (!module || !grad_output || !hooks_) return grads;
  Tensors all = spread(grads, watched_inputs_, input_count_);
  for (const auto& entry : *hooks_) {
    std::optional<Tensors> replaced = entry.hook(*module, all, *grad_output);
    if (!replaced) continue;
    if (replaced->size() != all.size()) {
      fail("Backward hook returned an invalid number of grad_input, got ", replaced->size(), ", but expected ",
           all.size());
    }
    all = std::move(*replaced);
  }
  grad_output.reset();
  return gather(all, watched_inputs_);
}

}  // namespace tapewire
