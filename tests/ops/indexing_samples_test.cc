#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto mask = [](std::initializer_list<bool> values, std::initializer_list<int64_t> sizes) {
    return Tensor::of<bool>(values, sizes);
  };
  const Value all = Slice{};
  out.emplace_back("getitem", Args{variable({3, 2}), -1});
  out.emplace_back("getitem", Args{variable({5, 2}), Slice{1, 5, 2}});
  out.emplace_back("getitem", Args{variable({3, 2}), Value()});
  out.emplace_back("getitem", Args{variable({3, 2}), "..."});
  out.emplace_back("getitem", Args{variable({}), Tuple{}});
  out.emplace_back("getitem", Args{variable({3, 2}), true});
  out.emplace_back("getitem", Args{variable({3, 2, 4}), Tuple{1, "...", Value(), Slice{{}, -1, {}}}});
  out.emplace_back("getitem", Args{variable({3, 2}), Value::list({2, 0, 2})});
  out.emplace_back("getitem", Args{variable({3, 2}), Tuple{2, 0}});
  out.emplace_back("getitem", Args{variable({3, 2}), Tuple{Value::list({2, 0}), Value::list({1, -1})}});
  out.emplace_back("getitem", Args{variable({3, 2}), Tuple{indices({1}, {}), all}});
  out.emplace_back("getitem", Args{variable({3, 2, 4}), Tuple{all, Value::list({1, 0, 1}), 2}});
  out.emplace_back("getitem", Args{variable({3, 2, 4}), Tuple{Value::list({1, 0}), all, Value::list({1, 3})}});
  out.emplace_back("getitem", Args{variable({3, 2, 4}), Tuple{"...", Tuple{Value::list({0, 1}), Value::list({2, 3})}}});
  out.emplace_back("getitem", Args{variable({3, 2}), Value::list({true, false, true})});
  out.emplace_back("getitem",
                   Args{variable({3, 2, 2}), Tuple{mask({true, false, false, true, true, true}, {3, 2}), 1}});
  out.emplace_back("getitem", Args{variable({3, 2}), indices({2, 0, 1, -1}, {2, 2})});
  out.emplace_back("index", Args{variable({3, 4}), Tuple{Value(), indices({3, 0}, {2})}});
  out.emplace_back("index", Args{variable({3, 4}), Tuple{mask({true, false, true}, {3})}});
  out.emplace_back("index_elements", Args{variable({3, 4}), Tuple{indices({0, 2}, {2, 1}), indices({3, 0}, {2})}});
  out.emplace_back("index_elements", Args{variable({3, 2, 4}), Tuple{indices({0, 2}, {2}), Value(), indices({1}, {})}});
  out.emplace_back("index_put", Args{variable({3, 4}), Tuple{indices({2, 0}, {2})}, variable({2, 4})});
  out.emplace_back("index_put", Args{variable({3, 4}), Tuple{indices({2, 2}, {2})}, variable({2, 4}), true});
  out.emplace_back("index_put", Args{variable({3, 4}), Tuple{Value(), indices({3, -4}, {2})}, variable({3, 1})});
  out.emplace_back("index_put", Args{variable({3}), Tuple{mask({true, false, true}, {3})}, variable({})});
  out.emplace_back("index_put", Args{variable({3}), Tuple{mask({true, false, true}, {3})}, 4});
  out.emplace_back("masked_select", Args{variable({2, 3}), mask({true, false, true}, {3})});
  out.emplace_back("masked_select", Args{variable({3}), mask({true, false, true, false, true, true}, {2, 3})});
  out.emplace_back("masked_select", Args{variable({}), mask({true}, {})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
