#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "core/tensor/buffer.h"

namespace tapewire {

/// What aliases and views of one tensor share: a Buffer and the version counter that in-place changes raise.
/// One thread at a time may write; the engine's users (a model's strand) see to that.
class Storage : public RefCounted<Storage> {
 public:
  explicit Storage(Ref<Buffer> buffer) : buffer_(std::move(buffer)) {}

  const std::byte* data() const { return std::as_const(*buffer_).data(); }
  /// For writing: a Buffer that others hold too is copied first, so they keep what they saw.
  std::byte* mutable_data() {
    if (!buffer_->unique()) detach_buffer();
    return buffer_->data();
  }
  size_t size() const { return buffer_->size(); }

  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }

  /// A share of the bytes as they are now: later writes here do not reach it.
  Ref<Buffer> share_buffer() const { return buffer_; }
  /// Puts other bytes in place, as a restore does. REQUIRES: the same size; or no bytes, which lets those go that are
  /// here: then whoever uses the storage next puts bytes of the right size back first.
  void replace_buffer(Ref<Buffer> buffer);

 private:
  void detach_buffer();

  Ref<Buffer> buffer_;
  std::atomic<uint32_t> version_{0};
};

}  // namespace tapewire
