#include "core/autograd/saved_tensor.h"

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"

namespace tapewire {

SavedTensor::SavedTensor(const Tensor& x, bool is_output) : is_output_(is_output) {
  if (!x.defined()) return;
  if (x.is_inference()) {
    fail_precondition(
        "Inference tensors cannot be saved for backward. To work around you can make a clone to get a normal tensor "
        "and "
        "use it in autograd.");
  }
  version_ = x.version();
  output_nr_ = x.autograd().output_nr;
  if (!is_output && is_leaf(x) && x.requires_grad()) {
    // It cannot be changed in place into a non-leaf.
    leaf_ = x;
    return;
  }
  // Not x itself: an in-place op may give it another history later, which must not be held from here.
  if (!is_output) grad_fn_ = grad_fn(x);
  storage_ = x.storage_ref();
  geometry_ = x.geometry();
  dtype_ = x.dtype();
  is_number_ = x.is_wrapped_number();
}

Tensor SavedTensor::unpack(const Ref<Node>& owner) const {
  if (released_) fail_second_backward();
  if (is_empty()) return {};
  const Ref<Node>& made_by = is_output_ ? owner : grad_fn_;
  Tensor x = leaf_.defined() ? leaf_ : Tensor(make_ref<TensorImpl>(storage_, dtype_, geometry_));
  if (x.version() != version_) {
    fail_precondition(
        "one of the variables needed for gradient computation has been modified by an inplace operation: [",
        to_string(x.spec()), "]",
        made_by ? str_cat(", which is output ", output_nr_, " of ", made_by->name(), ",") : std::string(),
        " is at version ", x.version(), "; expected version ", version_,
        " instead. Hint: enable anomaly detection to find the operation that failed to compute its gradient.");
  }
  if (made_by) set_history(x, made_by, output_nr_);
  return x;
}

void SavedTensor::release() {
  if (!is_empty()) released_ = true;
  leaf_ = Tensor();
  storage_ = nullptr;
  grad_fn_ = nullptr;
}

}  // namespace tapewire
