#include "server/model/live_model.h"

#include <algorithm>

#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/graph/graph_module.h"
#include "core/ops/shape_ops.h"
#include "server/model/glob.h"
#include "server/model/transaction.h"

namespace tapewire {
namespace {

int threads_of(const v1::ModelSpec& spec, const ModelSettings& settings, const ComputePool& pool) {
  const int asked = spec.runtime().compute_threads();
  if (asked > pool.permits()) {
    fail("runtime.compute_threads: ", asked, " is more than the server's ", pool.permits(), " (--compute_threads)");
  }
  return std::clamp(asked > 0 ? asked : settings.compute_threads, 1, pool.permits());
}

std::string numbered(std::string_view base, size_t i) { return i == 0 ? std::string(base) : str_cat(base, "_", i); }

}  // namespace

LiveModel::LiveModel(std::string name, const v1::ModelSpec& spec, uint64_t seed, const ModelSettings& settings,
                     ComputePool& pool, std::shared_ptr<ModelMetrics> metrics, ChangeId created_by)
    : name_(std::move(name)),
      spec_(spec),
      created_by_(std::move(created_by)),
      settings_(settings),
      pool_(pool),
      metrics_(std::move(metrics)),
      threads_(threads_of(spec, settings, pool)),
      strand_(pool, {.name = str_cat("model '", name_, "'"),
                     .max_queue = settings.max_queue,
                     .observer = {.waited = [m = metrics_](double seconds) { m->observe_queue_wait(seconds); },
                                  .depth_changed = [m = metrics_](int delta) { m->add_queue_depth(delta); }}}),
      tapes_(settings.max_tapes),
      generator_(seed) {
  once_.note(created_by_, "CreateModel", std::nullopt);
  GeneratorScope random(generator_);
  parts_ = build_model(spec, settings_.definition);
  spec_.built();
  modules_ = parts_.root->named_modules();
  parameters_ = parts_.root->named_parameters();
  buffers_ = parts_.root->named_buffers();
  draws_in_eval_ = std::ranges::any_of(modules_, [](const NamedModule& m) {
    const auto* graph = dynamic_cast<const GraphModule*>(m.module.get());
    return graph != nullptr && graph->draws_in_eval();
  });
  MutexLock lock(info_mutex_);
  for (const NamedTensor& p : parameters_) {
    info_.parameter_count += p.tensor.numel();
    info_.parameter_bytes += static_cast<int64_t>(p.tensor.nbytes());
  }
  info_.create_time = std::chrono::system_clock::now();
  info_.update_time = info_.create_time;
  if (parts_.optimizer) metrics_->set_learning_rate(parts_.optimizer->learning_rate());
}

LiveModel::~LiveModel() = default;

ModelInfo LiveModel::info() const {
  MutexLock lock(info_mutex_);
  return info_;
}

void LiveModel::publish() {
  if (!changed_) return;
  changed_ = false;
  all_eval_ = std::ranges::none_of(modules_, [](const NamedModule& m) { return m.module->training(); });
  metrics_->set_parameter_version(parameter_version_);
  if (has_readers_) commit_for_readers();
  MutexLock lock(info_mutex_);
  info_.training = parts_.root->training();
  info_.step = step_;
  info_.parameter_version = parameter_version_;
  info_.update_time = std::chrono::system_clock::now();
}

void LiveModel::commit_for_readers() {
  auto committed = std::make_shared<Committed>();
  committed->parameter_version = parameter_version_;
  for (const NamedTensor& p : parameters_) committed->bytes.push_back(p.tensor.storage().share_buffer());
  for (const NamedTensor& b : buffers_) committed->bytes.push_back(b.tensor.storage().share_buffer());
  MutexLock lock(info_mutex_);
  committed_ = std::move(committed);
}

void LiveModel::submit_read(const std::shared_ptr<CancelSource>& cancel,
                            std::function<void(absl::StatusOr<std::shared_ptr<const Committed>>)> then) {
  std::shared_ptr<const Committed> committed;
  {
    MutexLock lock(info_mutex_);
    committed = committed_;
  }
  if (committed) {
    then(std::move(committed));
    return;
  }
  submit(
      cancel,
      [](LiveModel& model) {
        model.has_readers_ = true;
        model.commit_for_readers();
        MutexLock lock(model.info_mutex_);
        return model.committed_;
      },
      std::move(then));
}

bool LiveModel::reads_snapshot(const ForwardArgs& args) const {
  if (args.keep_tape || args.seed || args.detect_anomaly || !args.capture.empty() ||
      !args.inputs_require_grad.empty() || draws_in_eval_) {
    return false;
  }
  return hook_count_ == 0 && !args.training.value_or(!all_eval_);
}

bool LiveModel::on_delete(std::function<void()> callback) {
  MutexLock lock(info_mutex_);
  if (closed_) return false;
  on_delete_.push_back(std::move(callback));
  return true;
}

void LiveModel::close(absl::AnyInvocable<void()> ended) {
  strand_.close(absl::NotFoundError(str_cat("model '", name_, "' was deleted")), std::move(ended));
  for (const TapeStore::Entry& entry : tapes_.list()) {
    try {
      tapes_.release(entry.tape->id);
    } catch (const Error&) {
      // Another call released it first.
    }
  }
  std::vector<std::function<void()>> callbacks;
  {
    MutexLock lock(info_mutex_);
    closed_ = true;
    callbacks.swap(on_delete_);
  }
  for (const auto& callback : callbacks) callback();
}

void LiveModel::release_tape(const std::string& id) {
  const std::shared_ptr<Tape> tape = tapes_.release(id);
  if (!tape) return;
  metrics_->add_tapes(-1);
  metrics_->add_tape_bytes(-tape->bytes);
}

void LiveModel::expire(TapeStore::Clock::time_point now) {
  for (const std::shared_ptr<Tape>& tape : tapes_.expire(now)) {
    metrics_->add_tapes(-1);
    metrics_->add_tape_bytes(-tape->bytes);
  }
  std::vector<std::function<void()>> callbacks;
  {
    MutexLock lock(info_mutex_);
    callbacks = on_expire_;
  }
  for (const auto& callback : callbacks) callback();
}

void LiveModel::on_expire(std::function<void()> callback) {
  MutexLock lock(info_mutex_);
  on_expire_.push_back(std::move(callback));
}

Module& LiveModel::require_module_at(const std::string& path, const std::string& where) {
  for (const NamedModule& m : modules_) {
    if (m.name == path) return *m.module;
  }
  std::vector<std::string_view> known;
  for (const NamedModule& m : modules_) known.push_back(m.name);
  fail(where, ": no module ", quoted(path), did_you_mean(path, known));
}

Tensor LiveModel::require_parameter(const std::string& path, const std::string& where) {
  std::vector<std::string_view> known;
  for (const NamedTensor& p : parameters_) {
    if (p.name == path) return p.tensor;
    known.push_back(p.name);
  }
  fail(where, ": no parameter ", quoted(path), did_you_mean(path, known));
}

void LiveModel::set_training(bool training, const std::string& path) {
  const auto at = std::ranges::find(modules_, path, &NamedModule::name);
  if (at == modules_.end()) {
    std::vector<std::string_view> known;
    for (const NamedModule& m : modules_) known.push_back(m.name);
    fail_with(absl::StatusCode::kNotFound, "path: no module ", quoted(path), did_you_mean(path, known));
  }
  at->module->train(training);
  changed_ = true;
}

void LiveModel::zero_grad() {
  for (const NamedTensor& p : parameters_) set_gradient(p.tensor, {});
  accumulating_ = false;
}

std::vector<NamedTensor> LiveModel::read_gradients(const std::vector<std::string>& globs) {
  std::vector<NamedTensor> out;
  for (const NamedTensor& p : select_by_globs(globs, parameters_, "parameters", "parameter")) {
    const Tensor grad = gradient(p.tensor);
    if (grad.defined()) out.push_back({p.name, frozen(grad)});
  }
  return out;
}

void LiveModel::add_hooks(int delta) {
  hook_count_ += delta;
  metrics_->add_hooks(delta);
}

Tensor frozen(const Tensor& x) {
  const bool whole = x.is_contiguous() && x.offset() == 0 && x.nbytes() == x.storage().size();
  if (whole) return Tensor::over(x.storage().share_buffer(), x.sizes(), x.dtype());
  NoGradGuard no_grad;
  return clone(detach(x));
}

Args LiveModel::arguments(const std::vector<NamedTensor>& inputs, const std::vector<std::string>& require_grad,
                          std::vector<NamedTensor>* named) const {
  Args args;
  std::vector<std::string_view> known;
  for (const PortSpec& port : parts_.inputs) known.push_back(port.name);
  const auto* graph = dynamic_cast<const GraphModule*>(parts_.root.get());
  std::vector<std::string> grads = require_grad;
  std::vector<bool> given;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string where = str_cat("inputs[", i, "]");
    std::string name = inputs[i].name;
    // The place among the positional arguments: by declaration, or by the names that undeclared inputs have.
    size_t place = 0;
    if (name.empty()) {
      if (inputs.size() > 1) fail(where, ": has no name; only a lone input may be unnamed");
      name = known.empty() ? "input" : std::string(known[0]);
    } else if (!known.empty()) {
      place = static_cast<size_t>(std::ranges::find(known, name) - known.begin());
      if (place == known.size()) fail(where, ": the model has no input ", quoted(name), did_you_mean(name, known));
    } else if (graph != nullptr) {
      const auto& ports = graph->inputs();
      place = static_cast<size_t>(std::ranges::find(ports, name, &GraphInputDef::name) - ports.begin());
      if (place == ports.size()) {
        place = 0;
        while (place < ports.size() && numbered("input", place) != name) ++place;
        if (place == ports.size()) {
          std::vector<std::string_view> names;
          for (const GraphInputDef& port : ports) names.push_back(port.name);
          fail(where, ": the model has no input ", quoted(name), did_you_mean(name, names));
        }
      }
    } else {
      constexpr size_t kMostInputs = 64;
      while (place < kMostInputs && numbered("input", place) != name) ++place;
      if (place == kMostInputs)
        fail(where, ": the model has no input ", quoted(name), "; undeclared ones are input, input_1, ...");
    }
    const Tensor& x = inputs[i].tensor;
    if (place < parts_.inputs.size()) {
      const PortSpec& port = parts_.inputs[place];
      if (!port.fits(x)) {
        fail(where, " ", quoted(name), ": expected ", port.to_string(), ", got ", to_string(x.spec()));
      }
    }
    if (const auto found = std::ranges::find(grads, name); found != grads.end()) {
      grads.erase(found);
      if (!is_floating(x.dtype()))
        fail("inputs_require_grad: input ", quoted(name), " is ", name_of(x.dtype()),
             "; only floating ones can require gradients");
      set_requires_grad(x);
    }
    if (named != nullptr) named->push_back({name, x});
    if (args.positional.size() <= place) {
      args.positional.resize(place + 1);
      given.resize(place + 1);
    }
    if (given[place]) fail(where, ": input ", quoted(name), " is given twice");
    given[place] = true;
    args.positional[place] = x;
  }
  if (!grads.empty()) fail("inputs_require_grad: ", quoted(grads[0]), " names no input of this call");
  for (size_t i = 0; i < given.size(); ++i) {
    const bool optional = graph != nullptr && i < graph->inputs().size() && graph->inputs()[i].optional;
    if (!given[i] && !optional)
      fail("inputs: ", quoted(i < known.size() ? std::string(known[i]) : numbered("input", i)), " is missing");
  }
  return args;
}

std::vector<NamedTensor> LiveModel::name_outputs(const Value& output) const {
  std::vector<Tensor> tensors;
  flatten_tensors(output, tensors);
  std::vector<NamedTensor> out;
  if (tensors.size() < parts_.outputs.size()) {
    fail("outputs: the definition declares ", parts_.outputs.size(), ", the model put out ", tensors.size());
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i >= parts_.outputs.size()) {
      out.push_back({numbered("output", i), tensors[i]});
      continue;
    }
    const PortSpec& port = parts_.outputs[i];
    if (!port.fits(tensors[i])) {
      fail("outputs[", i, "] ", quoted(port.name), ": the definition declares ", port.to_string(),
           ", the model put out ", to_string(tensors[i].spec()));
    }
    out.push_back({port.name, tensors[i]});
  }
  return out;
}

BuiltLoss LiveModel::loss_or_default(const v1::LossSpec* spec) const {
  if (spec != nullptr) return build_loss(*spec, settings_.definition, "loss");
  if (!parts_.loss.module) fail("loss: the call brings none and the model has none");
  return parts_.loss;
}

void LiveModel::check_version(const std::optional<int64_t>& expected) const {
  if (expected && *expected != parameter_version_) {
    fail_precondition("expected_version: the call expects parameter version ", *expected, ", the model is at ",
                      parameter_version_);
  }
}

}  // namespace tapewire
