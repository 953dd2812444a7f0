#include <limits>

#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  std::vector<Sample> out;
  for (const double p : {2.0, 1.0, 0.0, 3.0, 1.5, 0.5, -1.0, kInf, -kInf}) {
    out.emplace_back("norm", Args{variable({2, 3}), p});
    out.emplace_back("linalg.vector_norm", Args{variable({3, 2}), p, 0, true});
    out.emplace_back("native_vector_norm", Args{variable({2, 2}), p, Tuple{1}});
  }
  out.emplace_back("norm", Args{variable({2, 3})});
  out.emplace_back("norm", Args{variable({})});
  out.emplace_back("norm", Args{variable({2, 3}), Value(), 1});
  out.emplace_back("norm", Args{variable({2, 3}), "fro", Tuple{0, 1}, true});
  out.emplace_back("norm", Args{variable({2, 3}), "nuc"});
  out.emplace_back("norm", Args{variable({3, 2, 2}), "nuc", Tuple{-1, 0}, true});
  out.push_back(Sample("norm", Args{variable({2, 3}), 2, 1}).named("dtype", DType::kFloat64));
  out.emplace_back("linalg.vector_norm", Args{variable({2, 3})});
  out.push_back(Sample("linalg.vector_norm", Args{variable({})}).named("ord", 4));
  out.push_back(Sample("linalg.vector_norm", Args{variable({2, 3})}).named("dtype", DType::kFloat64));
  out.emplace_back("norm", Args{set_requires_grad(Tensor::of<double>({0.3, 0, 2, 1}, {2, 2})), 4, 1});
  out.emplace_back("thin_svd", Args{variable({2, 2, 2})});
  out.emplace_back("thin_svd", Args{variable({1, 3, 2})});
  out.emplace_back("thin_svd", Args{variable({1, 2, 3})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
