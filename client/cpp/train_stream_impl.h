#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "client/cpp/train_stream.h"
#include "tapewire/v1/autograd_service.grpc.pb.h"

namespace tapewire::client {

/// Private to the library. A thread of its own takes the answers, so that a writer never waits for its own reads.
class TrainStream::Impl {
 public:
  Impl(std::shared_ptr<grpc::Channel> channel, std::string model, const TrainOptions& options);
  ~Impl();

  absl::Status write(v1::TrainStepRequest step);
  absl::StatusOr<std::optional<v1::TrainStepResponse>> read();
  std::optional<v1::TrainStepResponse> try_read();
  absl::Status finish();
  void cancel() { context_.TryCancel(); }

 private:
  void receive();
  /// What the stream ended with; waits for it. OK becomes an error: the caller had more to write.
  absl::Status ended_while_writing();

  v1::AutogradService::Stub stub_;
  const std::string model_;
  const int max_in_flight_;
  const std::string client_id_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::TrainRequest, v1::TrainResponse>> stream_;

  // Held while writing to the stream; taken before mutex_. Never held while waiting for ended_.
  std::mutex write_mutex_;
  bool writes_done_ = false;
  int64_t sequence_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  int in_flight_ = 0;
  bool reads_done_ = false;
  std::deque<v1::TrainStepResponse> answers_;
  std::optional<absl::Status> ended_;

  std::thread receiver_;
};

}  // namespace tapewire::client
