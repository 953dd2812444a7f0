#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"dropout", "alpha_dropout"}) {
    out.push_back(Sample(op, Args{variable({3, 4})}).named("training", true));
    out.push_back(Sample(op, Args{variable({3, 4})}).named("training", true).named("p", 0.2));
    out.push_back(Sample(op, Args{variable({3, 4})}).named("training", true).named("p", 1.0));
    out.push_back(Sample(op, Args{variable({3, 4})}).named("training", false));
  }
  for (const char* op : {"dropout1d", "dropout2d", "feature_alpha_dropout"}) {
    out.push_back(Sample(op, Args{variable({2, 3, 2})}).named("training", true));
    out.push_back(Sample(op, Args{variable({2, 3})}).named("training", true).named("p", 0.7));
    out.push_back(Sample(op, Args{variable({2, 3})}).named("training", false));
  }
  out.emplace_back("dropout3d", Args{variable({2, 3, 2, 1, 2})});
  out.emplace_back("dropout3d", Args{variable({3, 2, 1, 2})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
