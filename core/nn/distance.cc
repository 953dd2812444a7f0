#include "core/nn/distance.h"

#include <cmath>

#include "core/base/error.h"
#include "core/nn/arguments.h"
#include "core/nn/layer_support.h"
#include "core/nn/registry.h"

namespace tapewire {

CosineSimilarity::CosineSimilarity(const Options& options) : options_(options) { check_eps(kName, options.eps); }

Value CosineSimilarity::forward(const Args& args) {
  const ModuleArguments arguments(kName, {"x1", "x2"}, args);
  return cosine_similarity(arguments.tensor("x1"), arguments.tensor("x2"), options_);
}

PairwiseDistance::PairwiseDistance(const Options& options) : options_(options) {
  if (std::isnan(options.p)) fail(kName, ": p must be a number, got nan");
  check_finite(kName, "eps", options.eps);
}

Value PairwiseDistance::forward(const Args& args) {
  const ModuleArguments arguments(kName, {"x1", "x2"}, args);
  return pairwise_distance(arguments.tensor("x1"), arguments.tensor("x2"), options_);
}

namespace {
const ModuleFamily kFamily{module_def<CosineSimilarity>(), module_def<PairwiseDistance>()};
}  // namespace

}  // namespace tapewire
