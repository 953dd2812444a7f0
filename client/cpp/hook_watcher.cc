#include "client/cpp/hook_watcher.h"

#include <utility>

#include "client/cpp/hook_watcher_impl.h"
#include "client/cpp/status.h"

namespace tapewire::client {

HookWatcher::Impl::Impl(std::shared_ptr<grpc::Channel> channel, const v1::WatchHooksRequest& request)
    : stub_(std::move(channel)), stream_(stub_.WatchHooks(&context_, request)) {
  stream_->WaitForInitialMetadata();  // the server watches now, or the stream has ended already
}

HookWatcher::Impl::~Impl() {
  cancel();
  if (!ended_) finish().IgnoreError();
}

absl::Status HookWatcher::Impl::finish() {
  const absl::Status status = to_status(stream_->Finish());
  ended_ = cancelled_ && absl::IsCancelled(status) ? absl::OkStatus() : status;
  return *ended_;
}

absl::StatusOr<std::optional<v1::HookEvent>> HookWatcher::Impl::next() {
  if (!ended_) {
    v1::WatchHooksResponse response;
    if (stream_->Read(&response)) return std::optional(std::move(*response.mutable_event()));
    finish().IgnoreError();  // kept in ended_
  }
  if (!ended_->ok()) return *ended_;
  return std::optional<v1::HookEvent>();
}

void HookWatcher::Impl::cancel() {
  cancelled_ = true;
  context_.TryCancel();
}

HookWatcher::HookWatcher(std::shared_ptr<grpc::Channel> channel, const v1::WatchHooksRequest& request)
    : impl_(std::make_unique<Impl>(std::move(channel), request)) {}
HookWatcher::HookWatcher(HookWatcher&&) noexcept = default;
HookWatcher& HookWatcher::operator=(HookWatcher&&) noexcept = default;
HookWatcher::~HookWatcher() = default;

absl::StatusOr<std::optional<v1::HookEvent>> HookWatcher::next() { return impl_->next(); }
void HookWatcher::cancel() { impl_->cancel(); }

}  // namespace tapewire::client
