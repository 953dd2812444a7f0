#include "core/tensor/row_major.h"

#include <cstring>

namespace tapewire {
namespace {

void copy_strided(const std::byte* from, std::byte* to, const Tensor& tensor) {
  const Shape& sizes = tensor.sizes();
  const Shape& strides = tensor.strides();
  const size_t item = tensor.itemsize();
  // The dimensions from `inner` on lie in one piece.
  size_t inner = sizes.size();
  int64_t run = 1;
  while (inner > 0 && (sizes[inner - 1] == 1 || strides[inner - 1] == run)) run *= sizes[--inner];
  const size_t run_bytes = static_cast<size_t>(run) * item;
  Shape index(inner, 0);
  int64_t offset = 0;
  for (int64_t left = tensor.numel() / run; left > 0; --left) {
    std::memcpy(to, from + offset * static_cast<int64_t>(item), run_bytes);
    to += run_bytes;
    for (size_t d = inner; d-- > 0;) {
      offset += strides[d];
      if (++index[d] < sizes[d]) break;
      offset -= strides[d] * sizes[d];
      index[d] = 0;
    }
  }
}

}  // namespace

Tensor row_major(const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  Tensor copy = Tensor::empty(tensor.sizes(), tensor.dtype());
  if (tensor.numel() > 0) {
    copy_strided(static_cast<const std::byte*>(tensor.raw_data()), static_cast<std::byte*>(copy.mutable_raw_data()),
                 tensor);
  }
  return copy;
}

}  // namespace tapewire
