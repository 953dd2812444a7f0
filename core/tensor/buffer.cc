#include "core/tensor/buffer.h"

#include <new>

#include "core/tensor/allocator.h"

namespace tapewire {
namespace {
constexpr size_t kHeader = CachingAllocator::kHeader;
}  // namespace

Ref<Buffer> Buffer::allocate(size_t bytes) {
  static_assert(sizeof(Buffer) <= kHeader);
  auto* block = static_cast<std::byte*>(tensor_allocator().allocate(kHeader + bytes));
  return Ref<Buffer>::adopt(new (block) Buffer(block + kHeader, bytes, nullptr));
}

Ref<Buffer> Buffer::adopt(std::byte* data, size_t bytes, std::shared_ptr<void> owner) {
  tensor_allocator().count_adopted(bytes);
  auto* block = static_cast<std::byte*>(tensor_allocator().allocate(kHeader));
  return Ref<Buffer>::adopt(new (block) Buffer(data, bytes, std::move(owner)));
}

void Buffer::destroy() {
  const bool adopted = owner_ != nullptr;
  const size_t bytes = size_;
  this->~Buffer();
  if (adopted) tensor_allocator().uncount_adopted(bytes);
  tensor_allocator().deallocate(this, kHeader + (adopted ? 0 : bytes));
}

}  // namespace tapewire
