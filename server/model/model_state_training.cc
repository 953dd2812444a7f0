// Steps of a model.

#include <cmath>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/optim/clip.h"
#include "server/model/evaluation.h"
#include "server/model/phase_timer.h"
#include "server/model/transaction.h"

namespace tapewire {
namespace {

void check_rate(const std::optional<double>& rate) {
  if (rate && !(*rate >= 0 && std::isfinite(*rate))) fail("learning_rate: Invalid learning rate: ", *rate);
}

void check_clip(const ClipArgs& clip) {
  if (clip.max_norm && !(*clip.max_norm > 0)) fail("clip.max_norm: must be positive, got ", *clip.max_norm);
  if (clip.max_value && !(*clip.max_value >= 0)) fail("clip.max_value: must not be negative, got ", *clip.max_value);
  if (!(clip.norm_type > 0)) fail("clip.norm_type: must be positive, got ", clip.norm_type);
}

}  // namespace

StepResult ModelState::step_info() const {
  StepResult info;
  info.step = step_;
  info.parameter_version = parameter_version_;
  if (parts_.optimizer) info.learning_rate = parts_.optimizer->learning_rate();
  return info;
}

// False when the value is not finite and the step is to be skipped. Throws when it is to fail.
bool ModelState::check_finite(double value, bool is_loss) {
  if (std::isfinite(value)) return true;
  metrics_->add_nonfinite(is_loss ? NonFinite::kLoss : NonFinite::kGradient);
  if (parts_.on_nonfinite == v1::NON_FINITE_FAIL) {
    fail_precondition("the ", is_loss ? "loss" : "gradient norm", " is ", value, " at step ", step_,
                      "; nothing was changed (runtime.on_nonfinite)");
  }
  return parts_.on_nonfinite == v1::NON_FINITE_APPLY;
}

bool ModelState::advances_schedule(const StepArgs& args) const {
  return parts_.scheduler && (!parts_.scheduler_by_epoch || args.end_of_epoch);
}

// What can be wrong with a step before anything is computed.
void ModelState::check_step(const StepArgs& args) const {
  check_version(args.expected_version);
  check_rate(args.learning_rate);
  check_clip(args.clip);
  if (advances_schedule(args)) parts_.scheduler->check_step(args.metric);
}

StepResult ModelState::apply_gradients(const StepArgs& args, std::optional<double> loss, Transaction& transaction) {
  const double norm = grad_norm(parameters_, 2);
  if (!check_finite(norm, false)) {
    transaction.commit();
    if (!args.keep_gradients) zero_grad();
    StepResult skipped = step_info();
    skipped.loss = loss;
    skipped.grad_norm = norm;
    skipped.metrics["skipped"] = 1;
    return skipped;
  }
  if (args.clip.max_norm) clip_grad_norm(parameters_, *args.clip.max_norm, args.clip.norm_type);
  if (args.clip.max_value) clip_grad_value(parameters_, *args.clip.max_value);

  const PhaseTimer timer(*metrics_, Phase::kStep);
  Optimizer& optimizer = *parts_.optimizer;
  std::vector<double> rates;
  for (size_t g = 0; g < optimizer.group_count(); ++g) rates.push_back(optimizer.learning_rate(g));
  if (args.learning_rate) optimizer.set_learning_rate(*args.learning_rate);
  const double used = optimizer.learning_rate();
  transaction.release_parameters();
  try {
    optimizer.step();
  } catch (...) {
    for (size_t g = 0; g < rates.size(); ++g) optimizer.set_learning_rate(g, rates[g]);
    throw;
  }
  // From here on nothing fails: the step has been made.
  if (args.learning_rate) {
    for (size_t g = 0; g < rates.size(); ++g) optimizer.set_learning_rate(g, rates[g]);
  }
  if (advances_schedule(args)) parts_.scheduler->step(args.metric);
  ++step_;
  transaction.commit(/*parameters_changed=*/true);
  if (!args.keep_gradients) accumulating_ = false;

  StepResult result = step_info();
  result.loss = loss;
  result.grad_norm = norm;
  result.learning_rate = used;
  metrics_->add_step();
  metrics_->set_grad_norm(norm);
  metrics_->set_learning_rate(used);
  if (loss) metrics_->set_loss(*loss);
  return result;
}

StepResult ModelState::step(const StepArgs& args) {
  if (!parts_.optimizer) fail_precondition("the model has no optimizer; give one in its definition");
  check_step(args);
  Transaction transaction(*this);
  StepResult result = apply_gradients(args, {}, transaction);
  if (!args.keep_gradients) zero_grad();
  return result;
}

StepResult ModelState::train_step(const TrainStepArgs& args) {
  if (!args.accumulate_only && !parts_.optimizer) {
    fail_precondition("the model has no optimizer; give one in its definition, or set accumulate_only");
  }
  const StepArgs& step = args.step;
  if (!args.accumulate_only) {
    check_step(step);
  } else {
    check_version(step.expected_version);
    if (step.clip.max_norm || step.clip.max_value || step.learning_rate || step.end_of_epoch || step.metric) {
      fail("accumulate_only: makes no step, so clip, learning_rate, end_of_epoch and metric have no place");
    }
  }
  if (!std::isfinite(args.loss_scale)) fail("loss_scale: must be finite, got ", args.loss_scale);
  const BuiltLoss loss_module = loss_or_default(args.loss ? &*args.loss : nullptr);
  Transaction transaction(*this);
  std::optional<Generator> seeded;
  std::optional<GeneratorScope> random;
  if (args.seed) {
    seeded.emplace(*args.seed);
    random.emplace(*seeded);
  }
  const AnomalyGuard anomaly(args.detect_anomaly);
  // Gradients that accumulate_only calls left belong to this step; older ones do not.
  if (!accumulating_) {
    for (const NamedTensor& p : parameters_) set_gradient(p.tensor, {});
  }

  std::vector<NamedTensor> outputs;
  Tensor loss;
  {
    const PhaseTimer timer(*metrics_, Phase::kForward);
    outputs = signature_->name_outputs((*parts_.root)(signature_->arguments(args.inputs)));
    loss = compute_loss(loss_module, outputs, args.targets);
  }
  if (loss.numel() != 1) fail("loss: must be a scalar, got ", to_string(loss.spec()), "; set its reduction");
  const double value = loss.item<double>();
  // Copies them where they are views: while the call may still fail.
  std::vector<NamedTensor> answered;
  if (args.return_outputs) {
    check_answer({&outputs}, args.max_answer_bytes);
    for (const NamedTensor& o : outputs) answered.push_back({o.name, frozen(o.tensor)});
  }
  StepResult result;
  if (check_finite(value, true)) {
    {
      const PhaseTimer timer(*metrics_, Phase::kBackward);
      const Tensor scale = Tensor::full(loss.sizes(), args.loss_scale, loss.dtype());
      tapewire::backward(loss, scale);
    }
    if (args.accumulate_only) {
      check_cancelled();
      accumulating_ = true;
      transaction.commit();
      result = step_info();
      result.loss = value;
    } else {
      result = apply_gradients(args.step, value, transaction);
      if (result.metrics.contains("skipped")) zero_grad();  // what is not finite is of no use to a later step
      accumulating_ = false;
    }
  } else {
    // Skipped: batch statistics and random state moved on, gradients are as before.
    transaction.restore_gradients();
    transaction.commit();
    result = step_info();
    result.loss = value;
    result.metrics["skipped"] = 1;
  }
  metrics_->add_samples(batch_size(args.inputs));
  result.outputs = std::move(answered);
  return result;
}

}  // namespace tapewire
