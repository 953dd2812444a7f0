#include "core/graph/graph_module.h"

#include "core/base/error.h"

namespace tapewire {

Value GraphModule::forward(const Args& args) {
  if (!program_) fail_internal("a Graph was called before it was compiled");
  return program_->run(args, training());
}

void GraphModule::compile(std::vector<std::string>& faults) { program_.emplace(def_, this, faults); }

std::shared_ptr<Module> GraphModule::copy() const {
  auto made = std::make_shared<GraphModule>(*this);
  std::vector<std::string> faults;
  if (program_) made->compile(faults);
  if (!faults.empty()) fail_internal("the copy of a Graph does not compile: ", faults.front());
  return made;
}

}  // namespace tapewire
