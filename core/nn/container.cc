#include "core/nn/container.h"

#include "core/base/error.h"
#include "core/nn/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

[[noreturn]] void fail_without_forward(const Module& module) {
  fail("Module [", module.type(), "] is missing the required \"forward\" function");
}

}  // namespace

Sequential::Sequential(const Modules& modules) {
  for (const std::shared_ptr<Module>& module : modules) append(module);
}

void Sequential::append(std::shared_ptr<Module> module) {
  register_module(str_cat(children().size()), std::move(module));
}

Value Sequential::forward(const Args& args) {
  if (children().empty()) {
    if (args.positional.size() != 1 || !args.named.empty()) {
      fail("Sequential expects one argument, got ", args.positional.size() + args.named.size());
    }
    return args.positional[0];
  }
  Value out = (*children()[0].module)(args);
  for (size_t i = 1; i < children().size(); ++i) out = (*children()[i].module)(Args{out});
  return out;
}

ModuleList::ModuleList(const Modules& modules) {
  for (const std::shared_ptr<Module>& module : modules) append(module);
}

void ModuleList::append(std::shared_ptr<Module> module) {
  register_module(str_cat(children().size()), std::move(module));
}

Value ModuleList::forward(const Args&) { fail_without_forward(*this); }
Value ModuleDict::forward(const Args&) { fail_without_forward(*this); }

std::string ModuleList::repr() const {
  if (size() == 0) return "ModuleList()";
  std::string out = "ModuleList(\n";
  for (size_t first = 0; first < size();) {
    const std::string text = (*this)[first]->repr();
    size_t last = first;
    while (last + 1 < size() && (*this)[last + 1]->repr() == text) ++last;
    if (last == first) {
      out += str_cat("  (", first, "): ", indented(text), "\n");
    } else {
      out += str_cat("  (", first, "-", last, "): ", last - first + 1, " x ", indented(text), "\n");
    }
    first = last + 1;
  }
  return out + ")";
}

Tensor Flatten::forward(const Tensor& x) {
  return flatten(x, {.start_dim = options_.start_dim, .end_dim = options_.end_dim});
}
std::string Flatten::extra_repr() const { return attributes_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<Sequential>(), module_def<ModuleList>(), module_def<ModuleDict>(),
                           module_def<Identity>(), module_def<Flatten>()};
}  // namespace

}  // namespace tapewire
