#include "core/nn/parameter_container.h"

#include "core/base/error.h"
#include "core/nn/container_support.h"
#include "core/nn/registry.h"

namespace tapewire {
namespace {

// "  (0): Parameter containing: [torch.float32 of size 2x3]"; a ParameterDict names the type as torch.typename does.
std::string line_of(const NamedTensor& p, std::string_view (*type_name)(DType)) {
  if (!p.tensor.defined()) return str_cat("  (", p.name, "): Object of type: NoneType");
  std::string size;
  for (const int64_t s : p.tensor.sizes()) size += str_cat(size.empty() ? "" : "x", s);
  return str_cat("  (", p.name, "): Parameter containing: [torch.", type_name(p.tensor.dtype()), " of size ", size,
                 "]");
}

std::string_view class_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "FloatTensor";
    case DType::kFloat64:
      return "DoubleTensor";
    case DType::kInt64:
      return "LongTensor";
    case DType::kInt32:
      return "IntTensor";
    case DType::kUInt8:
      return "ByteTensor";
    case DType::kBool:
      return "BoolTensor";
  }
  fail_internal("no such dtype");
}

void require_tensor(std::string_view container, const Tensor& parameter) {
  if (!parameter.defined()) fail(container, ": a parameter must be a tensor, got none");
}

}  // namespace

Value ParameterList::forward(const Args&) { fail("ParameterList should not be called."); }

const Tensor& ParameterList::at(int64_t index) const { return (*this)[containers::position(index, size())]; }

void ParameterList::append(const Tensor& parameter, bool requires_grad) {
  require_tensor(kName, parameter);
  register_parameter(str_cat(size()), parameter, requires_grad);
}

void ParameterList::extend(const std::vector<Tensor>& parameters) {
  for (const Tensor& parameter : parameters) append(parameter);
}

void ParameterList::set(int64_t index, const Tensor& parameter, bool requires_grad) {
  NamedTensor& place = edit_parameters()[containers::position(index, size())];
  require_tensor(kName, parameter);
  check_parameter(place.name, parameter, requires_grad);
  place.tensor = parameter;
}

std::string ParameterList::extra_repr() const {
  std::string out;
  for (const NamedTensor& p : own_parameters()) {
    out += str_cat(out.empty() ? "" : "\n", line_of(p, name_of));
  }
  return out;
}

Value ParameterDict::forward(const Args&) { fail("ParameterDict should not be called."); }

bool ParameterDict::contains(std::string_view key) const {
  return std::ranges::any_of(own_parameters(), [key](const NamedTensor& p) { return p.name == key; });
}

std::vector<std::string> ParameterDict::keys() const { return containers::keys(own_parameters()); }

Tensor ParameterDict::get(std::string_view key) const {
  return containers::require_key(kName, own_parameters(), key)->tensor;
}

void ParameterDict::set(const std::string& key, const Tensor& parameter, bool requires_grad) {
  require_tensor(kName, parameter);
  const auto found = std::ranges::find(edit_parameters(), key, &NamedTensor::name);
  if (found == edit_parameters().end()) {
    register_parameter(key, parameter, requires_grad);
    return;
  }
  check_parameter(key, parameter, requires_grad);
  found->tensor = parameter;
}

void ParameterDict::update(const std::vector<NamedTensor>& parameters) {
  for (const NamedTensor& p : parameters) set(p.name, p.tensor);
}

Tensor ParameterDict::pop(std::string_view key) {
  const auto found = containers::require_key(kName, edit_parameters(), key);
  Tensor out = std::move(found->tensor);
  edit_parameters().erase(found);
  return out;
}

std::string ParameterDict::extra_repr() const {
  std::string out;
  for (const NamedTensor& p : own_parameters()) {
    out += str_cat(out.empty() ? "" : "\n", line_of(p, class_of));
  }
  return out;
}

namespace {
const ModuleFamily kFamily{module_def<ParameterList>(), module_def<ParameterDict>()};
}  // namespace

}  // namespace tapewire
