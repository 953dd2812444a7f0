#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "server/model/caught.h"
#include "server/observe/rejection.h"
#include "server/rpc/answer.h"
#include "server/rpc/stream_call.h"

namespace tapewire::rpc {

/// Serves one call that takes a stream and gives one answer (Evaluate, WriteState). Its methods are called one at a
/// time: the next when the last was answered. They run on gRPC's thread or on that of the last answer, so they submit
/// work and return. Destroyed when the call is over, and not before what it owes is answered.
template <class Request, class Response>
class ClientStreamHandler {
 public:
  virtual ~ClientStreamHandler() = default;
  /// A message; the next one is decoded meanwhile. An error ends the call.
  virtual void message(Request request, Answer<void> answer) = 0;
  /// The client has sent all. Not called when the stream was cancelled or broke, or after an error.
  virtual void end(Answer<Response> answer) = 0;
};

/// Serves one call that answers each message, in order (Train). An error ends the call, after the answers before it; a
/// message behind it is never handed over.
template <class Request, class Response>
class BidiHandler {
 public:
  virtual ~BidiHandler() = default;
  virtual void message(Request request, Answer<Response> answer) = 0;
  /// The client has sent all, and all is answered.
  virtual void end(const Answer<void>& answer) { answer(absl::OkStatus()); }
};

template <class Request, class Response>
using ClientStreamFactory = std::function<std::unique_ptr<ClientStreamHandler<Request, Response>>(const Context&)>;
template <class Request, class Response>
using BidiFactory = std::function<std::unique_ptr<BidiHandler<Request, Response>>(const Context&)>;

namespace detail {

/// Takes messages one at a time and decodes one ahead.
template <class Request>
class SequenceCall : public StreamCall {
 public:
  using StreamCall::StreamCall;

 protected:
  virtual void create() = 0;
  virtual void hand(Request request) = 0;
  virtual void hand_end() = 0;
  /// Whether the stream goes on for as long as its client likes: then it ends when the server drains, after the
  /// message in hand.
  virtual bool is_open_ended() const { return false; }

  // What is handed over has been answered.
  void answered(const absl::Status& status) {
    busy_ = false;
    if (!status.ok()) return end(status);
    advance();
  }

 private:
  // Answers that the client has not taken yet, before its next message waits for it.
  static constexpr size_t kMaxQueued = 2;

  void started() override {
    guarded([this] { create(); });
    if (is_open_ended()) {
      context()->on_drain([weak = weak_from_this()] {
        const std::shared_ptr<StreamCall> self = weak.lock();
        if (!self) return;
        self->post([call = static_cast<SequenceCall*>(self.get())] {
          call->draining_ = true;
          call->advance();
        });
      });
    }
    advance();
  }
  void half_closed() override { advance(); }
  void written() override { advance(); }
  void cancelled() override {
    if (!busy_) end(context()->cancel()->status());
  }
  Event received(grpc::ByteBuffer bytes) override {
    auto request = std::make_unique<Request>();
    absl::Status parsed = parse_message(bytes, *request, environment().limits);
    return [this, request = std::move(request), parsed = std::move(parsed)]() mutable {
      next_ = std::move(request);
      next_fault_ = std::move(parsed);
      advance();
    };
  }

  void advance() {
    if (busy_ || ending()) return;
    if (absl::Status status = context()->cancel()->status(); !status.ok()) return end(std::move(status));
    if (draining_)
      return end(draining_status("the stream ends after the message in hand; what came behind is not applied"));
    if (next_ != nullptr) {
      if (!next_fault_.ok()) return end(next_fault_);
      if (queued() >= kMaxQueued) return;
      busy_ = true;
      const std::unique_ptr<Request> request = std::move(next_);
      read();
      guarded([&] { hand(std::move(*request)); });
    } else if (is_half_closed()) {
      busy_ = true;
      guarded([this] { hand_end(); });
    } else {
      read();
    }
  }

  template <class Body>
  void guarded(Body body) {
    try {
      body();
    } catch (...) {
      end(caught_status());
    }
  }

  bool busy_ = false;  // the handler owes an answer
  bool draining_ = false;
  std::unique_ptr<Request> next_;
  absl::Status next_fault_;
};

template <class Request, class Response>
class ClientStreamCall final : public SequenceCall<Request> {
 public:
  ClientStreamCall(const Environment& environment, const MethodInfo& method, const grpc::CallbackServerContext& call,
                   ClientStreamFactory<Request, Response> factory)
      : SequenceCall<Request>(environment, method, call), factory_(std::move(factory)) {}

 private:
  std::shared_ptr<ClientStreamCall> self() {
    return std::static_pointer_cast<ClientStreamCall>(this->shared_from_this());
  }
  void create() override { handler_ = factory_(this->context()); }
  void hand(Request request) override {
    handler_->message(std::move(request), Answer<void>([self = self()](absl::Status status) {
                        self->post([self, status = std::move(status)] { self->answered(status); });
                      }));
  }
  void hand_end() override {
    handler_->end(Answer<Response>([self = self()](absl::StatusOr<Response> response) {
      absl::StatusOr<grpc::ByteBuffer> bytes =
          response.ok() ? serialize_message(*std::move(response), self->environment().limits) : response.status();
      self->post([self, bytes = std::move(bytes)]() mutable {
        const absl::Status status = bytes.status();
        if (status.ok()) self->write(*std::move(bytes));
        self->end(status);
      });
    }));
  }

  ClientStreamFactory<Request, Response> factory_;
  std::unique_ptr<ClientStreamHandler<Request, Response>> handler_;
};

template <class Request, class Response>
class BidiCall final : public SequenceCall<Request> {
 public:
  BidiCall(const Environment& environment, const MethodInfo& method, const grpc::CallbackServerContext& call,
           BidiFactory<Request, Response> factory)
      : SequenceCall<Request>(environment, method, call), factory_(std::move(factory)) {}

 private:
  bool is_open_ended() const override { return true; }
  std::shared_ptr<BidiCall> self() { return std::static_pointer_cast<BidiCall>(this->shared_from_this()); }
  void create() override { handler_ = factory_(this->context()); }
  void hand(Request request) override {
    handler_->message(std::move(request), Answer<Response>([self = self()](absl::StatusOr<Response> response) {
                        absl::StatusOr<grpc::ByteBuffer> bytes =
                            response.ok() ? serialize_message(*std::move(response), self->environment().limits)
                                          : response.status();
                        self->post([self, bytes = std::move(bytes)]() mutable {
                          const absl::Status status = bytes.status();
                          if (status.ok()) self->write(*std::move(bytes));
                          self->answered(status);
                        });
                      }));
  }
  void hand_end() override {
    handler_->end(Answer<void>([self = self()](absl::Status status) {
      self->post([self, status = std::move(status)] { self->end(status); });
    }));
  }

  BidiFactory<Request, Response> factory_;
  std::unique_ptr<BidiHandler<Request, Response>> handler_;
};

}  // namespace detail
}  // namespace tapewire::rpc
