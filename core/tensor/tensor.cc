#include "core/tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_join.h"
#include "core/base/cancel.h"

namespace tapewire {
namespace {
thread_local bool making_inference_tensors = false;
}  // namespace

bool inference_mode_enabled() { return making_inference_tensors; }
bool set_inference_mode(bool enabled) { return std::exchange(making_inference_tensors, enabled); }

TensorImpl::TensorImpl(Ref<Storage> s, DType d, Geometry g)
    : storage(std::move(s)),
      geometry(std::move(g)),
      numel(numel_of(geometry.sizes)),
      dtype(d),
      contiguous(tapewire::is_contiguous(geometry.sizes, geometry.strides)),
      inference(inference_mode_enabled()) {}

Tensor Tensor::empty(Ints sizes, DType dtype) {
  const auto bytes = static_cast<size_t>(numel_of(sizes)) * size_of(dtype);
  return over(Buffer::allocate(bytes), sizes, dtype);
}

Tensor Tensor::over(Ref<Buffer> buffer, Ints sizes, DType dtype) {
  Geometry geometry{Shape(sizes.begin(), sizes.end()), contiguous_strides(sizes), 0};
  auto impl = make_ref<TensorImpl>(make_ref<Storage>(std::move(buffer)), dtype, std::move(geometry));
  if (impl->storage->size() != static_cast<size_t>(impl->numel) * size_of(dtype)) {
    fail_internal("over: ", impl->storage->size(), " bytes for ", name_of(dtype), to_string(sizes));
  }
  return Tensor(std::move(impl));
}

Tensor Tensor::zeros(Ints sizes, DType dtype) {
  Tensor out = empty(sizes, dtype);
  if (out.numel() == 0) return out;
  auto* to = static_cast<std::byte*>(out.mutable_raw_data());
  in_pieces(static_cast<int64_t>(out.nbytes()),
            [to](int64_t begin, int64_t end) { std::memset(to + begin, 0, static_cast<size_t>(end - begin)); });
  return out;
}

Tensor Tensor::full(Ints sizes, Scalar value, DType dtype) {
  Tensor out = empty(sizes, dtype);
  dispatch_all(dtype, [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    const T number = value.to<T>();
    in_pieces(out.numel(), [&](int64_t begin, int64_t end) { std::fill(to + begin, to + end, number); });
  });
  return out;
}

Tensor Tensor::scalar(Scalar value, DType dtype) { return full(Ints{}, value, dtype); }

Tensor Tensor::wrapped(Scalar value) {
  // A Python float is a double that only counts as "some floating type".
  return wrapped(value, value.is_float() ? DType::kFloat64 : dtype_of(value));
}

Tensor Tensor::wrapped(Scalar value, DType dtype) {
  Tensor out = scalar(value, dtype);
  out.impl_->wrapped_number = true;
  return out;
}

template <class T>
Tensor Tensor::of(std::span<const T> values, Ints sizes) {
  Tensor out = empty(sizes, dtype_for<T>());
  if (static_cast<int64_t>(values.size()) != out.numel()) {
    fail("shape ", to_string(sizes), " holds ", out.numel(), " elements, got ", values.size());
  }
  std::ranges::copy(values, out.mutable_data<T>());
  return out;
}

int64_t Tensor::size(int64_t d) const {
  if (dim() == 0) fail("Dimension specified as ", d, " but tensor has no dimensions");
  return sizes()[static_cast<size_t>(wrap_dim("size", d, dim()))];
}

Scalar Tensor::item_scalar() const {
  if (numel() != 1) fail("a Tensor with ", numel(), " elements cannot be converted to Scalar");
  return dispatch_all(dtype(), [&]<class T>(TypeTag<T>) -> Scalar {
    const T value = *data<T>();
    if constexpr (std::is_same_v<T, bool>) {
      return value;
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(value);
    } else {
      return static_cast<int64_t>(value);
    }
  });
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  std::vector<T> out;
  out.reserve(static_cast<size_t>(numel()));
  dispatch_all(dtype(), [&]<class E>(TypeTag<E>) {
    const E* first = data<E>();
    const auto walk = [&](auto&& self, size_t d, int64_t at) -> void {
      if (d == sizes().size()) {
        out.push_back(static_cast<T>(first[at]));
        return;
      }
      for (int64_t i = 0; i < sizes()[d]; ++i) self(self, d + 1, at + i * strides()[d]);
    };
    walk(walk, 0, 0);
  });
  return out;
}

Tensor Tensor::alias(Geometry geometry) const {
  auto impl = make_ref<TensorImpl>(impl_->storage, dtype(), std::move(geometry));
  impl->inference = impl_->inference;
  return Tensor(std::move(impl));
}

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "none";
  constexpr size_t kMostShown = 64;
  std::vector<double> values = tensor.to_vector<double>();
  const bool cut = values.size() > kMostShown;
  if (cut) values.resize(kMostShown);
  return str_cat(to_string(tensor.spec()), "{", absl::StrJoin(values, ", "), cut ? ", ..." : "", "}");
}

#define TW_INSTANTIATE(T)                                  \
  template Tensor Tensor::of<T>(std::span<const T>, Ints); \
  template std::vector<T> Tensor::to_vector<T>() const;
TW_INSTANTIATE(float)
TW_INSTANTIATE(double)
TW_INSTANTIATE(int64_t)
TW_INSTANTIATE(int32_t)
TW_INSTANTIATE(uint8_t)
TW_INSTANTIATE(bool)
#undef TW_INSTANTIATE

}  // namespace tapewire
