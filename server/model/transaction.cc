#include "server/model/transaction.h"

#include <algorithm>

#include "core/autograd/meta.h"

namespace tapewire {

ModelState::Transaction::Transaction(ModelState& model) : model_(model), random_(model.generator_.state()) {
  for (const NamedTensor& b : model.buffers_) buffers_.push_back({b.tensor, b.tensor.storage().share_buffer()});
  for (const NamedTensor& p : model.parameters_) {
    Tensor grad = gradient(p.tensor);
    Ref<Buffer> bytes = grad.defined() ? grad.storage().share_buffer() : nullptr;
    gradients_.push_back({std::move(grad), std::move(bytes)});
  }
}

ModelState::Transaction::~Transaction() {
  if (committed_) return;
  model_.generator_.set_state(random_);
  restore_buffers();
  restore_gradients();
}

void ModelState::Transaction::commit(bool parameters_changed) {
  committed_ = true;
  // Whoever writes to bytes that are shared gets bytes of its own.
  const bool buffers_changed = std::ranges::any_of(
      buffers_, [](const Saved& saved) { return saved.tensor.storage().share_buffer().get() != saved.bytes.get(); });
  if (!parameters_changed && !buffers_changed) return;
  ++model_.parameter_version_;
  model_.changed_ = true;
}

void ModelState::Transaction::restore_buffers() {
  for (const Saved& saved : buffers_) saved.tensor.storage().replace_buffer(saved.bytes);
}

void ModelState::Transaction::restore_gradients() {
  for (size_t i = 0; i < gradients_.size(); ++i) {
    if (gradients_[i].tensor.defined()) gradients_[i].tensor.storage().replace_buffer(gradients_[i].bytes);
    set_gradient(model_.parameters_[i].tensor, gradients_[i].tensor);
  }
}

ModelState::ModeScope::ModeScope(ModelState& model, std::optional<bool> training) : model_(model) {
  if (!training) return;
  for (const NamedModule& m : model.modules_) {
    before_.push_back(m.module->training());
    m.module->set_training_flag(*training);
  }
}

ModelState::ModeScope::~ModeScope() {
  for (size_t i = 0; i < before_.size(); ++i) model_.modules_[i].module->set_training_flag(before_[i]);
}

}  // namespace tapewire
