#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>
#include <memory>
#include <optional>

#include "client/cpp/hook_watcher.h"
#include "tapewire/v1/hook_service.grpc.pb.h"

namespace tapewire::client {

/// Private to the library.
class HookWatcher::Impl {
 public:
  Impl(std::shared_ptr<grpc::Channel> channel, const v1::WatchHooksRequest& request);
  ~Impl();

  absl::StatusOr<std::optional<v1::HookEvent>> next();
  void cancel();

 private:
  absl::Status finish();

  v1::HookService::Stub stub_;
  std::atomic<bool> cancelled_ = false;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchHooksResponse>> stream_;
  // Of the reading thread.
  std::optional<absl::Status> ended_;
};

}  // namespace tapewire::client
