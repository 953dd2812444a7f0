#include "core/tensor/storage.h"

#include <cstring>

#include "core/base/error.h"

namespace tapewire {

void Storage::detach_buffer() {
  Ref<Buffer> copy = Buffer::allocate(buffer_->size());
  if (copy->size() > 0) std::memcpy(copy->data(), data(), copy->size());
  buffer_ = std::move(copy);
}

void Storage::replace_buffer(Ref<Buffer> buffer) {
  if (buffer->size() != buffer_->size() && buffer->size() != 0 && buffer_->size() != 0) {
    fail_internal("replace_buffer: ", buffer->size(), " bytes for a storage of ", buffer_->size());
  }
  buffer_ = std::move(buffer);
}

}  // namespace tapewire
