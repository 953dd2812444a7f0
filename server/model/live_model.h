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
#include "server/model/build.h"
#include "server/model/calls.h"
#include "server/model/evaluation.h"
#include "server/model/once.h"
#include "server/model/snapshot.h"
#include "server/model/strand.h"
#include "server/model/tape.h"
#include "server/observe/model_metrics.h"

namespace tapewire {

/// What all models of a server share.
struct ModelSettings {
  DefinitionLimits definition;
  int64_t max_queue = 64;  // calls waiting for one model
  int64_t max_tapes = 64;  // of one model
  std::chrono::seconds tape_lease{600};
  int compute_threads = 1;  // of a model that does not say
};

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

/// The values of x as they are now, for use outside the model's turn: shares the bytes, has no history.
Tensor frozen(const Tensor& x);

/// A model that lives: its modules, optimizer, random state and tapes. Calls take their turn on its strand: `submit`
/// runs a function there. Methods below the line "in its turn" must be called from such a function.
class LiveModel : public std::enable_shared_from_this<LiveModel> {
 public:
  /// Builds the model from its definition with weights drawn from `seed`. Throws as build_model.
  LiveModel(std::string name, v1::ModelSpec spec, uint64_t seed, const ModelSettings& settings, ComputePool& pool,
            std::shared_ptr<ModelMetrics> metrics, ChangeId created_by = {});
  ~LiveModel();

  const std::string& name() const { return name_; }
  const v1::ModelSpec& spec() const { return spec_; }
  /// The numbered call that made it, if it was numbered.
  const ChangeId& created_by() const { return created_by_; }
  ModelInfo info() const TW_EXCLUDES(info_mutex_);
  TapeStore& tapes() { return tapes_; }
  const ModelSettings& settings() const { return settings_; }
  ModelMetrics& metrics() { return *metrics_; }
  const std::shared_ptr<ModelMetrics>& metrics_handle() const { return metrics_; }
  int compute_threads() const { return threads_; }
  /// Runs `work(*this)` in the model's turn and gives what it returns or throws to `done(absl::StatusOr<R>)`.
  template <class Work, class Done>
  void submit(const std::shared_ptr<CancelSource>& cancel, Work work, Done done) {
    strand_.submit(
        {.permits = threads_, .cancel = cancel},
        [self = shared_from_this(), work = std::move(work)]() mutable {
          return self->take_turn([&] { return work(*self); });
        },
        std::move(done));
  }
  /// The same for a read of a snapshot, which waits for nobody: `work(Snapshot&)` runs beside the model's own calls.
  /// The first read ever waits for one turn, in which the model starts to keep a committed state.
  void submit_read(const std::shared_ptr<CancelSource>& cancel,
                   std::function<void(absl::StatusOr<std::shared_ptr<const Committed>>)> then);
  template <class Work, class Done>
  void run_read(const std::shared_ptr<CancelSource>& cancel, std::shared_ptr<const Committed> committed, Work work,
                Done done) {
    pool_.submit(
        {.permits = 1, .cancel = cancel},
        [self = shared_from_this(), committed = std::move(committed), work = std::move(work),
         waiting = std::make_unique<Waiting>(metrics_)]() mutable {
          waiting->over();
          // A model that draws in eval mode reads in its turn; an evaluation of it has a stream of its own.
          Generator generator(0);
          GeneratorScope random(generator);
          ReaderLease reader(self->readers_, *committed, self->spec_, self->settings_.definition);
          return work(*self, reader.root());
        },
        std::move(done));
  }
  /// Whether a Forward of these arguments may read a snapshot. Thread-safe; hooks and modes as of the last call.
  bool reads_snapshot(const ForwardArgs& args) const;

  /// Ends all waiting and later calls with NOT_FOUND, lets tapes go, and runs what on_delete was given. `ended` is
  /// called when the call that runs, if one does, has ended.
  void close(absl::AnyInvocable<void()> ended = nullptr);
  /// False when the model was closed already; the callback then never runs.
  bool on_delete(std::function<void()> callback) TW_EXCLUDES(info_mutex_);
  /// Lets a tape go; NOT_FOUND when there is none.
  void release_tape(const std::string& id);
  /// Lets go what has outlived its lease: tapes, and what on_expire looks after. Called every second.
  void expire(TapeStore::Clock::time_point now) TW_EXCLUDES(info_mutex_);
  void on_expire(std::function<void()> callback) TW_EXCLUDES(info_mutex_);

  // In its turn -----------------------------------------------------------------------------------------------------

  Module& root() { return *parts_.root; }
  const std::vector<NamedModule>& modules() const { return modules_; }
  const std::vector<NamedTensor>& parameters() const { return parameters_; }
  /// Optimizer steps made so far.
  int64_t step_count() const { return step_; }
  const ModelParts& parts() const { return parts_; }
  /// The module at a path; NOT a glob. INVALID_ARGUMENT with a suggestion when there is none.
  Module& require_module_at(const std::string& path, const std::string& where);
  Tensor require_parameter(const std::string& path, const std::string& where);

  ForwardResult forward(const ForwardArgs& args);
  BackwardResult backward(const BackwardArgs& args);
  GradResult grad(const GradArgs& args);
  StepResult step(const StepArgs& args);
  StepResult train_step(const TrainStepArgs& args);
  /// Numbered changes of clients.
  OnceGuard& once() { return once_; }
  void set_training(bool training, const std::string& path);
  void zero_grad();
  /// Gradients of the parameters that the globs match (all when empty) and that have one; safe to read later.
  std::vector<NamedTensor> read_gradients(const std::vector<std::string>& globs);
  /// The state dict, or what the globs match of its keys, in its order; safe to read later.
  StateDict read_state(const std::vector<std::string>& globs) const;
  /// load_state_dict, all or nothing.
  LoadStateResult load_state(const LoadStateArgs& args);

  /// Counts of hooks, so that reads know when they must take a turn.
  void add_hooks(int delta);

  // Without a turn, on a snapshot's modules ---------------------------------------------------------------------------

  ForwardResult forward_snapshot(Module& root, const ForwardArgs& args, int64_t version) const;
  /// Adds one batch to an evaluation.
  void evaluate_batch(Module& root, const EvaluateBatch& batch, Evaluation& evaluation) const;
  /// Checks the metrics' names and the loss of an Evaluate.
  Evaluation begin_evaluation(std::vector<std::string> metrics, const v1::LossSpec* loss) const;

 private:
  class Transaction;
  class ModeScope;

  /// A read that waits for a permit, as the metrics see it.
  class Waiting {
   public:
    explicit Waiting(std::shared_ptr<ModelMetrics> metrics) : metrics_(std::move(metrics)) {
      metrics_->add_queue_depth(1);
    }
    ~Waiting() {
      if (metrics_) metrics_->add_queue_depth(-1);
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    void over() {
      metrics_->observe_queue_wait(std::chrono::duration<double>(std::chrono::steady_clock::now() - came_).count());
      metrics_->add_queue_depth(-1);
      metrics_.reset();
    }

   private:
    std::shared_ptr<ModelMetrics> metrics_;
    std::chrono::steady_clock::time_point came_ = std::chrono::steady_clock::now();
  };

  template <class Work>
  auto take_turn(Work&& work) {
    struct Publish {
      LiveModel& model;
      ~Publish() { model.publish(); }
    } publish{*this};
    GeneratorScope random(generator_);
    return work();
  }
  /// Makes what changed visible to info() and to readers. At the end of every turn.
  void publish() TW_EXCLUDES(info_mutex_);
  void commit_for_readers() TW_EXCLUDES(info_mutex_);

  Args arguments(const std::vector<NamedTensor>& inputs, const std::vector<std::string>& require_grad,
                 std::vector<NamedTensor>* named) const;
  std::vector<NamedTensor> name_outputs(const Value& output) const;
  int64_t bytes_of(const Tape& tape) const;
  void drop_tape(Tape& tape);
  BuiltLoss loss_or_default(const v1::LossSpec* spec) const;
  bool advances_schedule(const StepArgs& args) const;
  void check_step(const StepArgs& args) const;
  StepResult apply_gradients(const StepArgs& args, std::optional<double> loss, Transaction& transaction);
  bool check_finite(double value, bool is_loss);
  StepResult step_info() const;
  void check_version(const std::optional<int64_t>& expected) const;

  const std::string name_;
  const v1::ModelSpec spec_;
  const ChangeId created_by_;
  const ModelSettings settings_;
  ComputePool& pool_;
  const std::shared_ptr<ModelMetrics> metrics_;
  int threads_;
  Strand strand_;
  TapeStore tapes_;

  // The strand's own.
  ModelParts parts_;
  std::vector<NamedModule> modules_;
  std::vector<NamedTensor> parameters_;
  std::vector<NamedTensor> buffers_;
  Generator generator_;
  OnceGuard once_;
  int64_t step_ = 0;
  int64_t parameter_version_ = 0;
  bool changed_ = true;        // since the last publish
  bool accumulating_ = false;  // accumulate_only left gradients for the next step

  std::atomic<int> hook_count_{0};
  std::atomic<bool> all_eval_{false};
  bool draws_in_eval_ = false;  // constant
  std::atomic<bool> has_readers_{false};
  ReaderPool readers_;
  mutable Mutex info_mutex_;
  ModelInfo info_ TW_GUARDED_BY(info_mutex_);
  std::shared_ptr<const Committed> committed_ TW_GUARDED_BY(info_mutex_);
  std::vector<std::function<void()>> on_delete_ TW_GUARDED_BY(info_mutex_);
  std::vector<std::function<void()>> on_expire_ TW_GUARDED_BY(info_mutex_);
  bool closed_ TW_GUARDED_BY(info_mutex_) = false;
};

}  // namespace tapewire
