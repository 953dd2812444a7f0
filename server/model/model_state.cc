#include "server/model/model_state.h"

#include <algorithm>

#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/graph/graph_module.h"
#include "server/model/glob.h"

namespace tapewire {
namespace {

std::vector<std::string_view> names_of(const auto& named) {
  std::vector<std::string_view> out;
  for (const auto& entry : named) out.push_back(entry.name);
  return out;
}

}  // namespace

ModelState::ModelState(const v1::ModelSpec& spec, uint64_t seed, const ModelSettings& settings,
                       std::shared_ptr<ModelMetrics> metrics, std::shared_ptr<TapeStore> tapes,
                       const ChangeId& created_by)
    : settings_(settings), metrics_(std::move(metrics)), tapes_(std::move(tapes)), generator_(seed) {
  hooks_ = std::make_shared<ModelHooks>(settings_.hooks, metrics_, [this] { return step_; }, settings_.expires_at);
  once_.note(created_by, "CreateModel", std::nullopt);
  GeneratorScope random(generator_);
  parts_ = build_model(spec, settings_.definition);
  signature_ = std::make_shared<const ModelSignature>(parts_);
  modules_ = parts_.root->named_modules();
  parameters_ = parts_.root->named_parameters();
  buffers_ = parts_.root->named_buffers();
  for (size_t i = 0; i < modules_.size(); ++i) module_index_.emplace(modules_[i].name, i);
  for (size_t i = 0; i < parameters_.size(); ++i) parameter_index_.emplace(parameters_[i].name, i);
  draws_in_eval_ = std::ranges::any_of(modules_, [](const NamedModule& m) {
    const auto* graph = dynamic_cast<const GraphModule*>(m.module.get());
    return graph != nullptr && graph->draws_in_eval();
  });
  if (parts_.optimizer) metrics_->set_learning_rate(parts_.optimizer->learning_rate());
}

ModelState::~ModelState() = default;

Snapshot ModelState::snapshot() const {
  Snapshot out;
  out.parameter_version = parameter_version_;
  for (const NamedTensor& p : parameters_) out.bytes.push_back(p.tensor.storage().share_buffer());
  for (const NamedTensor& b : buffers_) out.bytes.push_back(b.tensor.storage().share_buffer());
  return out;
}

Module& ModelState::require_module_at(const std::string& path, const std::string& where) {
  const auto found = module_index_.find(path);
  if (found == module_index_.end()) fail(where, ": no module ", quoted(path), did_you_mean(path, names_of(modules_)));
  return *modules_[found->second].module;
}

Tensor ModelState::find_parameter(std::string_view path) const {
  const auto found = parameter_index_.find(path);
  return found == parameter_index_.end() ? Tensor() : parameters_[found->second].tensor;
}

Tensor ModelState::require_parameter(const std::string& path, const std::string& where) {
  Tensor found = find_parameter(path);
  if (!found.defined()) fail(where, ": no parameter ", quoted(path), did_you_mean(path, names_of(parameters_)));
  return found;
}

bool ModelState::is_eval() const {
  return std::ranges::none_of(modules_, [](const NamedModule& m) { return m.module->training(); });
}

void ModelState::set_training(bool training, const std::string& path) {
  const auto found = module_index_.find(path);
  if (found == module_index_.end()) {
    fail_with(absl::StatusCode::kNotFound, "path: no module ", quoted(path), did_you_mean(path, names_of(modules_)));
  }
  modules_[found->second].module->train(training);
  changed_ = true;
  modes_changed_ = true;
}

void ModelState::zero_grad() {
  for (const NamedTensor& p : parameters_) set_gradient(p.tensor, {});
  accumulating_ = false;
}

std::vector<NamedTensor> ModelState::read_gradients(const std::vector<std::string>& globs) {
  std::vector<NamedTensor> out;
  for (const NamedTensor& p : select_by_globs(globs, parameters_, "parameters", "parameter")) {
    const Tensor grad = gradient(p.tensor);
    if (grad.defined()) out.push_back({p.name, frozen(grad)});
  }
  return out;
}

BuiltLoss ModelState::loss_or_default(const v1::LossSpec* spec) const {
  if (spec != nullptr) return build_loss(*spec, settings_.definition, "loss");
  if (!parts_.loss.module) fail("loss: the call brings none and the model has none");
  return parts_.loss;
}

void ModelState::check_version(const std::optional<int64_t>& expected) const {
  if (expected && *expected != parameter_version_) {
    fail_precondition("expected_version: the call expects parameter version ", *expected, ", the model is at ",
                      parameter_version_);
  }
}

}  // namespace tapewire
