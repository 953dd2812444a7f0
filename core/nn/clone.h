#pragma once

#include <memory>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "core/tensor/tensor.h"

namespace tapewire {

class Module;

/// What one Module::clone() has copied so far: whatever several parts of the tree share is copied once. Current on its
/// thread while it lives.
class CloneMemo {
 public:
  CloneMemo();
  ~CloneMemo();
  CloneMemo(const CloneMemo&) = delete;
  CloneMemo& operator=(const CloneMemo&) = delete;

  /// The innermost of this thread, or nullptr.
  static CloneMemo* current();

  /// The copy that stands for a tensor (of a module), made if there is none yet; undefined (null) for none. Throws for
  /// a tensor that is no leaf, as copy.deepcopy does.
  Tensor copy(const Tensor& tensor);
  std::shared_ptr<Module> copy(const std::shared_ptr<Module>& module);
  template <class M>
  std::shared_ptr<M> copy(const std::shared_ptr<M>& module) {
    return std::static_pointer_cast<M>(copy(std::shared_ptr<Module>(module)));
  }

 private:
  std::unordered_map<const TensorImpl*, Tensor> tensors_;
  std::unordered_map<const Module*, std::shared_ptr<Module>> modules_;
  CloneMemo* previous_;
};

/// A member of a layer that is also registered: Member<Tensor> for a parameter or buffer, Member<std::shared_ptr<M>>
/// for a child. It is a T in every respect, except that a copy of it that clone() makes is the clone's: so the copy
/// constructor that a layer has without a line of its own copies it right.
template <class T>
class Member final : public T {
 public:
  Member() = default;
  Member(T value) : T(std::move(value)) {}
  Member(const Member& other) : T(copied(other)) {}
  Member(Member&&) noexcept = default;
  Member& operator=(const Member&) = default;
  Member& operator=(Member&&) noexcept = default;
  ~Member() = default;

 private:
  static T copied(const T& value) {
    CloneMemo* memo = CloneMemo::current();
    return memo == nullptr ? value : memo->copy(value);
  }
};

}  // namespace tapewire
