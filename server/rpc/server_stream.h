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
template <class Response>
class EventStream {
 public:
  /// Gives a message, or none when there is none at the moment. One at a time; not after the stream's end.
  using Source = absl::AnyInvocable<std::optional<Response>()>;

  /// What a stream does for its copies.
  class Target {
   public:
    virtual ~Target() = default;
    virtual void open(Source source) = 0;
    virtual void notify() = 0;
    virtual void finish(absl::Status status) = 0;
  };

  explicit EventStream(const std::shared_ptr<Target>& target)
      : target_(target.get(), [target](Target*) { target->finish(absl::InternalError("the stream was dropped")); }) {}

  /// Where messages come from: the client is told at once that the stream stands. REQUIRES: called once. The source is
  /// let go when the stream ends.
  void open(Source source) const { target_->open(std::move(source)); }
  /// The source may have something. Cheap when the stream knows already, or the client is still busy with the last.
  void notify() const { target_->notify(); }
  /// Ends the stream, after what the source still has.
  void finish(absl::Status status) const { target_->finish(std::move(status)); }

 private:
  std::shared_ptr<Target> target_;
};

/// Answers one request with a stream of events. The stream ends by itself when context->cancel() is told, which is also
/// when to stop filling it: register there.
template <class Request, class Response>
using EventStreamHandler = std::function<void(const Context&, Request, EventStream<Response>)>;

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

template <class Request, class Response>
class EventStreamCall final : public OneRequestCall<Request>, public EventStream<Response>::Target {
 public:
  using Source = typename EventStream<Response>::Source;

  EventStreamCall(const Environment& environment, const MethodInfo& method, const grpc::CallbackServerContext& call,
                  EventStreamHandler<Request, Response> handler)
      : OneRequestCall<Request>(environment, method, call), handler_(std::move(handler)) {}

  void open(Source source) override {
    this->post([this, source = std::move(source)]() mutable {
      if (this->ending()) return;
      source_ = std::move(source);
      this->announce();
      written();
    });
  }
  void notify() override {
    if (notified_.exchange(true)) return;
    this->post([this] {
      notified_ = false;
      written();
    });
  }
  void finish(absl::Status status) override {
    this->post([this, status = std::move(status)] {
      if (!last_) last_ = status;
      written();
    });
  }

 private:
  void requested(Request request) override {
    auto self = std::static_pointer_cast<EventStreamCall>(this->shared_from_this());
    handler_(this->context(), std::move(request), EventStream<Response>(std::move(self)));
  }
  void written() override {
    while (!this->ending() && this->queued() == 0) {
      std::optional<Response> message;
      try {
        if (source_) message = source_();
      } catch (...) {
        return this->end(caught_status());
      }
      if (!message) {
        if (last_) this->end(*last_);
        return;
      }
      absl::StatusOr<grpc::ByteBuffer> bytes = serialize_message(*std::move(message), this->environment().limits);
      if (!bytes.ok()) return this->end(bytes.status());
      this->write(*std::move(bytes));
    }
  }
  void cancelled() override { this->end(absl::CancelledError("the call was cancelled")); }
  void ended() override { source_ = nullptr; }

  EventStreamHandler<Request, Response> handler_;
  Source source_;
  std::optional<absl::Status> last_;
  std::atomic<bool> notified_{false};
};

}  // namespace detail
}  // namespace tapewire::rpc
