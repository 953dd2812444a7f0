#include "core/nn/smooth_activation.h"

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/nn/registry.h"

namespace tapewire {

CELU::CELU(const Options& options) : Activation(options) {
  if (options.alpha == 0) fail("CELU: ZeroDivisionError: alpha cannot be 0 for CELU");
}
GELU::GELU(const Options& options) : Activation(options) {
  if (options.approximate != "none" && options.approximate != "tanh") {
    fail("GELU: approximate argument must be either none or tanh, got ", quoted(options.approximate));
  }
}

Tensor ELU::forward(const Tensor& x) { return options().inplace ? elu_(x, options()) : elu(x, options()); }
Tensor SELU::forward(const Tensor& x) { return options().inplace ? selu_(x) : selu(x); }
Tensor CELU::forward(const Tensor& x) { return options().inplace ? celu_(x, options()) : celu(x, options()); }
Tensor GELU::forward(const Tensor& x) { return gelu(x, options()); }
Tensor SiLU::forward(const Tensor& x) { return options().inplace ? silu_(x) : silu(x); }
Tensor Mish::forward(const Tensor& x) { return options().inplace ? mish_(x) : mish(x); }
Tensor Softplus::forward(const Tensor& x) { return softplus(x, options()); }
Tensor Softsign::forward(const Tensor& x) { return softsign(x); }
Tensor LogSigmoid::forward(const Tensor& x) { return logsigmoid(x); }
Tensor Tanhshrink::forward(const Tensor& x) { return tanhshrink(x); }
Tensor GLU::forward(const Tensor& x) { return glu(x, options()); }

namespace {
const ModuleFamily kFamily{module_def<ELU>(),        module_def<SELU>(),     module_def<CELU>(),
                           module_def<GELU>(),       module_def<SiLU>(),     module_def<Mish>(),
                           module_def<Softplus>(),   module_def<Softsign>(), module_def<LogSigmoid>(),
                           module_def<Tanhshrink>(), module_def<GLU>()};
}  // namespace

}  // namespace tapewire
