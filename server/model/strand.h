#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/model/compute.h"

namespace tapewire {

/// Who jobs are for: one model, or one name that a model is built under. Its changes and builds run one at a time, in
/// the order of arrival: that is the turn which every call on a live model takes. Its reads run beside these and beside
/// each other. A job may outlive its Strand: those that wait when it is destroyed still run. Thread-safe. REQUIRES: the
/// pool outlives it.
class Strand {
 public:
  struct Options {
    std::string name = "strand";  // begins the errors: "model 'mnist'"
    int64_t max_queue = 64;       // changes that may wait; and as many reads
    QueueObserver observer = {};
  };

  Strand(ComputePool& pool, Options options);

  /// `work` runs when its kind allows, under the job's CancelToken; then `done` with what it returned or threw (see
  /// make_job). A job that is cancelled while it waits is done at once. A full queue is RESOURCE_EXHAUSTED, at once.
  template <class Work, class Done>
  void submit(JobOptions options, Work work, Done done) {
    pool_.add(state_, std::move(options), make_job(std::move(work), std::move(done)));
  }

  /// The jobs that wait, and all later ones, end with `reason` (NOT_FOUND: the model was deleted). Those that run go
  /// on; when the change that runs has ended, or now if none does, `ended` is called. REQUIRES: called once.
  void close(const absl::Status& reason, absl::AnyInvocable<void()> ended = nullptr) {
    pool_.close(*state_, reason, std::move(ended));
  }

 private:
  ComputePool& pool_;
  std::shared_ptr<detail::StrandState> state_;
};

}  // namespace tapewire
