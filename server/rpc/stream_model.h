#pragma once

#include <memory>
#include <utility>

#include "server/model/live_model.h"
#include "server/rpc/call_context.h"

namespace tapewire::rpc {

/// The model that a stream works on, from its first message on. The stream ends with NOT_FOUND when the model is
/// deleted, also while its client sends nothing. One thread at a time.
class StreamModel {
 public:
  explicit StreamModel(Context call) : call_(std::move(call)) {}
  ~StreamModel() {
    if (model_) model_->forget_close(on_close_);
  }
  StreamModel(const StreamModel&) = delete;
  StreamModel& operator=(const StreamModel&) = delete;

  /// REQUIRES: called once.
  void set(std::shared_ptr<LiveModel> model) {
    model_ = std::move(model);
    on_close_ =
        model_->on_close([cancel = call_->cancel(), status = model_->closed_status()] { cancel->cancel(status); });
  }
  explicit operator bool() const { return model_ != nullptr; }
  LiveModel* operator->() const { return model_.get(); }
  const std::shared_ptr<LiveModel>& handle() const { return model_; }

 private:
  const Context call_;
  std::shared_ptr<LiveModel> model_;
  uint64_t on_close_ = 0;
};

}  // namespace tapewire::rpc
