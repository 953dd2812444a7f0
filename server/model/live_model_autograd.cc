// Forward and Backward of a live model.

#include <algorithm>
#include <cmath>

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/kernels/reduce.h"
#include "server/model/phase_timer.h"
#include "server/model/transaction.h"

namespace tapewire {
namespace {

// Takes the outputs of modules during one forward, under their paths.
class Captures {
 public:
  void watch(Module& module, const std::string& path) {
    handles_.push_back(module.register_forward_hook([this, path](Module&, const Args&, const Value& output) {
      std::vector<Tensor> tensors;
      flatten_tensors(output, tensors);
      for (size_t i = 0; i < tensors.size(); ++i) taken_.push_back({i == 0 ? path : str_cat(path, "_", i), tensors[i]});
      return std::optional<Value>();
    }));
  }
  ~Captures() {
    for (HookHandle& handle : handles_) handle.remove();
  }
  const std::vector<NamedTensor>& taken() const { return taken_; }

 private:
  std::vector<HookHandle> handles_;
  std::vector<NamedTensor> taken_;
};

std::vector<NamedTensor> freeze(const std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> out;
  for (const NamedTensor& t : tensors) out.push_back({t.name, frozen(t.tensor)});
  return out;
}

}  // namespace

ForwardResult LiveModel::forward(const ForwardArgs& args) {
  if (args.keep_tape) tapes_.check_room();
  Transaction transaction(*this);
  ModeScope mode(*this, args.training);
  Captures captures;
  for (const std::string& path : args.capture) captures.watch(require_module_at(path, "capture"), path);
  std::optional<Generator> seeded;
  std::optional<GeneratorScope> random;
  if (args.seed) {
    seeded.emplace(*args.seed);
    random.emplace(*seeded);
  }
  const GradModeGuard grad_mode(args.keep_tape);
  const AnomalyGuard anomaly(args.detect_anomaly);
  auto tape = std::make_shared<Tape>();
  const Args inputs = arguments(args.inputs, args.inputs_require_grad, &tape->inputs);
  ForwardResult result;
  {
    const PhaseTimer timer(*metrics_, Phase::kForward);
    tape->outputs = name_outputs((*parts_.root)(inputs));
  }
  for (const NamedTensor& captured : captures.taken()) {
    if (captured.tensor.requires_grad()) retain_grad(captured.tensor);
    tape->captured.push_back(captured);
  }
  result.outputs = freeze(tape->outputs);
  result.captured = freeze(tape->captured);
  check_answer({&result.outputs, &result.captured}, args.max_answer_bytes);
  check_cancelled();
  transaction.commit();
  result.parameter_version = parameter_version_;
  if (args.keep_tape) {
    tape->id = unguessable_id();
    tape->lease = args.lease.value_or(settings_.tape_lease);
    tape->parameter_version = parameter_version_;
    std::vector<const Storage*> known;
    for (const NamedTensor& p : parameters_) known.push_back(&p.tensor.storage());
    std::vector<NamedTensor> roots = tape->outputs;
    roots.insert(roots.end(), tape->captured.begin(), tape->captured.end());
    roots.insert(roots.end(), tape->inputs.begin(), tape->inputs.end());
    tape->bytes = tape_bytes(roots, known);
    tapes_.add(tape);
    metrics_->add_tapes(1);
    metrics_->add_tape_bytes(tape->bytes);
    result.tape = tape;
  }
  return result;
}

ForwardResult LiveModel::forward_snapshot(Module& root, const ForwardArgs& args, int64_t version) const {
  const NoGradGuard no_grad;
  const PhaseTimer timer(*metrics_, Phase::kInfer);
  ForwardResult result;
  result.outputs = name_outputs(root(arguments(args.inputs, {}, nullptr)));
  result.parameter_version = version;
  return result;
}

BackwardResult LiveModel::backward(const BackwardArgs& args) {
  Tape& tape = *args.tape;
  tapes_.pin(tape.id);  // another call may have used it up or let it go since
  check_version(args.expected_version);
  Transaction transaction(*this);
  const AnomalyGuard anomaly(args.detect_anomaly);

  // Where the walk begins.
  std::vector<Tensor> roots;
  std::vector<Tensor> grads;
  std::optional<double> loss_value;
  const bool from_loss = args.loss || !args.targets.empty();
  if (from_loss && !args.output_grads.empty()) fail("output_grads and a loss (or targets) exclude each other");
  if (from_loss) {
    const Tensor loss = loss_of(loss_or_default(args.loss ? &*args.loss : nullptr), tape.outputs, args.targets);
    loss_value = loss.item<double>();
    check_finite(*loss_value, true);
    roots.push_back(loss);
  } else if (args.output_grads.empty()) {
    if (tape.outputs.size() != 1)
      fail("output_grads: needed, or a loss, where there are ", tape.outputs.size(), " outputs");
    roots.push_back(tape.outputs[0].tensor);
  }
  for (size_t i = 0; i < args.output_grads.size(); ++i) {
    const NamedTensor& given = args.output_grads[i];
    const bool lone = given.name.empty() && args.output_grads.size() == 1 && !tape.outputs.empty();
    const Tensor at = lone ? tape.outputs[0].tensor : tape.find(given.name);
    if (!at.defined()) {
      std::vector<std::string_view> known;
      for (const NamedTensor& o : tape.outputs) known.push_back(o.name);
      for (const NamedTensor& c : tape.captured) known.push_back(c.name);
      fail("output_grads[", i, "]: the tape has no tensor ", quoted(given.name), did_you_mean(given.name, known));
    }
    roots.push_back(at);
    grads.push_back(given.tensor);
  }

  // Gradients that come back are those of this call alone.
  for (const std::string& path : args.capture_grads) {
    if (std::ranges::find(tape.captured, path, &NamedTensor::name) == tape.captured.end()) {
      fail("capture_grads: the tape captured no ", quoted(path), "; name it in capture of Forward");
    }
  }
  for (const auto* list : {&tape.captured, &tape.inputs}) {
    for (const NamedTensor& t : *list) {
      if (t.tensor.requires_grad()) set_gradient(t.tensor, {});
    }
  }
  {
    const PhaseTimer timer(*metrics_, Phase::kBackward);
    // Kept until nothing can fail any more, so that a call that fails can be made again.
    tapewire::backward(roots, grads, {.retain_graph = true});
  }

  BackwardResult result;
  double squares = 0;
  for (const NamedTensor& p : parameters_) {
    const Tensor grad = gradient(p.tensor);
    if (!grad.defined()) continue;
    const double own = kernels::sum_of_squares(grad);
    squares += own;
    result.gradient_norms.emplace_back(p.name, std::sqrt(own));
  }
  const double norm = std::sqrt(squares);
  check_finite(norm, false);
  const auto collect = [](const NamedTensor& t) {
    const Tensor grad = gradient(t.tensor);
    return NamedTensor{t.name, grad.defined() ? frozen(grad) : Tensor()};
  };
  if (args.return_input_grads) {
    for (const NamedTensor& in : tape.inputs) {
      if (in.tensor.requires_grad()) result.input_grads.push_back(collect(in));
    }
  }
  for (const std::string& path : args.capture_grads) {
    result.captured_grads.push_back(collect(*std::ranges::find(tape.captured, path, &NamedTensor::name)));
  }
  check_answer({&result.input_grads, &result.captured_grads}, args.max_answer_bytes);
  check_cancelled();
  if (!args.retain_tape && tapes_.use_up(tape.id)) {
    metrics_->add_tapes(-1);
    metrics_->add_tape_bytes(-tape.bytes);
  }
  transaction.commit();
  result.info = step_info();
  result.info.loss = loss_value;
  result.info.grad_norm = norm;
  if (loss_value) metrics_->set_loss(*loss_value);
  metrics_->set_grad_norm(norm);
  return result;
}

}  // namespace tapewire
