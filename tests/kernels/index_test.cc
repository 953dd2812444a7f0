#include "core/kernels/index.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

const std::vector<DType> kAll{DType::kFloat32, DType::kFloat64, DType::kInt64,
                              DType::kInt32,   DType::kUInt8,   DType::kBool};

// The index of an element of `big` given that of one of `small`, whose dimension `dim` is replaced by `at`.
size_t place(Ints small, Ints big, int64_t dim, size_t flat, int64_t at) {
  std::vector<int64_t> where(small.size());
  for (size_t d = small.size(); d-- > 0;) {
    where[d] = static_cast<int64_t>(flat) % small[d];
    flat /= static_cast<size_t>(small[d]);
  }
  if (!where.empty()) where[static_cast<size_t>(dim)] = at;
  size_t out = 0;
  for (size_t d = 0; d < big.size(); ++d) out = out * static_cast<size_t>(big[d]) + static_cast<size_t>(where[d]);
  return out;
}

struct Case {
  Shape x, index;
  int64_t dim;
};
const std::vector<Case>& cases() {
  static const std::vector<Case> all{{{}, {}, 0},
                                     {{5}, {8}, 0},
                                     {{4, 5}, {7, 5}, 0},
                                     {{4, 5}, {3, 2}, 1},
                                     {{3, 4, 5}, {3, 9, 5}, 1},
                                     {{3, 4, 5}, {2, 4, 6}, 2},
                                     {{4, 5}, {0, 5}, 0}};
  return all;
}

Tensor random_index(Ints sizes, int64_t below) {
  return random_tensor(sizes, DType::kInt64, 0, static_cast<double>(below), 9);
}
int64_t size_along(const Case& c) { return c.x.empty() ? 1 : c.x[static_cast<size_t>(c.dim)]; }

TEST(Gather, ReadsAtTheIndices) {
  for (const DType dtype : kAll) {
    for (const Case& c : cases()) {
      const Tensor x = random_tensor(c.x, dtype, 0, 50);
      const Tensor index = random_index(c.index, size_along(c));
      const std::vector<double> xs = x.to_vector<double>();
      const std::vector<int64_t> at = index.to_vector<int64_t>();
      std::vector<double> want;
      for (size_t i = 0; i < at.size(); ++i) want.push_back(xs[place(c.index, c.x, c.dim, i, at[i])]);
      for (const Tensor& from : layouts(x)) {
        for (const Tensor& out : empty_layouts(c.index, dtype)) {
          gather(from, c.dim, layouts(index).back(), out);
          expect_close(out, want, 0);
        }
      }
    }
  }
}

TEST(Scatter, WritesAndAddsAtTheIndices) {
  for (const DType dtype : kAll) {
    for (const Case& c : cases()) {
      const Tensor dst = random_tensor(c.x, dtype, 0, 9);
      const Tensor index = random_index(c.index, size_along(c));
      const Tensor src = random_tensor(c.index, dtype, 0, 9, 3);
      const std::vector<int64_t> at = index.to_vector<int64_t>();
      const std::vector<double> from = src.to_vector<double>();
      std::vector<double> put = dst.to_vector<double>();
      std::vector<double> added = put;
      for (size_t i = 0; i < at.size(); ++i) {
        const size_t where = place(c.index, c.x, c.dim, i, at[i]);
        put[where] = from[i];
        added[where] = dtype == DType::kBool ? (added[where] != 0 || from[i] != 0) : added[where] + from[i];
      }
      for (const Tensor& to : layouts(dst)) {
        scatter_add(to, c.dim, index, layouts(src).back());
        expect_close(to, added, 1e-6);
        copy(random_tensor(c.x, dtype, 0, 9), to);
        scatter(to, c.dim, index, layouts(src).back());
        expect_close(to, put, 0);
      }
    }
  }
}

TEST(Index, NamesAnIndexOutOfRange) {
  const Tensor x = Tensor::zeros({5, 2});
  const Tensor out = Tensor::zeros({1, 2});
  for (const int64_t bad : {int64_t{7}, int64_t{-1}}) {
    const Tensor index = Tensor::of<int64_t>({0, bad}, {1, 2});
    const std::string want = "index " + std::to_string(bad) + " is out of bounds for dimension 0 with size 5";
    EXPECT_EQ(error_of([&] { gather(x, 0, index, out); }), want);
    EXPECT_EQ(error_of([&] { scatter(x, 0, index, out); }), want);
    EXPECT_EQ(error_of([&] { scatter_add(x, 0, index, out); }), want);
    const Tensor list = Tensor::of<int64_t>({bad});
    EXPECT_EQ(error_of([&] { index_select(x, 0, list, out); }), want);
    EXPECT_EQ(error_of([&] { index_add(x, 0, list, out, 1); }), want);
    EXPECT_EQ(error_of([&] { embedding(x, list, out); }), want);
    EXPECT_EQ(error_of([&] { embedding_backward(out, list, -1, x); }), want);
  }
}

TEST(IndexSelect, TakesSlicesInTheOrderOfTheIndex) {
  for (const DType dtype : kAll) {
    for (const Case& c : {Case{{}, {1}, 0}, Case{{5}, {8}, 0}, Case{{4, 5}, {3}, 0}, Case{{4, 5}, {9}, 1},
                          Case{{3, 4, 5}, {2}, 1}, Case{{3, 4, 5}, {0}, 2}}) {
      const Tensor x = random_tensor(c.x, dtype, 0, 50);
      const Tensor index = random_index(c.index, size_along(c));
      Shape shape(c.x);
      if (!shape.empty()) shape[static_cast<size_t>(c.dim)] = c.index[0];
      const std::vector<double> xs = x.to_vector<double>();
      const std::vector<int64_t> at = index.to_vector<int64_t>();
      std::vector<double> want(static_cast<size_t>(numel_of(shape)));
      std::vector<double> added = xs;
      size_t inner = 1;
      for (size_t d = static_cast<size_t>(c.dim) + 1; d < shape.size(); ++d) inner *= static_cast<size_t>(shape[d]);
      for (size_t i = 0; i < want.size(); ++i) {
        const size_t from = place(shape, c.x, c.dim, i, at[i / inner % at.size()]);
        want[i] = xs[from];
      }
      for (const Tensor& from : layouts(x)) {
        for (const Tensor& out : empty_layouts(shape, dtype)) {
          index_select(from, c.dim, index, out);
          expect_close(out, want, 0);
        }
      }
      if (dtype == DType::kBool || dtype == DType::kUInt8) continue;
      const Tensor src = random_tensor(shape, dtype, -9, 9, 4);
      const std::vector<double> ss = src.to_vector<double>();
      for (size_t i = 0; i < ss.size(); ++i) added[place(shape, c.x, c.dim, i, at[i / inner % at.size()])] += 2 * ss[i];
      for (const Tensor& to : layouts(x)) {
        index_add(to, c.dim, index, layouts(src).back(), 2);
        expect_close(to, added, 1e-5, 1e-5);
      }
    }
  }
}

TEST(Scatter, MultipliesEachTimeAnIndexComes) {
  const Tensor x = Tensor::of<int64_t>({2, 3, 5});
  scatter_multiply(x, 0, Tensor::of<int64_t>({2, 0, 2}), Tensor::of<int64_t>({10, -1, 7}));
  EXPECT_EQ(x.to_vector<int64_t>(), (std::vector<int64_t>{-2, 3, 350}));
  const Tensor b = Tensor::of<bool>({true, true, false});
  scatter_multiply(b, 0, Tensor::of<int64_t>({0, 2}), Tensor::of<bool>({false, true}));
  EXPECT_EQ(b.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 0}));
}

TEST(IndexCopy, ReplacesSlicesAndTheLastStays) {
  for (const DType dtype : kAll) {
    for (const Tensor& x : layouts(tensor_of({0, 0, 0, 0, 0, 0}, ints({3, 2}), dtype))) {
      const Tensor src = tensor_of({1, 1, 1, 0, 0, 1}, ints({3, 2}), dtype);
      index_copy(x, 0, Tensor::of<int64_t>({2, 0, 2}), layouts(src).back());
      expect_close(x, {1, 0, 0, 0, 0, 1}, 0);
    }
  }
  const Tensor scalar = Tensor::scalar(1.0, DType::kFloat64);
  index_copy(scalar, 0, Tensor::of<int64_t>({0}), Tensor::scalar(5.0, DType::kFloat64));
  EXPECT_EQ(scalar.item<double>(), 5);
}

TEST(IndexFill, FillsSlicesAndCountsFromTheEnd) {
  for (const DType dtype : kAll) {
    for (const Tensor& x : layouts(tensor_of({0, 0, 0, 0, 0, 0}, ints({2, 3}), dtype))) {
      index_fill(x, 1, Tensor::of<int64_t>({-1, 0}), 1);
      expect_close(x, {1, 0, 1, 1, 0, 1}, 0);
    }
  }
  const Tensor x = Tensor::zeros({2, 3});
  EXPECT_THROW(index_fill(x, 1, Tensor::of<int64_t>({-4}), 1), Error);
  EXPECT_THROW(index_fill(x, 1, Tensor::of<int64_t>({3}), 1), Error);
}

TEST(MaskedFill, FillsWhereTheMaskSays) {
  const Tensor x = Tensor::of<int64_t>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor mask = Tensor::of<bool>({true, false, true});
  masked_fill(x, mask, 9, x);
  EXPECT_EQ(x.to_vector<int64_t>(), (std::vector<int64_t>{9, 2, 9, 9, 5, 9}));
}

TEST(Embedding, LooksUpRowsAndAddsTheirGradients) {
  for (const DType dtype : kFloats) {
    const Tensor table = random_tensor(ints({6, 40}), dtype);
    const Tensor index = Tensor::of<int64_t>({5, 0, 0, 3, 2, 5}, {2, 3});
    const std::vector<double> rows = table.to_vector<double>();
    const std::vector<int64_t> at = index.to_vector<int64_t>();
    std::vector<double> want;
    for (const int64_t i : at) want.insert(want.end(), rows.begin() + i * 40, rows.begin() + (i + 1) * 40);
    for (const Tensor& out : empty_layouts(ints({2, 3, 40}), dtype)) {
      embedding(layouts(table)[1], index, out);
      expect_close(out, want, 0);
    }
    const Tensor grad = random_tensor(ints({2, 3, 40}), dtype, -1, 1, 2);
    const std::vector<double> gs = grad.to_vector<double>();
    std::vector<double> sums(240);
    for (size_t i = 0; i < gs.size(); ++i) {
      if (at[i / 40] != 3) sums[static_cast<size_t>(at[i / 40]) * 40 + i % 40] += gs[i];
    }
    for (const Tensor& out : empty_layouts(ints({6, 40}), dtype)) {
      embedding_backward(layouts(grad).back(), index, 3, out);
      expect_close(out, sums, tolerance(dtype), tolerance(dtype));
    }
  }
}

TEST(Nll, ForwardAndBackwardWithWeightsAndIgnoredTargets) {
  for (const DType dtype : kFloats) {
    const Tensor x = random_tensor(ints({2, 3, 4}), dtype, -5, 0);
    const Tensor weight = Tensor::of<double>({1, 0.5, 2});
    const Tensor w = Tensor::empty({3}, dtype);
    copy(weight, w);
    const Tensor target = Tensor::of<int64_t>({0, 2, -100, 1, 1, 1, 0, 2}, {2, 4});
    const std::vector<double> xs = x.to_vector<double>();
    const std::vector<int64_t> t = target.to_vector<int64_t>();
    std::vector<double> want;
    double total = 0;
    double sum = 0;
    const double weights[] = {1, 0.5, 2};
    for (size_t i = 0; i < 8; ++i) {
      if (t[i] < 0) {
        want.push_back(0);
        continue;
      }
      const size_t k = static_cast<size_t>(t[i]);
      want.push_back(-weights[k] * xs[(i / 4 * 3 + k) * 4 + i % 4]);
      total += weights[k];
      sum += want.back();
    }
    const Tensor count = Tensor::empty(Ints{}, dtype);
    const Tensor loss = Tensor::empty(Ints{}, dtype);
    for (const Tensor& from : layouts(x)) {
      for (const Tensor& out : empty_layouts(ints({2, 4}), dtype)) {
        nll_forward(from, target, w, -100, out, count);
        expect_close(out, want, tolerance(dtype));
        EXPECT_EQ(count.item<double>(), total);
      }
      nll_forward_reduced(from, target, w, -100, true, loss, count);
      EXPECT_NEAR(loss.item<double>(), sum / total, 1e-6);
      nll_forward_reduced(from, target, w, -100, false, loss, Tensor());
      EXPECT_NEAR(loss.item<double>(), sum, 1e-5);
    }
    const Tensor grad = random_tensor(ints({2, 4}), dtype, 1, 2);
    const std::vector<double> gs = grad.to_vector<double>();
    std::vector<double> back(24);
    for (size_t i = 0; i < 8; ++i) {
      if (t[i] >= 0) back[(i / 4 * 3 + static_cast<size_t>(t[i])) * 4 + i % 4] = -weights[t[i]] * gs[i];
    }
    for (const Tensor& out : empty_layouts(x.sizes(), dtype)) {
      nll_backward(layouts(grad)[1], target, w, -100, out);
      expect_close(out, back, tolerance(dtype));
    }
  }
}

TEST(Nll, AllIgnoredIsNanAndABadClassIsNamed) {
  const Tensor x = Tensor::zeros({2, 3});
  const Tensor out = Tensor::empty(Ints{});
  nll_forward_reduced(x, Tensor::of<int64_t>({-100, -100}), Tensor(), -100, true, out, Tensor());
  EXPECT_TRUE(std::isnan(out.item<double>()));
  const Tensor bad = Tensor::of<int64_t>({0, 3});
  EXPECT_NE(error_of([&] {
              nll_forward_reduced(x, bad, Tensor(), -100, true, out, Tensor());
            }).find("Target 3 is out of bounds."),
            std::string::npos);
}

TEST(Index, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(ints({300, 500}), DType::kFloat32);
  const Tensor index = random_index(ints({400, 500}), 300);
  expect_threads_do_not_matter({DType::kFloat32, {400, 500}}, [&](const Tensor& out) { gather(x, 0, index, out); });
  const Tensor rows = random_index(ints({4000}), 20);
  const Tensor grad = random_tensor(ints({4000, 100}), DType::kFloat32);
  expect_threads_do_not_matter({DType::kFloat32, {20, 100}},
                               [&](const Tensor& out) { embedding_backward(grad, rows, -1, out); });
}

}  // namespace
}  // namespace tapewire::kernels
