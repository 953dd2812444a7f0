#include "core/optim/option_checks.h"

#include "core/base/error.h"
#include "core/tensor/value.h"

namespace tapewire {

void check_learning_rate(double rate) {
  if (!(rate >= 0)) fail("Invalid learning rate: ", Value(rate).repr());
}

void check_epsilon(double eps) {
  if (!(eps >= 0)) fail("Invalid epsilon value: ", Value(eps).repr());
}

void check_not_negative(const char* name, double value) {
  if (!(value >= 0)) fail("Invalid ", name, " value: ", Value(value).repr());
}

void check_betas(const std::vector<double>& betas) {
  if (betas.size() != 2) fail("betas must be two numbers, got ", betas.size());
  for (size_t i = 0; i < 2; ++i) {
    if (!(betas[i] >= 0 && betas[i] < 1)) {
      fail("Invalid beta parameter at index ", i, ": ", Value(betas[i]).repr());
    }
  }
}

}  // namespace tapewire
