#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "server/model/caught.h"
#include "server/rpc/answer.h"
#include "server/rpc/stream_call.h"

namespace tapewire::rpc {

/// Gives a stream's messages one by one, none after the last. Asked when the client can take one, from any thread; what
/// it throws ends the stream. It should only encode: it may run on gRPC's threads.
template <class Response>
using MessageSource = absl::AnyInvocable<absl::StatusOr<std::optional<Response>>()>;

/// Answers one request with a source of messages (ReadState: a snapshot taken on the model's strand, then cut in
/// chunks).
template <class Request, class Response>
using ServerStreamHandler = std::function<void(const Context&, Request, Answer<MessageSource<Response>>)>;

/// A stream whose messages come when something happens. Copies are the same stream; all may be called from any thread
/// and after its end. When the last copy goes without finish(), the client gets INTERNAL.
class EventStream {
 public:
  /// What a stream does for its copies.
  class Target {
   public:
    virtual ~Target() = default;
    virtual void open(std::function<void()> ready) = 0;
    virtual void write(const grpc::ByteBuffer& message) = 0;
    virtual void finish(absl::Status status) = 0;
  };

  explicit EventStream(const std::shared_ptr<Target>& target)
      : target_(target.get(), [target](Target*) { target->finish(absl::InternalError("the stream was dropped")); }) {}

  /// Tells the client that the stream stands. From now on `ready` is called whenever the stream can take a message:
  /// once at first, and once after each that the client took; from any thread, and without waiting for anything. It is
  /// let go when the stream ends. REQUIRES: called once.
  void open(std::function<void()> ready) const { target_->open(std::move(ready)); }
  /// Sends a message, on the calling thread as far as the connection takes it at once. REQUIRES: one for each ready.
  void write(const grpc::ByteBuffer& message) const { target_->write(message); }
  /// Ends the stream, after what was written.
  void finish(absl::Status status) const { target_->finish(std::move(status)); }

 private:
  std::shared_ptr<Target> target_;
};

/// Answers one request with a stream of events. The stream ends by itself when context->cancel() is told.
template <class Request>
using EventStreamHandler = std::function<void(const Context&, Request, EventStream)>;

namespace detail {

/// A stream that begins with one request.
template <class Request>
class OneRequestCall : public StreamCall {
 public:
  using StreamCall::StreamCall;

 protected:
  virtual void requested(Request request) = 0;

  void started() override { read(); }
  void half_closed() override {
    if (!requested_) end(absl::InvalidArgumentError("expects one request, got none"));
  }
  Event received(grpc::ByteBuffer bytes) override {
    auto request = std::make_unique<Request>();
    absl::Status parsed = parse_message(bytes, *request, environment().limits);
    return [this, request = std::move(request), parsed = std::move(parsed)] {
      requested_ = true;
      if (!parsed.ok()) return end(parsed);
      try {
        requested(std::move(*request));
      } catch (...) {
        end(caught_status());
      }
    };
  }

 private:
  bool requested_ = false;
};

template <class Request, class Response>
class ServerStreamCall final : public OneRequestCall<Request> {
 public:
  ServerStreamCall(const Environment& environment, const MethodInfo& method, const grpc::CallbackServerContext& call,
                   ServerStreamHandler<Request, Response> handler)
      : OneRequestCall<Request>(environment, method, call), handler_(std::move(handler)) {}

 private:
  void requested(Request request) override {
    handed_ = true;
    auto self = std::static_pointer_cast<ServerStreamCall>(this->shared_from_this());
    handler_(this->context(), std::move(request),
             Answer<MessageSource<Response>>([self](absl::StatusOr<MessageSource<Response>> source) {
               self->post([self, source = std::move(source)]() mutable { self->answered(std::move(source)); });
             }));
  }
  void answered(absl::StatusOr<MessageSource<Response>> source) {
    handed_ = false;
    if (!source.ok()) return this->end(source.status());
    if (this->context()->cancel()->stopped()) return this->end(this->context()->cancel()->status());
    source_ = *std::move(source);
    written();
  }
  void written() override {
    while (!this->ending() && source_ && this->queued() == 0) {
      absl::StatusOr<std::optional<Response>> message = next();
      if (!message.ok()) return this->end(message.status());
      if (!message->has_value()) return this->end(absl::OkStatus());
      absl::StatusOr<grpc::ByteBuffer> bytes = serialize_message(**std::move(message), this->environment().limits);
      if (!bytes.ok()) return this->end(bytes.status());
      this->write(*std::move(bytes));
    }
  }
  absl::StatusOr<std::optional<Response>> next() {
    try {
      return source_();
    } catch (...) {
      return caught_status();
    }
  }
  void cancelled() override {
    if (!handed_) this->end(absl::CancelledError("the call was cancelled"));
  }
  void ended() override { source_ = nullptr; }

  ServerStreamHandler<Request, Response> handler_;
  MessageSource<Response> source_;
  bool handed_ = false;  // the handler owes an answer
};

template <class Request>
class EventStreamCall final : public OneRequestCall<Request>, public EventStream::Target {
 public:
  EventStreamCall(const Environment& environment, const MethodInfo& method, const grpc::CallbackServerContext& call,
                  EventStreamHandler<Request> handler)
      : OneRequestCall<Request>(environment, method, call), handler_(std::move(handler)) {}

  void open(std::function<void()> ready) override {
    this->post([this, ready = std::move(ready)]() mutable {
      if (this->ending()) return;
      ready_ = std::move(ready);
      this->announce();
      ready_();
    });
  }
  void write(const grpc::ByteBuffer& message) override {
    this->post([this, message] { StreamCall::write(message); });
  }
  void finish(absl::Status status) override {
    this->post([this, status = std::move(status)]() mutable { this->end(std::move(status)); });
  }

 private:
  void requested(Request request) override {
    auto self = std::static_pointer_cast<EventStreamCall>(this->shared_from_this());
    handler_(this->context(), std::move(request), EventStream(std::move(self)));
  }
  void written() override {
    if (ready_) ready_();
  }
  void cancelled() override { this->end(absl::CancelledError("the call was cancelled")); }
  // What it holds may hold this call's stream: let it go outside of the member.
  void ended() override {
    std::function<void()> gone;
    gone.swap(ready_);
  }

  EventStreamHandler<Request> handler_;
  std::function<void()> ready_;
};

}  // namespace detail
}  // namespace tapewire::rpc
