#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "core/kernels/frozen.h"
#include "server/hook/model_hooks.h"
#include "server/model/build.h"
#include "server/model/calls.h"
#include "server/model/model_description.h"
#include "server/model/model_settings.h"
#include "server/model/once.h"
#include "server/model/signature.h"
#include "server/model/snapshot.h"
#include "server/model/tape.h"
#include "server/observe/model_metrics.h"

namespace tapewire {

/// A model as its calls change it: modules, optimizer, gradients, random state, counters. It exists in the model's turn
/// alone: ModelTurns hands it out, one call at a time, and nobody keeps a reference.
class ModelState {
 public:
  /// Builds the modules, with weights drawn from `seed`. Throws as build_model.
  ModelState(const v1::ModelSpec& spec, uint64_t seed, const ModelSettings& settings,
             std::shared_ptr<ModelMetrics> metrics, std::shared_ptr<TapeStore> tapes, const ChangeId& created_by);
  ~ModelState();
  ModelState(const ModelState&) = delete;
  ModelState& operator=(const ModelState&) = delete;

  Module& root() { return *parts_.root; }
  const ModelParts& parts() const { return parts_; }
  const std::shared_ptr<const ModelSignature>& signature() const { return signature_; }
  const std::vector<NamedModule>& modules() const { return modules_; }
  const std::vector<NamedTensor>& parameters() const { return parameters_; }
  const std::vector<NamedTensor>& buffers() const { return buffers_; }
  TapeStore& tapes() { return *tapes_; }
  Generator& generator() { return generator_; }
  /// Optimizer steps made so far.
  int64_t step_count() const { return step_; }
  int64_t parameter_version() const { return parameter_version_; }
  /// Whether an op draws random numbers in eval mode, too.
  bool draws_in_eval() const { return draws_in_eval_; }
  /// Numbered changes of clients.
  OnceGuard& once() { return once_; }

  /// The module at a path; NOT a glob. INVALID_ARGUMENT with a suggestion when there is none.
  Module& require_module_at(const std::string& path, const std::string& where);
  Tensor require_parameter(const std::string& path, const std::string& where);

  /// Runs the model. Without a tape and in eval mode it is a read: what it writes to buffers is taken back.
  ForwardResult forward(const ForwardArgs& args);
  BackwardResult backward(const BackwardArgs& args);
  GradResult grad(const GradArgs& args);
  StepResult step(const StepArgs& args);
  StepResult train_step(const TrainStepArgs& args);
  void set_training(bool training, const std::string& path);
  void zero_grad();
  /// Gradients of the parameters that the globs match (all when empty) and that have one; safe to read later.
  std::vector<NamedTensor> read_gradients(const std::vector<std::string>& globs);
  /// The state dict, or what the globs match of its keys, in its order; safe to read later.
  StateDict read_state(const std::vector<std::string>& globs) const;
  /// load_state_dict, all or nothing.
  LoadStateResult load_state(const LoadStateArgs& args);

  /// Shares of the bytes of parameters and buffers as they are now.
  Snapshot snapshot() const;
  /// Whether parameters, buffers, counters or modes changed since this was last asked.
  bool take_changed() { return std::exchange(changed_, false); }
  /// The training flags of the modules, if they changed since this was last asked; else null.
  std::shared_ptr<const std::vector<bool>> take_modes() {
    return std::exchange(modes_changed_, false) ? describe_modes(modules_) : nullptr;
  }
  const std::shared_ptr<ModelHooks>& hooks() const { return hooks_; }
  HookTargets hook_targets() const { return {modules_, parameters_}; }

 private:
  class Transaction;
  class ModeScope;

  int64_t bytes_of(const Tape& tape) const;
  bool drop_tape(const Tape& tape) { return tapes_->use_up(tape.id); }
  BuiltLoss loss_or_default(const v1::LossSpec* spec) const;
  bool advances_schedule(const StepArgs& args) const;
  void check_step(const StepArgs& args) const;
  StepResult apply_gradients(const StepArgs& args, std::optional<double> loss, Transaction& transaction);
  bool check_finite(double value, bool is_loss);
  StepResult step_info() const;
  void check_version(const std::optional<int64_t>& expected) const;
  /// Whether every module is in eval mode.
  bool is_eval() const;
  /// Undefined when there is none.
  Tensor find_parameter(std::string_view path) const;

  const ModelSettings& settings_;
  const std::shared_ptr<ModelMetrics> metrics_;
  const std::shared_ptr<TapeStore> tapes_;
  Generator generator_;
  ModelParts parts_;
  std::shared_ptr<const ModelSignature> signature_;
  std::vector<NamedModule> modules_;
  std::vector<NamedTensor> parameters_;
  std::vector<NamedTensor> buffers_;
  std::unordered_map<std::string_view, size_t> module_index_;     // into modules_, which owns the names
  std::unordered_map<std::string_view, size_t> parameter_index_;  // into parameters_
  OnceGuard once_;
  std::shared_ptr<ModelHooks> hooks_;  // that clients put on the model
  int64_t step_ = 0;
  int64_t parameter_version_ = 0;
  bool draws_in_eval_ = false;
  bool changed_ = true;
  bool modes_changed_ = true;
  bool accumulating_ = false;  // accumulate_only left gradients for the next step
};

}  // namespace tapewire
