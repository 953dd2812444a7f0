#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tapewire/v1/autograd_service.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace tapewire::client {

struct TrainOptions {
  /// Steps written and not yet answered, at most; 2 or more let the server decode the next while it computes.
  int max_in_flight = 4;
  /// Of the whole stream.
  absl::Duration timeout = absl::InfiniteDuration();
};

/// A pipelined stream of training steps on one model. Answers come in the order of the steps. An error ends the stream:
/// the failed step and those behind it have not been applied. The stream has a client id of its own, so its steps are
/// numbered independently of the Client's other calls.
///
///     TrainStream stream = client.train("mnist");
///     for (...) {
///       if (!stream.write(step).ok()) break;              // waits while max_in_flight steps are unanswered
///       while (auto answer = stream.try_read()) use(*answer);
///     }
///     absl::Status status = stream.finish();               // waits for the last answer
///     while (auto answer = stream.try_read()) use(*answer);
///
/// One thread may write while another reads.
class TrainStream {
 public:
  TrainStream(std::shared_ptr<grpc::Channel> channel, std::string model, const TrainOptions& options);
  TrainStream(TrainStream&&) noexcept;
  TrainStream& operator=(TrainStream&&) noexcept;
  /// Cancels a stream that has not finished: unanswered steps may or may not be applied.
  ~TrainStream();

  /// Sends a step; model and call_id are filled in. Waits while max_in_flight steps are unanswered. If the stream has
  /// ended, returns what ended it.
  absl::Status write(v1::TrainStepRequest step);

  /// The next answer; waits for it. Nothing when the stream has ended well and all answers were taken; the error that
  /// ended it, after the answers before it.
  absl::StatusOr<std::optional<v1::TrainStepResponse>> read();

  /// An answer that has already come, without waiting.
  std::optional<v1::TrainStepResponse> try_read();

  /// Declares the end of the steps and waits for the last answer; what has come stays readable. OK if every step
  /// written was answered. May be called again.
  absl::Status finish();

  /// Ends the stream now, from any thread.
  void cancel();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tapewire::client
