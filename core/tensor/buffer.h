#pragma once

#include <cstddef>
#include <memory>

#include "core/base/ref.h"

namespace tapewire {

/// Bytes, counted from within; shared by storages, snapshots, clones, checkpoints and adopted request bytes. Bytes that
/// more than one owner holds are never written: Storage::mutable_data() takes a copy first.
class Buffer : public RefCounted<Buffer> {
 public:
  /// Uninitialised, 64-byte aligned; header and bytes are one block.
  static Ref<Buffer> allocate(size_t bytes);
  /// Bytes that `owner` keeps alive (a request's payload). They count as tensor memory.
  static Ref<Buffer> adopt(std::byte* data, size_t bytes, std::shared_ptr<void> owner);

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  void destroy();

 private:
  Buffer(std::byte* data, size_t size, std::shared_ptr<void> owner)
      : data_(data), size_(size), owner_(std::move(owner)) {}
  ~Buffer() = default;

  std::byte* data_;
  size_t size_;
  std::shared_ptr<void> owner_;  // of adopted bytes
};

}  // namespace tapewire
