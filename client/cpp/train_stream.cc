#include "client/cpp/train_stream.h"

#include <algorithm>
#include <utility>

#include "client/cpp/client.h"
#include "client/cpp/status.h"
#include "client/cpp/train_stream_impl.h"

namespace tapewire::client {

TrainStream::Impl::Impl(std::shared_ptr<grpc::Channel> channel, std::string model, const TrainOptions& options)
    : stub_(std::move(channel)),
      model_(std::move(model)),
      max_in_flight_(std::max(1, options.max_in_flight)),
      client_id_(make_client_id()) {
  if (options.timeout != absl::InfiniteDuration()) {
    context_.set_deadline(absl::ToChronoTime(absl::Now() + options.timeout));
  }
  stream_ = stub_.Train(&context_);
  receiver_ = std::thread([this] { receive(); });
}

TrainStream::Impl::~Impl() {
  context_.TryCancel();
  receiver_.join();
}

void TrainStream::Impl::receive() {
  v1::TrainResponse response;
  while (stream_->Read(&response)) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(*response.mutable_result()));
    --in_flight_;
    changed_.notify_all();
  }
  {
    const std::lock_guard lock(mutex_);
    reads_done_ = true;
    changed_.notify_all();
  }
  absl::Status status;
  {
    const std::lock_guard writing(write_mutex_);
    status = to_status(stream_->Finish());
  }
  const std::lock_guard lock(mutex_);
  if (status.ok() && in_flight_ > 0) {
    status = absl::InternalError("the server ended the training stream with steps unanswered");
  }
  ended_ = status;
  changed_.notify_all();
}

absl::Status TrainStream::Impl::ended_while_writing() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_.has_value(); });
  return ended_->ok() ? absl::FailedPreconditionError("the training stream has ended") : *ended_;
}

absl::Status TrainStream::Impl::write(v1::TrainStepRequest step) {
  {
    const std::lock_guard writing(write_mutex_);
    if (writes_done_) return absl::FailedPreconditionError("the training stream was finished: no more steps");
    bool open = false;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return reads_done_ || in_flight_ < max_in_flight_; });
      open = !reads_done_;
      if (open) ++in_flight_;
    }
    if (open) {
      if (sequence_ == 0) step.set_model(model_);
      step.mutable_call_id()->set_client_id(client_id_);
      step.mutable_call_id()->set_sequence(++sequence_);
      v1::TrainRequest request;
      *request.mutable_step() = std::move(step);
      if (stream_->Write(request)) return absl::OkStatus();
    }
  }
  return ended_while_writing();
}

std::optional<v1::TrainStepResponse> TrainStream::Impl::try_read() {
  const std::lock_guard lock(mutex_);
  if (answers_.empty()) return std::nullopt;
  std::optional<v1::TrainStepResponse> answer(std::move(answers_.front()));
  answers_.pop_front();
  return answer;
}

absl::StatusOr<std::optional<v1::TrainStepResponse>> TrainStream::Impl::read() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !answers_.empty() || ended_.has_value(); });
    if (answers_.empty() && !ended_->ok()) return *ended_;
  }
  return try_read();
}

absl::Status TrainStream::Impl::finish() {
  {
    const std::lock_guard writing(write_mutex_);
    // A stream that has broken says so through its status, not here.
    if (!writes_done_) stream_->WritesDone();
    writes_done_ = true;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_.has_value(); });
  return *ended_;
}

TrainStream::TrainStream(std::shared_ptr<grpc::Channel> channel, std::string model, const TrainOptions& options)
    : impl_(std::make_unique<Impl>(std::move(channel), std::move(model), options)) {}
TrainStream::TrainStream(TrainStream&&) noexcept = default;
TrainStream& TrainStream::operator=(TrainStream&&) noexcept = default;
TrainStream::~TrainStream() = default;

absl::Status TrainStream::write(v1::TrainStepRequest step) { return impl_->write(std::move(step)); }
absl::StatusOr<std::optional<v1::TrainStepResponse>> TrainStream::read() { return impl_->read(); }
std::optional<v1::TrainStepResponse> TrainStream::try_read() { return impl_->try_read(); }
absl::Status TrainStream::finish() { return impl_->finish(); }
void TrainStream::cancel() { impl_->cancel(); }

}  // namespace tapewire::client
