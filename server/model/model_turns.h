#pragma once

#include <memory>
#include <utility>

#include "server/model/model_state.h"
#include "server/model/strand.h"

namespace tapewire {

/// Hands out a ModelState, one call at a time: the only way to it is a job on the model's strand. Thread-safe.
/// REQUIRES: who submits keeps this alive until the job is done.
class ModelTurns {
 public:
  ModelTurns(ComputePool& pool, Strand::Options options, std::unique_ptr<ModelState> state)
      : strand_(pool, std::move(options)), state_(std::move(state)) {}

  /// `work(ModelState&)` in the model's turn. REQUIRES: options.kind is kChange.
  template <class Work, class Done>
  void submit(JobOptions options, Work work, Done done) {
    strand_.submit(
        std::move(options), [this, work = std::move(work)]() mutable { return work(*state_); }, std::move(done));
  }
  /// `work()` beside the turns.
  template <class Work, class Done>
  void submit_read(JobOptions options, Work work, Done done) {
    options.kind = JobKind::kRead;
    strand_.submit(std::move(options), std::move(work), std::move(done));
  }
  /// Ends waiting and later jobs with `reason`. The state is destroyed when the change that runs has ended, and then
  /// `ended` is called, which keeps this alive until then. REQUIRES: called once.
  void close(const absl::Status& reason, absl::AnyInvocable<void()> ended) {
    strand_.close(reason, [this, ended = std::move(ended)]() mutable {
      state_ = nullptr;
      if (ended) ended();
    });
  }

 private:
  Strand strand_;
  std::unique_ptr<ModelState> state_;
};

}  // namespace tapewire
