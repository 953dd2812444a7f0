#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op :
       {"elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign", "logsigmoid", "tanhshrink"}) {
    out.emplace_back(op, Args{variable({2, 5})});
    out.emplace_back(op, Args{variable({})});
  }
  out.emplace_back("elu", Args{variable({2, 3}), 1.7});
  out.emplace_back("celu", Args{variable({2, 3}), 1.7});
  out.push_back(Sample("gelu", Args{variable({2, 5})}).named("approximate", "tanh"));
  out.emplace_back("softplus", Args{variable({2, 3}), 3, 0.7});
  out.emplace_back("glu", Args{variable({2, 6})});
  out.emplace_back("glu", Args{variable({4, 3}), 0});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
