#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/random.h"
#include "server/model/evaluation.h"
#include "server/model/model_description.h"
#include "server/model/model_turns.h"
#include "server/model/snapshot.h"
#include "server/model/stored_spec.h"

namespace tapewire {

/// What GetModel shows, as of the last finished call.
struct ModelInfo {
  bool training = true;
  int64_t step = 0;
  int64_t parameter_version = 0;
  int64_t parameter_count = 0;
  int64_t parameter_bytes = 0;
  std::chrono::system_clock::time_point create_time;
  std::chrono::system_clock::time_point update_time;
};

/// The handle of a model that lives: hands out its turns (ModelState) and reads of its snapshots, and tells what may be
/// known of it in between. Thread-safe; all that a call changes is in the ModelState.
class LiveModel : public std::enable_shared_from_this<LiveModel> {
 public:
  /// Builds the model from its definition with weights drawn from `seed`. Throws as build_model.
  LiveModel(std::string name, const v1::ModelSpec& spec, uint64_t seed, const ModelSettings& settings,
            ComputePool& pool, std::shared_ptr<ModelMetrics> metrics, ChangeId created_by = {});
  ~LiveModel();
  LiveModel(const LiveModel&) = delete;
  LiveModel& operator=(const LiveModel&) = delete;

  const std::string& name() const { return name_; }
  v1::ModelSpec spec() const { return spec_.load(); }
  /// What spec() takes, in bytes.
  size_t spec_bytes() const { return spec_.loaded_bytes(); }
  /// The numbered call that made it, if it was numbered.
  const ChangeId& created_by() const { return created_by_; }
  const ModelSettings& settings() const { return settings_; }
  ModelMetrics& metrics() const { return *metrics_; }
  const std::shared_ptr<ModelMetrics>& metrics_handle() const { return metrics_; }
  int compute_threads() const { return threads_; }
  TapeStore& tapes() { return *tapes_; }
  /// To list and to watch; hooks are added and removed in the model's turn.
  ModelHooks& hooks() { return *hooks_; }
  const std::shared_ptr<ModelHooks>& hooks_handle() const { return hooks_; }

  /// As of the last finished call.
  ModelInfo info() const TW_EXCLUDES(mutex_);
  ModelDescription description() const TW_EXCLUDES(mutex_);

  /// Runs `work(ModelState&)` in the model's turn, with its compute threads, and gives what it returns or throws to
  /// `done(absl::StatusOr<R>)`.
  template <class Work, class Done>
  void submit(const std::shared_ptr<CancelSource>& cancel, Work work, Done done) {
    submit_job({.permits = threads_, .cancel = cancel}, std::move(work), std::move(done));
  }
  /// The same for work that computes nothing, so waits for no compute thread.
  template <class Work, class Done>
  void submit_light(const std::shared_ptr<CancelSource>& cancel, Work work, Done done) {
    submit_job({.permits = 0, .cancel = cancel}, std::move(work), std::move(done));
  }
  /// The same for the server's own work: it goes before the calls that wait, and takes nobody's place.
  template <class Work, class Done>
  void submit_internal(Work work, Done done) {
    submit_job({.permits = 0, .internal = true}, std::move(work), std::move(done));
  }

  /// Whether a Forward of these arguments reads a snapshot, and takes no turn. As of the last finished call.
  bool reads_snapshot(const ForwardArgs& args) const;
  /// Gives the committed snapshot to `then`. The first read after a while waits for the call that runs, if one does.
  void take_snapshot(const std::shared_ptr<CancelSource>& cancel,
                     std::function<void(absl::StatusOr<std::shared_ptr<const Snapshot>>)> then);
  /// Runs `work(SnapshotReader&)` on a snapshot, beside the model's own calls.
  template <class Work, class Done>
  void read(const std::shared_ptr<CancelSource>& cancel, std::shared_ptr<const Snapshot> snapshot, Work work,
            Done done) {
    turns_.submit_read(
        {.cancel = cancel},
        [self = shared_from_this(), snapshot = std::move(snapshot), work = std::move(work)]() mutable {
          // Draws nothing from the model's stream.
          Generator generator(0);
          GeneratorScope random(generator);
          Snapshots::Lease lease(self->snapshots_, *snapshot);
          return work(lease.reader());
        },
        std::move(done));
  }
  /// A Forward for which reads_snapshot() holds.
  ForwardResult forward(SnapshotReader& reader, const ForwardArgs& args) const;
  /// Checks the metrics' names and the loss of an Evaluate.
  Evaluation begin_evaluation(std::vector<std::string> metrics, const v1::LossSpec* loss) const;
  /// Adds one batch to an evaluation.
  void evaluate(SnapshotReader& reader, const EvaluateBatch& batch, Evaluation& evaluation) const;

  /// Ends all waiting and later calls with NOT_FOUND, lets tapes and snapshots go, and runs what on_close() was given.
  /// When the call that runs, if one does, has ended, the modules are destroyed and `ended` is called. REQUIRES: called
  /// once.
  void close(absl::AnyInvocable<void()> ended = nullptr) TW_EXCLUDES(mutex_);
  /// `callback` runs at close(), or now when that has been. The id is for forget_close(); 0 when it ran.
  uint64_t on_close(std::function<void()> callback) TW_EXCLUDES(mutex_);
  void forget_close(uint64_t id) TW_EXCLUDES(mutex_);
  /// NOT_FOUND, as calls on a closed model get it.
  absl::Status closed_status() const;

  /// Lets go what has outlived its lease, or its readers. See ModelSettings::expires_at.
  void expire(TapeStore::Clock::time_point now) TW_EXCLUDES(mutex_);
  std::optional<TapeStore::Clock::time_point> next_expiry() const TW_EXCLUDES(mutex_);

 private:
  template <class Work, class Done>
  void submit_job(JobOptions options, Work work, Done done) {
    turns_.submit(
        std::move(options),
        [self = shared_from_this(), work = std::move(work)](ModelState& state) mutable {
          struct Publish {
            LiveModel& model;
            ModelState& state;
            ~Publish() { model.publish(state); }
          } publish{*self, state};
          GeneratorScope random(state.generator());
          return work(state);
        },
        std::move(done));
  }
  /// Makes what a turn changed visible to info() and to reads. At the end of every turn.
  void publish(ModelState& state) TW_EXCLUDES(mutex_);

  const std::string name_;
  StoredSpec spec_;
  const ChangeId created_by_;
  const ModelSettings settings_;
  const std::shared_ptr<ModelMetrics> metrics_;
  const int threads_;
  const std::shared_ptr<TapeStore> tapes_;
  Snapshots snapshots_;
  // Set by the constructor:
  std::shared_ptr<const ModelSignature> signature_;
  std::shared_ptr<ModelHooks> hooks_;
  bool draws_in_eval_ = false;
  std::optional<v1::LossSpec> loss_;

  mutable Mutex mutex_;
  ModelInfo info_ TW_GUARDED_BY(mutex_);
  ModelDescription description_ TW_GUARDED_BY(mutex_);
  bool closed_ TW_GUARDED_BY(mutex_) = false;
  uint64_t last_id_ TW_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::function<void()>> on_close_ TW_GUARDED_BY(mutex_);
  std::atomic<bool> all_eval_{false};
  std::atomic<bool> expiring_hooks_{false};  // a job that lets hooks go waits for its turn

  ModelTurns turns_;
};

}  // namespace tapewire
