#include "server/rpc/stream_call.h"

#include <utility>

namespace tapewire::rpc {

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamCall::start(
    const std::shared_ptr<StreamCall>& call) {
  call->self_ = call;
  // Told by gRPC, or by whoever ends the call: a deleted model, the server's end.
  call->context()->cancel()->on_cancel([weak = call->weak_from_this()] {
    const std::shared_ptr<StreamCall> self = weak.lock();
    if (!self) return;
    self->post([&self = *self] {
      if (!self.ending_) self.cancelled();
      self.flush();
    });
  });
  call->post([&self = *call] {
    if (absl::Status admission = self.record_.admission(); !admission.ok()) {
      self.end(std::move(admission));
    } else {
      self.started();
    }
  });
  return call.get();
}

void StreamCall::post(Event event) {
  // An event may end the call, and OnDone then drops gRPC's share on another thread.
  const std::shared_ptr<StreamCall> keep = shared_from_this();
  {
    MutexLock lock(mutex_);
    mailbox_.push_back(std::move(event));
    if (running_) return;
    running_ = true;
  }
  for (;;) {
    std::vector<Event> batch;
    {
      MutexLock lock(mutex_);
      if (mailbox_.empty()) {
        running_ = false;
        return;
      }
      batch.swap(mailbox_);
    }
    for (Event& next : batch) next();
  }
}

void StreamCall::read() {
  if (reading_ || half_closed_ || ending_) return;
  reading_ = true;
  StartRead(&current_in_);
}

void StreamCall::write(grpc::ByteBuffer message) {
  if (ending_) return;
  out_.push_back(std::move(message));
  flush();
}

void StreamCall::end(absl::Status status) {
  if (ending_) return;
  ending_ = std::move(status);
  flush();
}

void StreamCall::flush() {
  if (writing_ || finished_) return;
  if (!out_.empty()) {
    writing_ = true;
    current_out_.Swap(&out_.front());
    out_.pop_front();
    StartWrite(&current_out_);
  } else if (ending_) {
    finished_ = true;
    Finish(record_.close(*ending_));
    ended();
  }
}

void StreamCall::OnReadDone(bool ok) {
  if (ok) {
    grpc::ByteBuffer message;
    message.Swap(&current_in_);
    post([this, event = received(message)]() mutable {
      reading_ = false;
      if (!ending_) event();
    });
    return;
  }
  // A read also fails when the stream breaks; that is no half-close, lest half a stream be taken for a whole one.
  const bool broken = call_.IsCancelled();
  if (broken) context()->cancel()->cancel();
  post([this, broken] {
    reading_ = false;
    half_closed_ = true;
    if (ending_) return;
    if (broken) {
      cancelled();
    } else {
      half_closed();
    }
  });
}

void StreamCall::OnWriteDone(bool ok) {
  if (!ok) context()->cancel()->cancel();
  post([this, ok] {
    writing_ = false;
    if (!ok) {
      out_.clear();
      if (!ending_) cancelled();
    } else if (out_.empty() && !ending_) {
      written();
    }
    flush();
  });
}

void StreamCall::OnCancel() {
  context()->cancel()->cancel();
  post([this] {
    out_.clear();  // nobody reads them
    if (!ending_) cancelled();
    flush();
  });
}

void StreamCall::OnDone() {
  record_.leave();
  self_.reset();
}

}  // namespace tapewire::rpc
