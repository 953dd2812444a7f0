#include "core/graph/graph_module.h"

#include "core/base/error.h"

namespace tapewire {

Value GraphModule::forward(const Args& args) {
  if (!program_) fail_internal("a Graph was called before it was compiled");
  return program_->run(args, training());
}

void GraphModule::compile(std::vector<std::string>& faults) {
  program_.emplace(def_, this, faults);
  def_ = {};
}

std::shared_ptr<Module> GraphModule::copy() const {
  auto made = std::make_shared<GraphModule>(*this);
  if (program_) made->program_.emplace(*program_, *made);
  return made;
}

}  // namespace tapewire
