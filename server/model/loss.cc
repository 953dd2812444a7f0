#include "server/model/loss.h"

#include <algorithm>

#include "core/base/limit_error.h"
#include "core/base/suggest.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

constexpr std::string_view kTarget = "target";

std::string listed(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view name : names) out += str_cat(out.empty() ? "" : ", ", name);
  return out;
}

const NamedTensor* find(const std::vector<NamedTensor>& tensors, std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

// Binds the arguments of one call of a loss.
class LossCall {
 public:
  explicit LossCall(const BuiltLoss& loss)
      : loss_(loss), names_(loss.module->argument_names()), open_(names_.begin(), names_.end()) {}

  void take_targets(const std::vector<NamedTensor>& targets) {
    for (size_t i = 0; i < targets.size(); ++i) {
      const std::string_view name = targets[i].name;
      if (is_open(name)) {
        bind(name, targets[i].tensor);
      } else if (targets.size() == 1 && is_open(kTarget)) {
        bind(kTarget, targets[i].tensor);
      } else {
        fail("targets[", i, "]: the loss ", loss_.module->type(), " takes targets named after its arguments (",
             listed(names_), "), each once, got ", quoted(name), did_you_mean(name, open_));
      }
    }
    if (is_open(kTarget)) {
      fail("targets: the loss ", loss_.module->type(), " needs its 'target'");
    }
    if (open_.empty()) fail("targets: leave the loss ", loss_.module->type(), " no argument for the model's outputs");
  }

  void take_outputs(const std::vector<NamedTensor>& outputs) {
    if (open_.size() == 1) {
      bind(open_[0], judged_output(loss_, outputs));
      return;
    }
    if (!loss_.output.empty()) {
      fail("loss.output: names one output, but the loss ", loss_.module->type(), " takes several (", listed(open_),
           ")");
    }
    if (outputs.size() < open_.size()) {
      fail("the loss ", loss_.module->type(), " takes ", open_.size(), " of the model's outputs (", listed(open_),
           "), but there are ", outputs.size());
    }
    const std::vector<std::string_view> wanted = open_;
    const bool by_name =
        std::ranges::all_of(wanted, [&](std::string_view name) { return find(outputs, name) != nullptr; });
    for (size_t i = 0; i < wanted.size(); ++i) {
      bind(wanted[i], by_name ? find(outputs, wanted[i])->tensor : outputs[i].tensor);
    }
  }

  /// All arguments in the loss's order. Throws when they would broadcast although they are to be compared one by one.
  Tensors arguments() const {
    Tensors out = loss_.module->arguments(args_);
    loss_.module->check_sizes(out);
    return out;
  }

 private:
  bool is_open(std::string_view name) const { return std::ranges::find(open_, name) != open_.end(); }

  void bind(std::string_view name, const Tensor& tensor) {
    args_.named.emplace_back(name, tensor);
    std::erase(open_, name);
  }

  const BuiltLoss& loss_;
  const std::span<const std::string_view> names_;
  std::vector<std::string_view> open_;  // arguments without a tensor yet
  Args args_;
};

}  // namespace

BuiltLoss build_loss(const v1::LossSpec& spec, const DefinitionLimits& limits, const std::string& path) {
  if (spec.has_graph())
    fail_with(absl::StatusCode::kUnimplemented, path, ".graph: a loss as a graph is not served by this version");
  Faults faults;
  const AttributeMap attributes = to_attributes(spec.attributes(), limits, path, faults);
  const ModuleDef& def = [&]() -> const ModuleDef& {
    try {
      return require_module(spec.type(), ModuleKind::kLoss);
    } catch (const Error& error) {
      throw error.within(path);
    }
  }();
  std::vector<std::string> own;
  std::shared_ptr<Module> module = faults.empty() ? def.make(attributes, own) : nullptr;
  faults.add_all(str_cat(path, ": ", def.name, ": "), own);
  faults.throw_if_any();
  return {std::static_pointer_cast<LossModule>(module), spec.output()};
}

const Tensor& judged_output(const BuiltLoss& loss, const std::vector<NamedTensor>& outputs) {
  if (outputs.empty()) fail("the model put out no tensor for the loss");
  if (loss.output.empty()) return outputs[0].tensor;
  if (const NamedTensor* output = find(outputs, loss.output)) return output->tensor;
  std::vector<std::string_view> known;
  for (const NamedTensor& o : outputs) known.push_back(o.name);
  fail("loss.output: the model has no output ", quoted(loss.output), did_you_mean(loss.output, known));
}

Tensor compute_loss(const BuiltLoss& loss, const std::vector<NamedTensor>& outputs,
                    const std::vector<NamedTensor>& targets) {
  LossCall call(loss);
  call.take_targets(targets);
  call.take_outputs(outputs);
  try {
    return loss.module->forward(call.arguments());
  } catch (const Error& error) {
    throw error.within("loss");
  }
}

LossSum sum_loss(const BuiltLoss& loss, const std::vector<NamedTensor>& outputs,
                 const std::vector<NamedTensor>& targets, int64_t samples) {
  LossCall call(loss);
  call.take_targets(targets);
  call.take_outputs(outputs);
  try {
    const LossModule& module = *loss.module;
    const Tensors arguments = call.arguments();
    const Tensor value = loss.module->forward(arguments);
    const double count = module.sums() ? static_cast<double>(samples) : module.divisor(arguments);
    if (count == 0) return {};
    const double total = sum(to(value, DType::kFloat64)).item<double>();
    return {module.sums() || !module.reduces() ? total : total * count, count};
  } catch (const Error& error) {
    throw_within(error, "loss");
  }
}

}  // namespace tapewire
