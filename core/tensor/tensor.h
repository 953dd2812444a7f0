#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/ref.h"
#include "core/base/scalar.h"
#include "core/tensor/shape.h"
#include "core/tensor/storage.h"

namespace tapewire {

/// Base of the nodes that autograd/ records; tensor/ only holds them.
class GraphNode : public RefCounted<GraphNode> {
 public:
  virtual ~GraphNode() = default;
  virtual void destroy() { delete this; }

 protected:
  GraphNode() = default;
};

/// Base of what autograd/ keeps of leaves, views and hooked tensors.
struct AutogradExtra {
  virtual ~AutogradExtra() = default;
  /// True for a view whose base has a history or is a leaf that needs a gradient.
  virtual bool base_requires_grad() const { return false; }
};

/// Autograd's corner of a tensor. Only autograd/ writes it.
struct AutogradSlot {
  Ref<GraphNode> grad_fn;
  uint32_t output_nr = 0;
  bool requires_grad = false;  // of a leaf
  std::unique_ptr<AutogradExtra> extra;
};

/// Where a tensor's elements lie in its storage: sizes, strides and offset in elements.
struct Geometry {
  Shape sizes;
  Shape strides;
  int64_t offset = 0;
};

/// Whether new tensors of this thread are inference tensors; set by autograd's InferenceModeGuard.
bool inference_mode_enabled();
/// Returns what it was.
bool set_inference_mode(bool enabled);

/// What a Tensor handle points to.
struct TensorImpl : RefCounted<TensorImpl> {
  TensorImpl(Ref<Storage> s, DType d, Geometry g);

  Ref<Storage> storage;
  Geometry geometry;
  int64_t numel;
  DType dtype;
  bool contiguous;
  bool inference;               // made in inference mode: never part of a tape
  bool wrapped_number = false;  // made of a Python number: yields to tensors in type promotion
  AutogradSlot autograd;

  void destroy() { delete this; }
};

/// An n-dimensional array: a handle, cheap to copy; copies are the same tensor. A default-constructed one is undefined:
/// it stands for "none". Strided, row-major when made; views share their base's storage.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  /// Uninitialised. Throws for sizes that numel_of refuses and when memory is out.
  static Tensor empty(Ints sizes, DType dtype = DType::kFloat32);
  static Tensor zeros(Ints sizes, DType dtype = DType::kFloat32);
  static Tensor full(Ints sizes, Scalar value, DType dtype = DType::kFloat32);
  /// Of shape []. The dtype is that of the number when not given.
  static Tensor scalar(Scalar value, DType dtype);
  static Tensor scalar(Scalar value) { return scalar(value, dtype_of(value)); }
  /// A 0-d tensor that yields to other operands in type promotion, as a Python number does.
  static Tensor wrapped(Scalar value);
  /// The same in the dtype that promotion found for it.
  static Tensor wrapped(Scalar value, DType dtype);
  /// A copy of `values`. REQUIRES: as many as `sizes` hold.
  template <class T>
  static Tensor of(std::span<const T> values, Ints sizes);
  template <class T>
  static Tensor of(std::initializer_list<T> values, std::initializer_list<int64_t> sizes) {
    return of<T>(std::span<const T>(values.begin(), values.size()), Ints(sizes.begin(), sizes.size()));
  }
  template <class T>
  static Tensor of(std::initializer_list<T> values) {
    return of<T>(values, {static_cast<int64_t>(values.size())});
  }
  /// Row-major over bytes that already exist. REQUIRES: the buffer holds exactly the shape's bytes.
  static Tensor over(Ref<Buffer> buffer, Ints sizes, DType dtype);
  static Tensor empty(std::initializer_list<int64_t> sizes, DType dtype = DType::kFloat32) {
    return empty(Ints(sizes.begin(), sizes.size()), dtype);
  }
  static Tensor zeros(std::initializer_list<int64_t> sizes, DType dtype = DType::kFloat32) {
    return zeros(Ints(sizes.begin(), sizes.size()), dtype);
  }
  static Tensor full(std::initializer_list<int64_t> sizes, Scalar value, DType dtype = DType::kFloat32) {
    return full(Ints(sizes.begin(), sizes.size()), value, dtype);
  }

  bool defined() const { return static_cast<bool>(impl_); }
  explicit operator bool() const { return defined(); }
  /// The same tensor (not: equal values).
  bool is_same(const Tensor& other) const { return impl_ == other.impl_; }

  const Shape& sizes() const { return impl_->geometry.sizes; }
  const Shape& strides() const { return impl_->geometry.strides; }
  const Geometry& geometry() const { return impl_->geometry; }
  int64_t offset() const { return impl_->geometry.offset; }
  int64_t dim() const { return static_cast<int64_t>(impl_->geometry.sizes.size()); }
  /// The size of one dimension; negative ones count from the end.
  int64_t size(int64_t dim) const;
  int64_t numel() const { return impl_->numel; }
  DType dtype() const { return impl_->dtype; }
  size_t itemsize() const { return size_of(impl_->dtype); }
  size_t nbytes() const { return static_cast<size_t>(impl_->numel) * itemsize(); }
  bool is_contiguous() const { return impl_->contiguous; }
  /// Made in inference mode, or a view of such a tensor.
  bool is_inference() const { return impl_->inference; }
  bool is_wrapped_number() const { return impl_->wrapped_number; }
  TensorSpec spec() const { return {dtype(), sizes()}; }

  /// The first element; the rest lie by strides(). REQUIRES: T is the dtype's type.
  template <class T>
  const T* data() const {
    check_type(dtype_for<T>());
    return static_cast<const T*>(raw_data());
  }
  /// For writing. Does not raise the version: that is the op's business.
  template <class T>
  T* mutable_data() const {
    check_type(dtype_for<T>());
    return static_cast<T*>(mutable_raw_data());
  }
  const void* raw_data() const {
    return std::as_const(*impl_->storage).data() + static_cast<size_t>(offset()) * itemsize();
  }
  void* mutable_raw_data() const { return impl_->storage->mutable_data() + static_cast<size_t>(offset()) * itemsize(); }

  /// The one element, converted. Throws when there is not exactly one.
  template <class T>
  T item() const {
    return item_scalar().to<T>();
  }
  Scalar item_scalar() const;
  /// All elements in row-major order, converted.
  template <class T>
  std::vector<T> to_vector() const;

  Storage& storage() const { return *impl_->storage; }
  const Ref<Storage>& storage_ref() const { return impl_->storage; }
  uint32_t version() const { return impl_->storage->version(); }
  /// Another tensor on the same storage (and version counter), without history.
  Tensor alias(Geometry geometry) const;
  Tensor alias() const { return alias(geometry()); }

  /// A leaf that gradients accumulate in, or the result of an op on one.
  bool requires_grad() const {
    const AutogradSlot& slot = impl_->autograd;
    return slot.requires_grad || slot.grad_fn || (slot.extra != nullptr && slot.extra->base_requires_grad());
  }
  AutogradSlot& autograd() const { return impl_->autograd; }

  const Ref<TensorImpl>& impl() const { return impl_; }

 private:
  void check_type(DType asked) const {
    if (asked != dtype()) fail_internal("data<", name_of(asked), "> of a tensor of ", name_of(dtype()));
  }

  Ref<TensorImpl> impl_;
};

/// A few tensors without heap.
using Tensors = absl::InlinedVector<Tensor, 4>;

/// A parameter by its path, an input by its name.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Values with shape and dtype, long ones cut, for messages and tests.
std::string to_string(const Tensor& tensor);

}  // namespace tapewire
