#include "core/autograd/engine_ops.h"

#include "core/base/error.h"

namespace tapewire {
namespace {
EngineOps table{};
}  // namespace

const EngineOps& engine_ops() {
  if (table.add == nullptr) fail_internal("the ops room is not linked");
  return table;
}

void set_engine_ops(const EngineOps& ops) { table = ops; }

}  // namespace tapewire
