#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("layer_norm", Args{variable({2, 3, 2}), variable({3, 2}), variable({3, 2})});
  out.back() = out.back().named("normalized_shape", Tuple{3, 2});
  out.push_back(Sample("layer_norm", Args{variable({4, 5}), 5}).named("eps", 0.1));
  out.emplace_back("layer_norm", Args{variable({3, 4}), 4, variable({4})});
  out.emplace_back("layer_norm", Args{constant({3, 4}), 4, Value(), variable({4})});
  out.emplace_back("rms_norm", Args{variable({2, 3, 4}), variable({4})});
  out.back() = out.back().named("normalized_shape", 4);
  out.push_back(Sample("rms_norm", Args{variable({2, 3}), Tuple{2, 3}}).named("eps", 0.1));
  out.emplace_back("group_norm", Args{variable({2, 4, 3}), variable({4}), variable({4})});
  out.back() = out.back().named("num_groups", 2);
  out.emplace_back("group_norm", Args{variable({2, 4, 2, 2}), 4});
  out.emplace_back("group_norm", Args{variable({3, 4}), 2, variable({4})});
  const auto variance = [] { return constant({3}, 0.5, 2); };
  out.emplace_back("instance_norm", Args{variable({2, 3, 4})});
  out.emplace_back("instance_norm",
                   Args{variable({2, 3, 2, 2}), constant({3}), variance(), variable({3}), variable({3})});
  out.emplace_back("instance_norm",
                   Args{variable({2, 3, 2}), constant({3}), variance(), variable({3}), variable({3}), false});
  for (const char* op : {"normalize_groups", "normalize_groups_rms"}) {
    out.emplace_back(op, Args{variable({2, 2, 3, 2}), variable({2, 3}), variable({2, 3})});
    out.emplace_back(op, Args{variable({3, 1, 4, 1})});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
