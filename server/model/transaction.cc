#include "server/model/transaction.h"

#include <algorithm>

#include "core/autograd/meta.h"

namespace tapewire {

namespace {

// Whoever writes to bytes that are shared gets bytes of its own.
bool is_written(const Tensor& tensor, const Ref<Buffer>& before) {
  return tensor.storage().share_buffer().get() != before.get();
}

}  // namespace

ModelState::Transaction::Transaction(ModelState& model) : model_(model), random_(model.generator_.state()) {
  for (const NamedTensor& b : model.buffers_) buffers_.push_back({b.tensor, b.tensor.storage().share_buffer()});
  for (const NamedTensor& p : model.parameters_) {
    parameters_.push_back({p.tensor, p.tensor.storage().share_buffer()});
    Tensor grad = gradient(p.tensor);
    Ref<Buffer> bytes = grad.defined() ? grad.storage().share_buffer() : nullptr;
    gradients_.push_back({std::move(grad), std::move(bytes)});
  }
}

ModelState::Transaction::~Transaction() {
  if (committed_) return;
  model_.generator_.set_state(random_);
  restore_values();
  restore_gradients();
}

void ModelState::Transaction::commit(bool parameters_changed) {
  committed_ = true;
  const auto written = [](const Saved& saved) { return is_written(saved.tensor, saved.bytes); };
  if (!parameters_changed && std::ranges::none_of(buffers_, written) && std::ranges::none_of(parameters_, written)) {
    return;
  }
  ++model_.parameter_version_;
  model_.changed_ = true;
}

// Those that the call itself wrote have bytes of their own already, and can still be put back.
void ModelState::Transaction::release_parameters() {
  std::erase_if(parameters_, [](const Saved& saved) { return !is_written(saved.tensor, saved.bytes); });
}

void ModelState::Transaction::restore_values() {
  for (const auto* list : {&parameters_, &buffers_}) {
    for (const Saved& saved : *list) saved.tensor.storage().replace_buffer(saved.bytes);
  }
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
