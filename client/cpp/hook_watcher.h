#pragma once

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tapewire/v1/hook_service.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace tapewire::client {

/// A stream of hook events. One thread reads; any thread may cancel.
class HookWatcher {
 public:
  HookWatcher(std::shared_ptr<grpc::Channel> channel, const v1::WatchHooksRequest& request);
  HookWatcher(HookWatcher&&) noexcept;
  HookWatcher& operator=(HookWatcher&&) noexcept;
  ~HookWatcher();

  /// The next event; waits for it. Nothing when the stream was cancelled here or ended by the server (the model was
  /// deleted); an error if it broke.
  absl::StatusOr<std::optional<v1::HookEvent>> next();

  /// Ends the stream: next() returns, now and later. May be called again.
  void cancel();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tapewire::client
