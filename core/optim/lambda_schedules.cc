#include "core/optim/lambda_schedules.h"

#include <algorithm>

namespace tapewire {
namespace {

std::vector<RateFunction> checked(std::vector<RateFunction> functions, size_t groups) {
  if (functions.size() == 1) functions.resize(groups, functions[0]);
  if (functions.size() != groups) fail("Expected ", groups, " lr_lambdas, but got ", functions.size());
  if (std::ranges::any_of(functions, [](const RateFunction& f) { return !f; })) fail("lr_lambdas: one is none");
  return functions;
}

}  // namespace

LambdaLR::LambdaLR(Optimizer& optimizer, std::vector<RateFunction> functions)
    : Scheduler(optimizer), functions_(checked(std::move(functions), optimizer.group_count())) {
  begin();
}

double LambdaLR::next_rate(size_t group) const {
  if (group >= functions_.size()) return Scheduler::next_rate(group);
  return base_rate(group) * functions_[group](last_epoch());
}

MultiplicativeLR::MultiplicativeLR(Optimizer& optimizer, std::vector<RateFunction> functions)
    : Scheduler(optimizer), functions_(checked(std::move(functions), optimizer.group_count())) {
  begin();
}

double MultiplicativeLR::next_rate(size_t group) const {
  const double now = Scheduler::next_rate(group);
  return last_epoch() == 0 || group >= functions_.size() ? now : now * functions_[group](last_epoch());
}

}  // namespace tapewire
