#pragma once

#include "core/autograd/node.h"

namespace tapewire {

/// A tensor that a node keeps for backward, with the version it had. Holds no reference cycle: an output of the node
/// itself is kept without history and gets it back on unpack.
class SavedTensor {
 public:
  SavedTensor() = default;
  /// Keeps `x`. `is_output`: it is what the saving node put out.
  SavedTensor(const Tensor& x, bool is_output);

  /// The tensor as it was, with its history; `owner` is the saving node. Undefined when none was saved. Throws
  /// FAILED_PRECONDITION when it was changed in place since, or released.
  Tensor unpack(const Ref<Node>& owner) const;
  /// Whether it was a Python number. What unpack() gives is a tensor all the same: among numbers alone it would count
  /// as a float32.
  bool is_number() const { return is_number_; }
  void release();
  const Storage* storage() const { return leaf_.defined() ? &leaf_.storage() : storage_.get(); }

 private:
  bool is_empty() const { return !leaf_.defined() && !storage_; }

  Tensor leaf_;  // a leaf that requires a gradient, itself: its identity is where gradients accumulate
  // Of any other tensor what it takes to make a handle again; none is kept, since that costs an allocation an op.
  Ref<Storage> storage_;
  Geometry geometry_;
  DType dtype_ = DType::kFloat32;
  Ref<Node> grad_fn_;  // of an input that is no leaf
  uint32_t output_nr_ = 0;
  uint32_t version_ = 0;
  bool is_output_ = false;
  bool is_number_ = false;
  bool released_ = false;
};

}  // namespace tapewire
