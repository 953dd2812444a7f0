#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

// What a count synchronises, for a sanitizer that does not see this code: cmake/uninstrumented.h says it.
#ifndef TAPEWIRE_HAPPENS_BEFORE
#define TAPEWIRE_HAPPENS_BEFORE(address)
#define TAPEWIRE_HAPPENS_AFTER(address)
#endif

namespace tapewire {

/// Base of objects counted from within. A new object has one owner, the Ref that `make_ref` returns.
/// `Derived` may shadow `destroy()` to say how the last Ref lets it go.
template <class Derived>
class RefCounted {
 public:
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void retain() const { count_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    TAPEWIRE_HAPPENS_BEFORE(&count_);
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      TAPEWIRE_HAPPENS_AFTER(&count_);
      const_cast<Derived*>(static_cast<const Derived*>(this))->destroy();
    }
  }
  /// Takes part in the ownership unless the last Ref has gone: for a pointer that does not own.
  bool try_retain() const {
    uint32_t count = count_.load(std::memory_order_relaxed);
    while (count != 0) {
      if (count_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  /// True when the caller holds the only Ref; whatever other owners did before they let go is then visible.
  bool unique() const { return count_.load(std::memory_order_acquire) == 1; }
  uint32_t use_count() const { return count_.load(std::memory_order_acquire); }

 protected:
  RefCounted() = default;
  ~RefCounted() = default;
  void destroy() { delete static_cast<Derived*>(this); }

 private:
  mutable std::atomic<uint32_t> count_{1};
};

/// An owning handle of a RefCounted object; may be empty.
template <class T>
class Ref {
 public:
  constexpr Ref() = default;
  constexpr Ref(std::nullptr_t) {}
  Ref(const Ref& other) : ptr_(other.ptr_) {
    if (ptr_ != nullptr) ptr_->retain();
  }
  Ref(Ref&& other) noexcept : ptr_(std::exchange(other.ptr_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  Ref(Ref<U> other) : ptr_(other.detach()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(ptr_, other.ptr_);
    return *this;
  }
  ~Ref() {
    if (ptr_ != nullptr) ptr_->release();
  }

  /// Takes over one count that the caller owns.
  static Ref adopt(T* ptr) {
    Ref ref;
    ref.ptr_ = ptr;
    return ref;
  }
  /// One more owner of an object that lives.
  static Ref share(T* ptr) {
    if (ptr != nullptr) ptr->retain();
    return adopt(ptr);
  }
  /// Gives the count to the caller.
  T* detach() { return std::exchange(ptr_, nullptr); }

  T* get() const { return ptr_; }
  T& operator*() const { return *ptr_; }
  T* operator->() const { return ptr_; }
  explicit operator bool() const { return ptr_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) { return a.ptr_ == b.ptr_; }

 private:
  T* ptr_ = nullptr;
};

template <class T, class... Args>
Ref<T> make_ref(Args&&... args) {
  return Ref<T>::adopt(new T(std::forward<Args>(args)...));
}

}  // namespace tapewire
