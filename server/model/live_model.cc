#include "server/model/live_model.h"

#include <algorithm>

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "server/model/captures.h"
#include "server/model/phase_timer.h"

namespace tapewire {
namespace {

int threads_of(const v1::ModelSpec& spec, const ModelSettings& settings, const ComputePool& pool) {
  const int asked = spec.runtime().compute_threads();
  if (asked > pool.permits()) {
    fail("runtime.compute_threads: ", asked, " is more than the server's ", pool.permits(), " (--compute_threads)");
  }
  return std::clamp(asked > 0 ? asked : settings.compute_threads, 1, pool.permits());
}

Strand::Options strand_options(const std::string& name, const ModelSettings& settings,
                               const std::shared_ptr<ModelMetrics>& metrics) {
  return {.name = str_cat("model '", name, "'"),
          .max_queue = settings.max_queue,
          .observer = {.waited = [metrics](double seconds) { metrics->observe_queue_wait(seconds); },
                       .depth_changed = [metrics](int delta) { metrics->add_queue_depth(delta); }}};
}

}  // namespace

LiveModel::LiveModel(std::string name, const v1::ModelSpec& spec, uint64_t seed, const ModelSettings& settings,
                     ComputePool& pool, std::shared_ptr<ModelMetrics> metrics, ChangeId created_by)
    : name_(std::move(name)),
      spec_(spec),
      created_by_(std::move(created_by)),
      settings_(settings),
      metrics_(std::move(metrics)),
      threads_(threads_of(spec, settings, pool)),
      tapes_(std::make_shared<TapeStore>(settings.max_tapes, metrics_, settings.expires_at)),
      turns_(pool, strand_options(name_, settings_, metrics_), [this, seed, &spec] {
        auto state = std::make_unique<ModelState>(spec, seed, settings_, metrics_, tapes_, created_by_);
        spec_.built();
        if (spec.has_loss()) loss_ = spec.loss();
        signature_ = state->signature();
        hooks_ = state->hooks();
        draws_in_eval_ = state->draws_in_eval();
        publish(*state);
        MutexLock lock(mutex_);
        description_.tree = describe_tree(state->root(), state->modules());
        for (const NamedTensor& p : state->parameters()) {
          info_.parameter_count += p.tensor.numel();
          info_.parameter_bytes += static_cast<int64_t>(p.tensor.nbytes());
        }
        info_.create_time = info_.update_time = std::chrono::system_clock::now();
        return state;
      }()) {}

LiveModel::~LiveModel() = default;

ModelInfo LiveModel::info() const {
  MutexLock lock(mutex_);
  return info_;
}

ModelDescription LiveModel::description() const {
  MutexLock lock(mutex_);
  return description_;
}

void LiveModel::publish(ModelState& state) {
  if (!state.take_changed()) return;
  metrics_->set_parameter_version(state.parameter_version());
  if (snapshots_.wanted()) snapshots_.replace(state.snapshot());
  std::shared_ptr<const std::vector<bool>> modes = state.take_modes();
  if (modes) all_eval_ = std::ranges::none_of(*modes, std::identity());
  MutexLock lock(mutex_);
  if (modes) description_.training = std::move(modes);
  info_.training = state.root().training();
  info_.step = state.step_count();
  info_.parameter_version = state.parameter_version();
  info_.update_time = std::chrono::system_clock::now();
}

void LiveModel::take_snapshot(const std::shared_ptr<CancelSource>& cancel,
                              std::function<void(absl::StatusOr<std::shared_ptr<const Snapshot>>)> then) {
  if (auto current = snapshots_.current()) {
    then(std::move(current));
    return;
  }
  // As a read it does not wait behind the changes that wait, and counts among the reads that do.
  submit_job(
      {.permits = 0, .cancel = cancel, .for_read = true},
      [self = shared_from_this()](ModelState& state) {
        auto snapshot = self->snapshots_.start(state.snapshot(), state.root());
        if (self->settings_.expires_at) self->settings_.expires_at(TapeStore::Clock::now() + Snapshots::kIdle);
        return snapshot;
      },
      std::move(then));
}

bool LiveModel::reads_snapshot(const ForwardArgs& args) const {
  if (args.keep_tape || hooks_->size() > 0 || args.training.value_or(!all_eval_)) return false;
  // Without a seed it draws from the model's own stream.
  return !draws_in_eval_ || args.seed;
}

ForwardResult LiveModel::forward(SnapshotReader& reader, const ForwardArgs& args) const {
  Captures captures;
  captures.watch_all(args.capture, [&](const std::string& path) -> Module& {
    if (const std::shared_ptr<Module> found = reader.root().find(path)) return *found;
    std::vector<std::string_view> known;
    const ModelDescription described = description();
    for (const ModelDescription::ModuleRow& m : described.tree->modules) known.push_back(m.path);
    fail("capture: no module ", quoted(path), did_you_mean(path, known));
  });
  std::optional<Generator> seeded;
  std::optional<GeneratorScope> random;
  if (args.seed) {
    seeded.emplace(*args.seed);
    random.emplace(*seeded);
  }
  const NoGradGuard no_grad;
  const PhaseTimer timer(*metrics_, Phase::kInfer);
  ForwardResult result;
  result.outputs = signature_->name_outputs(reader.root()(signature_->arguments(args.inputs)));
  for (const NamedTensor& captured : captures.taken())
    result.captured.push_back({captured.name, frozen(captured.tensor)});
  check_answer({&result.outputs, &result.captured}, args.max_answer_bytes);
  result.parameter_version = reader.parameter_version();
  return result;
}

Evaluation LiveModel::begin_evaluation(std::vector<std::string> metrics, const v1::LossSpec* loss) const {
  // A loss of its own: the model's is used in turns.
  if (loss == nullptr && loss_) loss = &*loss_;
  return {std::move(metrics), loss != nullptr ? build_loss(*loss, settings_.definition, "loss") : BuiltLoss()};
}

void LiveModel::evaluate(SnapshotReader& reader, const EvaluateBatch& batch, Evaluation& evaluation) const {
  const NoGradGuard no_grad;
  const PhaseTimer timer(*metrics_, Phase::kEvaluate);
  evaluation.add(batch, signature_->name_outputs(reader.root()(signature_->arguments(batch.inputs))));
}

absl::Status LiveModel::closed_status() const {
  return absl::NotFoundError(str_cat("model '", name_, "' was deleted"));
}

void LiveModel::close(absl::AnyInvocable<void()> ended) {
  turns_.close(closed_status(), [self = shared_from_this(), ended = std::move(ended)]() mutable {
    if (ended) ended();
  });
  tapes_->clear();
  snapshots_.close();
  hooks_->finish_watchers(closed_status());
  std::map<uint64_t, std::function<void()>> callbacks;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    callbacks.swap(on_close_);
  }
  for (const auto& [id, callback] : callbacks) callback();
}

uint64_t LiveModel::on_close(std::function<void()> callback) {
  {
    MutexLock lock(mutex_);
    if (!closed_) {
      on_close_.emplace(++last_id_, std::move(callback));
      return last_id_;
    }
  }
  callback();
  return 0;
}

void LiveModel::forget_close(uint64_t id) {
  std::function<void()> dropped;  // destroyed outside of the lock
  MutexLock lock(mutex_);
  const auto found = on_close_.find(id);
  if (found == on_close_.end()) return;
  dropped = std::move(found->second);
  on_close_.erase(found);
}

void LiveModel::expire(TapeStore::Clock::time_point now) {
  tapes_->expire(now);
  snapshots_.expire(now);
  const auto hooks = hooks_->next_expiry();
  if (!hooks || *hooks > now || expiring_hooks_.exchange(true)) return;
  submit_internal([](ModelState& state) { state.hooks()->drop_expired(); },
                  [self = shared_from_this()](const absl::Status&) {
                    self->expiring_hooks_ = false;
                    const auto next = self->hooks_->next_expiry();
                    if (next && self->settings_.expires_at) self->settings_.expires_at(*next);
                  });
}

std::optional<TapeStore::Clock::time_point> LiveModel::next_expiry() const {
  std::optional<TapeStore::Clock::time_point> next = tapes_->next_expiry();
  const auto consider = [&next](const std::optional<TapeStore::Clock::time_point>& other) {
    if (other && (!next || *other < *next)) next = other;
  };
  consider(snapshots_.next_expiry());
  if (!expiring_hooks_) consider(hooks_->next_expiry());
  return next;
}

}  // namespace tapewire
