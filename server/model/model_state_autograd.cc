// Forward, Backward and Grad of a live model.

#include <algorithm>
#include <cmath>

#include "absl/cleanup/cleanup.h"
#include "core/autograd/accumulate_grad.h"
#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/base/unguessable_id.h"
#include "core/kernels/reduce.h"
#include "server/model/captures.h"
#include "server/model/phase_timer.h"
#include "server/model/transaction.h"

namespace tapewire {
namespace {

constexpr std::string_view kGradPrefix = "grad:";

std::vector<NamedTensor> freeze(const std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> out;
  for (const NamedTensor& t : tensors) out.push_back({t.name, frozen(t.tensor)});
  return out;
}

// Where a walk begins, and with what: at output_grads, at scalars, or at the tape's one output. `alternative`: what the
// call takes in place of output_grads.
void name_roots(const Tape& tape, const std::vector<NamedTensor>& output_grads, const std::vector<std::string>& scalars,
                std::string_view alternative, std::vector<Tensor>& roots, std::vector<Tensor>& grads) {
  if (!output_grads.empty() && !scalars.empty()) fail("output_grads and outputs exclude each other");
  for (size_t i = 0; i < output_grads.size(); ++i) {
    const NamedTensor& given = output_grads[i];
    const bool lone = given.name.empty() && output_grads.size() == 1 && !tape.outputs.empty();
    roots.push_back(lone ? tape.outputs[0].tensor : tape.require(given.name, str_cat("output_grads[", i, "]")));
    grads.push_back(given.tensor);
  }
  for (size_t i = 0; i < scalars.size(); ++i) {
    roots.push_back(tape.require(scalars[i], str_cat("outputs[", i, "]")));
  }
  if (!roots.empty()) return;
  if (tape.outputs.size() != 1) {
    fail("output_grads: needed, or ", alternative, ", where there are ", tape.outputs.size(), " outputs");
  }
  roots.push_back(tape.outputs[0].tensor);
}

// Of the tensors that were captured, and of the inputs.
void forget_gradients(const Tape& tape) {
  for (const auto* list : {&tape.captured, &tape.inputs}) {
    for (const NamedTensor& t : *list) {
      if (t.tensor.requires_grad()) set_gradient(t.tensor, {});
    }
  }
}

}  // namespace

int64_t ModelState::bytes_of(const Tape& tape) const {
  std::vector<const Storage*> known;
  for (const NamedTensor& p : parameters_) known.push_back(&p.tensor.storage());
  return tape_bytes(tape, known);
}

ForwardResult ModelState::forward(const ForwardArgs& args) {
  if (args.keep_tape) tapes_->check_room();
  Transaction transaction(*this);
  ModeScope mode(*this, args.training);
  Captures captures;
  captures.watch_all(args.capture,
                     [this](const std::string& path) -> Module& { return require_module_at(path, "capture"); });
  const bool is_read = !args.keep_tape && is_eval();
  std::optional<Generator> seeded;
  std::optional<GeneratorScope> random;
  if (args.seed) {
    seeded.emplace(*args.seed);
    random.emplace(*seeded);
  }
  const GradModeGuard grad_mode(args.keep_tape);
  const AnomalyGuard anomaly(args.detect_anomaly);
  auto tape = std::make_shared<Tape>();
  const Args inputs = signature_->arguments(args.inputs, args.inputs_require_grad, &tape->inputs);
  ForwardResult result;
  {
    const PhaseTimer timer(*metrics_, Phase::kForward);
    tape->outputs = signature_->name_outputs((*parts_.root)(inputs));
  }
  tape->captured = captures.taken();
  result.outputs = freeze(tape->outputs);
  result.captured = freeze(tape->captured);
  check_answer({&result.outputs, &result.captured}, args.max_answer_bytes);
  check_cancelled();
  if (is_read) transaction.restore_values();
  transaction.commit();
  result.parameter_version = parameter_version_;
  if (args.keep_tape) {
    tape->id = unguessable_id();
    tape->lease = args.lease.value_or(settings_.tape_lease);
    tape->parameter_version = parameter_version_;
    tape->bytes = bytes_of(*tape);
    tapes_->add(tape);
    result.tape = tape;
  }
  return result;
}

BackwardResult ModelState::backward(const BackwardArgs& args) {
  Tape& tape = *args.tape;
  tapes_->pin(tape.id);  // another call may have used it up or let it go since
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
    const Tensor loss = compute_loss(loss_or_default(args.loss ? &*args.loss : nullptr), tape.outputs, args.targets);
    loss_value = loss.item<double>();
    check_finite(*loss_value, true);
    roots.push_back(loss);
  } else {
    name_roots(tape, args.output_grads, {}, "a loss", roots, grads);
  }

  // Gradients that come back are those of this call alone.
  for (const std::string& path : args.capture_grads) {
    if (std::ranges::find(tape.captured, path, &NamedTensor::name) == tape.captured.end()) {
      fail("capture_grads: the tape captured no ", quoted(path), "; name it in capture of Forward");
    }
  }
  forget_gradients(tape);
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
  if (!args.retain_tape) drop_tape(tape);
  transaction.commit();
  result.info = step_info();
  result.info.loss = loss_value;
  result.info.grad_norm = norm;
  if (loss_value) metrics_->set_loss(*loss_value);
  metrics_->set_grad_norm(norm);
  return result;
}

GradResult ModelState::grad(const GradArgs& args) {
  Tape& tape = *args.tape;
  tapes_->pin(tape.id);  // another call may have used it up or let it go since
  Transaction transaction(*this);
  std::vector<Tensor> roots;
  std::vector<Tensor> grads;
  name_roots(tape, args.output_grads, args.outputs, "the names of scalars", roots, grads);
  if (args.wrt.empty()) fail("wrt: names no tensor to differentiate by");
  std::vector<Tensor> wanted;
  for (size_t i = 0; i < args.wrt.size(); ++i) {
    const std::string where = str_cat("wrt[", i, "]");
    wanted.push_back(tape.find(args.wrt[i]));
    if (!wanted.back().defined()) wanted.back() = find_parameter(args.wrt[i]);
    if (!wanted.back().defined()) tape.require(args.wrt[i], where);
    if (!wanted.back().requires_grad()) {
      fail(where, ": ", quoted(args.wrt[i]), " does not require grad; inputs do when inputs_require_grad names them");
    }
  }
  // A recorded gradient may be constant: nothing was used to make it.
  if (args.allow_unused) {
    for (size_t i = args.output_grads.size(); i-- > 0;) {
      if (roots[i].requires_grad() || !args.output_grads[i].name.starts_with(kGradPrefix)) continue;
      roots.erase(roots.begin() + static_cast<std::ptrdiff_t>(i));
      grads.erase(grads.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  GradResult result;
  Tensors found(wanted.size());
  if (!roots.empty()) {
    const PhaseTimer timer(*metrics_, Phase::kBackward);
    // What was captured retains its gradient in any pass; one with a tape of its own would keep what keeps it.
    const absl::Cleanup forget = [&tape] { forget_gradients(tape); };
    // Kept until nothing can fail any more, so that a call that fails can be made again.
    found =
        tapewire::grad(roots, wanted, grads,
                       {.retain_graph = true, .create_graph = args.create_graph, .allow_unused = args.allow_unused});
  }
  for (size_t i = 0; i < found.size(); ++i) {
    result.grads.push_back({args.wrt[i], found[i].defined() ? frozen(found[i]) : Tensor()});
  }
  check_answer({&result.grads}, args.max_answer_bytes);
  check_cancelled();
  transaction.commit();
  if (args.create_graph) {
    for (size_t i = 0; i < found.size(); ++i) {
      const std::string name = str_cat(kGradPrefix, args.wrt[i]);
      std::erase_if(tape.grads, [&](const NamedTensor& known) { return known.name == name; });
      if (found[i].defined()) tape.grads.push_back({name, found[i]});
    }
    tapes_->changed(tape, bytes_of(tape));
  }
  if (args.create_graph || args.retain_tape) {
    result.tape = args.tape;
  } else {
    drop_tape(tape);
  }
  return result;
}

}  // namespace tapewire
