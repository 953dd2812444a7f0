#include "core/nn/clone.h"

#include <typeinfo>

#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/kernels/frozen.h"
#include "core/nn/registry.h"

namespace tapewire {
namespace {
thread_local CloneMemo* current_memo = nullptr;
}  // namespace

CloneMemo::CloneMemo() : previous_(current_memo) { current_memo = this; }
CloneMemo::~CloneMemo() { current_memo = previous_; }
CloneMemo* CloneMemo::current() { return current_memo; }

Tensor CloneMemo::copy(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  if (const auto found = tensors_.find(tensor.impl().get()); found != tensors_.end()) return found->second;
  if (!is_leaf(tensor)) {
    fail_precondition(
        "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.");
  }
  // The bytes are shared until one of the two writes.
  const Tensor made = frozen(tensor);
  set_requires_grad(made, tensor.requires_grad());
  tensors_.emplace(tensor.impl().get(), made);
  return made;
}

std::shared_ptr<Module> CloneMemo::copy(const std::shared_ptr<Module>& module) {
  if (!module) return nullptr;
  if (const auto found = modules_.find(module.get()); found != modules_.end()) return found->second;
  std::shared_ptr<Module> made = module->copy();
  modules_.emplace(module.get(), made);
  return made;
}

std::shared_ptr<Module> Module::clone() const {
  CloneMemo memo;
  return memo.copy(std::const_pointer_cast<Module>(shared_from_this()));
}

Module::Module(const Module& other)
    : std::enable_shared_from_this<Module>(other), training_(other.training_), path_(other.path_) {
  CloneMemo* memo = CloneMemo::current();
  if (memo == nullptr) fail_internal("a module was copied outside of clone()");
  for (const NamedTensor& p : other.parameters_) parameters_.push_back({p.name, memo->copy(p.tensor)});
  for (const Buffer& b : other.buffers_) buffers_.push_back({b.name, memo->copy(b.tensor), b.persistent});
  for (const NamedModule& child : other.children_) children_.push_back({child.name, memo->copy(child.module)});
}

std::shared_ptr<Module> Module::copy() const {
  const ModuleDef* def = find_module(type());
  if (def == nullptr || *def->class_id != typeid(*this) || def->copy == nullptr) {
    fail_with(absl::StatusCode::kUnimplemented, "clone() has not been implemented for ", type(),
              ". Register the class, or override copy().");
  }
  return def->copy(*this);
}

}  // namespace tapewire
