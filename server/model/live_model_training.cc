// Steps and evaluation of a live model.

#include <algorithm>
#include <array>
#include <cmath>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/optim/clip.h"
#include "server/model/phase_timer.h"
#include "server/model/transaction.h"

namespace tapewire {
namespace {

int64_t batch_size(const std::vector<NamedTensor>& inputs) {
  if (inputs.empty() || inputs[0].tensor.dim() == 0) return 1;
  return inputs[0].tensor.size(0);
}

constexpr std::array<std::string_view, 4> kMetricNames{"accuracy", "top5", "mae", "mse"};

void check_rate(const std::optional<double>& rate) {
  if (rate && !(*rate >= 0 && std::isfinite(*rate))) fail("learning_rate: Invalid learning rate: ", *rate);
}

void check_clip(const ClipArgs& clip) {
  if (clip.max_norm && !(*clip.max_norm > 0)) fail("clip.max_norm: must be positive, got ", *clip.max_norm);
  if (clip.max_value && !(*clip.max_value >= 0)) fail("clip.max_value: must not be negative, got ", *clip.max_value);
  if (!(clip.norm_type > 0)) fail("clip.norm_type: must be positive, got ", clip.norm_type);
}

// How many of the rows have their target class among the k largest scores.
int64_t hits(const Tensor& scores, const Tensor& target, int64_t k) {
  const std::vector<double> s = scores.to_vector<double>();
  const std::vector<int64_t> t = target.to_vector<int64_t>();
  const auto classes = static_cast<size_t>(scores.size(1));
  int64_t count = 0;
  for (size_t row = 0; row < t.size(); ++row) {
    if (t[row] < 0 || t[row] >= static_cast<int64_t>(classes)) {
      fail("targets[0]: class ", t[row], " is out of range for ", classes, " classes");
    }
    const double own = s[row * classes + static_cast<size_t>(t[row])];
    int64_t better = 0;
    for (size_t c = 0; c < classes; ++c) {
      const double other = s[row * classes + c];
      // Of equal scores the first class counts, as argmax has it.
      better += other > own || (other == own && c < static_cast<size_t>(t[row])) ? 1 : 0;
    }
    count += std::isnan(own) || better >= k ? 0 : 1;
  }
  return count;
}

}  // namespace

StepResult LiveModel::step_info() const {
  StepResult info;
  info.step = step_;
  info.parameter_version = parameter_version_;
  if (parts_.optimizer) info.learning_rate = parts_.optimizer->learning_rate();
  return info;
}

// False when the value is not finite and the step is to be skipped. Throws when it is to fail.
bool LiveModel::check_finite(double value, bool is_loss) {
  if (std::isfinite(value)) return true;
  metrics_->add_nonfinite(is_loss ? NonFinite::kLoss : NonFinite::kGradient);
  if (parts_.on_nonfinite == v1::NON_FINITE_FAIL) {
    fail_precondition("the ", is_loss ? "loss" : "gradient norm", " is ", value, " at step ", step_,
                      "; nothing was changed (runtime.on_nonfinite)");
  }
  return parts_.on_nonfinite == v1::NON_FINITE_APPLY;
}

bool LiveModel::advances_schedule(const StepArgs& args) const {
  return parts_.scheduler && (!parts_.scheduler_by_epoch || args.end_of_epoch);
}

// What can be wrong with a step before anything is computed.
void LiveModel::check_step(const StepArgs& args) const {
  check_version(args.expected_version);
  check_rate(args.learning_rate);
  check_clip(args.clip);
  if (advances_schedule(args)) parts_.scheduler->check_step(args.metric);
}

StepResult LiveModel::apply_gradients(const StepArgs& args, std::optional<double> loss, Transaction& transaction) {
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

StepResult LiveModel::step(const StepArgs& args) {
  if (!parts_.optimizer) fail_precondition("the model has no optimizer; give one in its definition");
  check_step(args);
  Transaction transaction(*this);
  StepResult result = apply_gradients(args, {}, transaction);
  if (!args.keep_gradients) zero_grad();
  return result;
}

StepResult LiveModel::train_step(const TrainStepArgs& args) {
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
    outputs = name_outputs((*parts_.root)(arguments(args.inputs, {}, nullptr)));
    loss = compute_loss(loss_module, outputs, args.targets);
  }
  if (loss.numel() != 1) fail("loss: must be a scalar, got ", to_string(loss.spec()), "; set its reduction");
  const double value = loss.item<double>();
  if (args.return_outputs) check_answer({&outputs}, args.max_answer_bytes);
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
  if (args.return_outputs) {
    for (const NamedTensor& o : outputs) result.outputs.push_back({o.name, frozen(o.tensor)});
  }
  return result;
}

Evaluation LiveModel::begin_evaluation(std::vector<std::string> metrics, const v1::LossSpec* loss) const {
  Evaluation out;
  for (size_t i = 0; i < metrics.size(); ++i) {
    if (std::ranges::find(kMetricNames, metrics[i]) == kMetricNames.end()) {
      fail("metrics[", i, "]: unknown metric ", quoted(metrics[i]), did_you_mean(metrics[i], kMetricNames),
           " (accuracy, top5, mae, mse)");
    }
    if (!out.sums.emplace(metrics[i], 0).second) fail("metrics[", i, "]: ", quoted(metrics[i]), " is given twice");
  }
  out.metrics = std::move(metrics);
  if (loss != nullptr || parts_.loss.module) out.loss = loss_or_default(loss);
  return out;
}

void LiveModel::evaluate_batch(Module& root, const EvaluateBatch& batch, Evaluation& evaluation) const {
  const NoGradGuard no_grad;
  const PhaseTimer timer(*metrics_, Phase::kEvaluate);
  const std::vector<NamedTensor> outputs = name_outputs(root(arguments(batch.inputs, {}, nullptr)));
  const int64_t samples = batch_size(batch.inputs);
  if (!evaluation.metrics.empty() && (batch.targets.size() != 1 || outputs.empty())) {
    fail("targets: metrics need an output and one target a batch, got ", outputs.size(), " and ", batch.targets.size());
  }
  if (evaluation.loss.module) {
    const double loss = compute_loss(evaluation.loss, outputs, batch.targets).item<double>();
    evaluation.loss_sum += evaluation.loss.module->sums() ? loss : loss * static_cast<double>(samples);
  }
  for (const std::string& metric : evaluation.metrics) {
    const Tensor& output = outputs[0].tensor;
    const Tensor& target = batch.targets[0].tensor;
    double& sum = evaluation.sums[metric];
    if (metric == "accuracy" || metric == "top5") {
      if (output.dim() != 2 || target.dim() != 1 || target.dtype() != DType::kInt64 ||
          target.size(0) != output.size(0)) {
        fail("metric ", metric, ": expects output [N, classes] and target int64[N], got ", to_string(output.spec()),
             " and ", to_string(target.spec()));
      }
      sum += static_cast<double>(hits(output, target, metric == "top5" ? 5 : 1));
      continue;
    }
    if (output.sizes() != target.sizes()) {
      fail("metric ", metric, ": output ", to_string(output.spec()), " and target ", to_string(target.spec()),
           " differ in shape");
    }
    const std::vector<double> y = output.to_vector<double>();
    const std::vector<double> t = target.to_vector<double>();
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i)
      total += metric == "mae" ? std::abs(y[i] - t[i]) : (y[i] - t[i]) * (y[i] - t[i]);
    sum += y.empty() ? 0 : total / static_cast<double>(y.size()) * static_cast<double>(samples);
  }
  evaluation.samples += samples;
}

}  // namespace tapewire
