#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/model/cancel_source.h"

namespace tapewire::rpc {

/// A call, as its handler sees it. Lives as long as somebody works for it.
class CallContext {
 public:
  /// `method` outlives the call.
  CallContext(std::string_view method, std::string peer, CancelToken::Clock::time_point deadline)
      : method_(method), peer_(std::move(peer)), cancel_(std::make_shared<CancelSource>(deadline)) {}

  /// "tapewire.v1.ModelService/CreateModel".
  std::string_view method() const { return method_; }
  /// The client's address, as gRPC writes it: "ipv4:127.0.0.1:40000".
  const std::string& peer() const { return peer_; }
  /// Cancelled when the client goes away or cancels, when its deadline passes, and when the server stops.
  const std::shared_ptr<CancelSource>& cancel() const { return cancel_; }

 private:
  std::string_view method_;
  std::string peer_;
  std::shared_ptr<CancelSource> cancel_;
};

using Context = std::shared_ptr<CallContext>;

}  // namespace tapewire::rpc
