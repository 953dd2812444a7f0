#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto add = [&](const char* equation, std::initializer_list<Shape> sizes) {
    Tuple operands;
    for (const Shape& s : sizes) operands.emplace_back(variable(s));
    out.emplace_back("einsum", Args{equation, operands});
  };
  add("i->", {{3}});
  add("ij->ji", {{2, 3}});
  add("ji", {{2, 3}});
  add("i,j->ij", {{2}, {3}});
  add("ij,jk->ik", {{2, 3}, {3, 2}});
  add("ij,jk", {{2, 3}, {3, 2}});
  add("bij,bjk->bik", {{2, 2, 3}, {2, 3, 1}});
  add("i,i->i", {{3}, {3}});
  add("ii->i", {{3, 3}});
  add("ii", {{2, 2}});
  add("iji->j", {{2, 3, 2}});
  add("i...->...", {{2, 2, 2}});
  add("...ij,...jk->...ik", {{2, 2, 3}, {3, 2}});
  add("...i,...i", {{2, 3}, {1, 3}});
  add("...->", {{2, 2}});
  add(" i k , k j -> i j ", {{2, 3}, {3, 2}});
  add("ij,kj->ik", {{2, 3}, {2, 1}});
  add("ij,jk,kl->il", {{2, 2}, {2, 3}, {3, 2}});
  add("ij,k->i", {{2, 3}, {2}});
  add(",i->i", {{}, {2}});
  out.emplace_back("einsum", Args{"ij,jk", Tuple{indices({1, 2, 3, 4}, {2, 2}), indices({5, 6}, {2, 1})}});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
