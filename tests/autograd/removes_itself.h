#pragma once

#include <memory>
#include <utility>

#include "core/autograd/hooks.h"

namespace tapewire {

/// A hook that removes itself when it fires, and sees whether what it holds outlives that. Outlives the hook.
class RemovesItself {
 public:
  /// Calls `add(fire)`, which registers a hook that calls fire() and gives its handle.
  template <class Add>
  void add(Add&& add) {
    auto held = std::make_shared<int>();
    held_ = held;
    handle_ = add([this, held = std::move(held)] { fire(this); });
  }
  bool fired() const { return fired_; }
  /// The hook was not destroyed while it ran.
  bool stayed_whole() const { return stayed_whole_; }

 private:
  static void fire(RemovesItself* self) {
    self->fired_ = true;
    self->handle_.remove();
    self->stayed_whole_ = !self->held_.expired();
  }

  HookHandle handle_;
  std::weak_ptr<int> held_;
  bool fired_ = false;
  bool stayed_whole_ = false;
};

}  // namespace tapewire
