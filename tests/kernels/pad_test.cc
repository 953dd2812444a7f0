#include "core/kernels/pad.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

const std::vector<CountedVector<int64_t>> kMaps{{1, 0, 1}, {2, 2, 0, 1, 0}};

TEST(Pad, TakesEachElementFromWhereItsMapsSay) {
  for (const DType dtype : kNumbers) {
    const Tensor x = random_tensor(ints({2, 2, 3}), dtype, 0, 50);
    const std::vector<double> values = x.to_vector<double>();
    std::vector<double> want;
    for (size_t n = 0; n < 2; ++n) {
      for (const int64_t i : kMaps[0]) {
        for (const int64_t j : kMaps[1])
          want.push_back(values[(n * 2 + static_cast<size_t>(i)) * 3 + static_cast<size_t>(j)]);
      }
    }
    for (const Tensor& from : layouts(x)) {
      for (const Tensor& out : empty_layouts(ints({2, 3, 5}), dtype)) {
        pad_by_maps(from, kMaps, out);
        expect_close(out, want, 0);
      }
    }
  }
}

TEST(Pad, BackwardAddsEachElementToWhereItCameFrom) {
  for (const DType dtype : kFloats) {
    const Tensor grad = random_tensor(ints({2, 3, 5}), dtype);
    const std::vector<double> values = grad.to_vector<double>();
    std::vector<double> want(12);
    size_t at = 0;
    for (size_t n = 0; n < 2; ++n) {
      for (const int64_t i : kMaps[0]) {
        for (const int64_t j : kMaps[1])
          want[(n * 2 + static_cast<size_t>(i)) * 3 + static_cast<size_t>(j)] += values[at++];
      }
    }
    for (const Tensor& out : empty_layouts(ints({2, 2, 3}), dtype)) {
      pad_by_maps_backward(layouts(grad).back(), kMaps, out);
      expect_close(out, want, 10 * tolerance(dtype), tolerance(dtype));
    }
  }
}

TEST(Pad, ThreadsDoNotMatter) {
  const Tensor grad = random_tensor(ints({40, 70, 90}), DType::kFloat32);
  std::vector<CountedVector<int64_t>> maps{CountedVector<int64_t>(70), CountedVector<int64_t>(90)};
  for (size_t i = 0; i < 70; ++i) maps[0][i] = static_cast<int64_t>(i % 7);
  for (size_t i = 0; i < 90; ++i) maps[1][i] = static_cast<int64_t>(i % 8);
  expect_threads_do_not_matter({DType::kFloat32, {40, 7, 8}},
                               [&](const Tensor& out) { pad_by_maps_backward(grad, maps, out); });
}

}  // namespace
}  // namespace tapewire::kernels
