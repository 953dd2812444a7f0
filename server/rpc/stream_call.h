#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/base/mutex.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/rpc/call.h"

namespace tapewire::rpc {

/// A streaming call, from its arrival to OnDone. All that happens to it (messages, answers, cancellation) is an event;
/// events run one at a time, on whatever thread posted them, so what derives from this needs no lock. Every kind of
/// stream is served as a bidirectional one: on the wire they are the same.
class StreamCall : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                   public std::enable_shared_from_this<StreamCall> {
 public:
  using Event = absl::AnyInvocable<void()>;
  using Factory = std::function<std::shared_ptr<StreamCall>(const grpc::CallbackServerContext&)>;

  StreamCall(const Environment& environment, const MethodInfo& method, const grpc::CallbackServerContext& call)
      : record_(environment, method, make_context(method, call)), call_(call) {}

  /// For gRPC. The call keeps itself until OnDone.
  static grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* start(const std::shared_ptr<StreamCall>& call);

  const Context& context() const { return record_.context(); }
  const Environment& environment() const { return record_.environment(); }
  /// Runs `event` in turn: now, or after those that run. From any thread.
  void post(Event event) TW_EXCLUDES(mutex_);

 protected:
  // The following run as events, and call each other only so.
  virtual void started() = 0;
  /// The client sends nothing more. A cancelled or broken stream does not come here.
  virtual void half_closed() {}
  /// The client may take another message.
  virtual void written() {}
  /// context()->cancel() has been told. Unless somebody still works for the call, this must end() it.
  virtual void cancelled() = 0;
  /// Nothing will happen any more: drop what holds this call.
  virtual void ended() {}
  /// A message came: runs beside events, to decode; what it returns is the event.
  virtual Event received(grpc::ByteBuffer message) = 0;

  /// Sends the initial metadata now, and not with the first message. REQUIRES: called once, before any write().
  void announce() {
    if (!ending_) StartSendInitialMetadata();
  }
  /// Asks for one message; does nothing while one is asked for or none can come.
  void read();
  /// Queues a message to be written. REQUIRES: the subclass bounds the queue by queued().
  void write(grpc::ByteBuffer message);
  /// Messages that are not on the wire yet.
  size_t queued() const { return out_.size() + (writing_ ? 1 : 0); }
  /// Ends the stream, after what is queued is written. The first status counts.
  void end(absl::Status status);
  bool ending() const { return ending_.has_value(); }
  bool is_half_closed() const { return half_closed_; }

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;
  void flush();

  CallRecord record_;
  const grpc::CallbackServerContext& call_;
  std::shared_ptr<StreamCall> self_;  // gRPC's share
  Mutex mutex_;
  std::vector<Event> mailbox_ TW_GUARDED_BY(mutex_);
  bool running_ TW_GUARDED_BY(mutex_) = false;
  // State of events:
  bool reading_ = false;
  bool writing_ = false;
  bool half_closed_ = false;
  bool finished_ = false;
  std::optional<absl::Status> ending_;
  std::deque<grpc::ByteBuffer> out_;
  grpc::ByteBuffer current_in_;
  grpc::ByteBuffer current_out_;
};

}  // namespace tapewire::rpc
