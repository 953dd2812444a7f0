#include "core/autograd/saved_tensor.h"

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"

namespace tapewire {

SavedTensor::SavedTensor(const Tensor& x, bool is_output) : is_output_(is_output) {
  if (!x.defined()) return;
  version_ = x.version();
  output_nr_ = x.autograd().output_nr;
  if (!is_output && is_leaf(x) && x.requires_grad()) {
    // A leaf keeps its identity: that is where gradients accumulate. It cannot be changed in place into a non-leaf.
    data_ = x;
    return;
  }
  // A second handle: an in-place op may give x another history later, which must not be held from here.
  if (!is_output) grad_fn_ = grad_fn(x);
  data_ = x.alias();
}

Tensor SavedTensor::unpack(const Ref<Node>& owner) const {
  if (released_) fail_second_backward();
  if (!data_.defined()) return {};
  const Ref<Node>& made_by = is_output_ ? owner : grad_fn_;
  if (data_.version() != version_) {
    fail_precondition(
        "one of the variables needed for gradient computation has been modified by an inplace operation: [",
        to_string(data_.spec()), "]",
        made_by ? str_cat(", which is output ", output_nr_, " of ", made_by->name(), ",") : std::string(),
        " is at version ", data_.version(), "; expected version ", version_,
        " instead. Hint: enable anomaly detection to find the operation that failed to compute its gradient.");
  }
  if (!made_by) return data_;
  Tensor x = data_.alias();
  set_history(x, made_by, output_nr_);
  return x;
}

void SavedTensor::release() {
  if (data_.defined()) released_ = true;
  data_ = Tensor();
  grad_fn_ = nullptr;
}

}  // namespace tapewire
