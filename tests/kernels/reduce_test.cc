#include "core/kernels/reduce.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/kernels/scan.h"
#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

using Slice = std::vector<double>;

// The elements that fold into each output, in row-major order.
std::vector<Slice> slices(const Tensor& x, Ints dims) {
  const std::vector<double> values = x.to_vector<double>();
  Shape kept;
  for (int64_t d = 0; d < x.dim(); ++d) {
    const bool folded = dims.empty() || std::ranges::find(dims, d) != dims.end();
    kept.push_back(folded ? 1 : x.sizes()[static_cast<size_t>(d)]);
  }
  std::vector<Slice> all(static_cast<size_t>(numel_of(kept)));
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i);
    int64_t place = 0;
    int64_t step = 1;
    for (size_t d = kept.size(); d-- > 0;) {
      const int64_t at = rest % x.sizes()[d];
      rest /= x.sizes()[d];
      if (kept[d] != 1) place += at * step;
      step *= kept[d];
    }
    all[static_cast<size_t>(place)].push_back(values[i]);
  }
  return all;
}

Shape reduced_shape(const Tensor& x, Ints dims, bool keepdim) {
  Shape shape;
  for (int64_t d = 0; d < x.dim(); ++d) {
    const bool folded = dims.empty() || std::ranges::find(dims, d) != dims.end();
    if (!folded) shape.push_back(x.sizes()[static_cast<size_t>(d)]);
    if (folded && keepdim) shape.push_back(1);
  }
  return shape;
}

struct Reduction {
  Shape shape;
  std::vector<Shape> dims;
};

const std::vector<Reduction>& reductions() {
  static const std::vector<Reduction> all{{{}, {{}}},
                                          {{7}, {{0}}},
                                          {{5, 6}, {{0}, {1}, {0, 1}, {}}},
                                          {{3, 1, 4, 5}, {{0}, {1}, {2}, {3}, {0, 2}, {1, 3}, {0, 2, 3}, {}}},
                                          {{40, 300}, {{0}, {1}, {}}},
                                          {{2, 900}, {{0}, {1}}},
                                          {{900, 3}, {{0}, {1}}},
                                          {{6, 10, 70}, {{0}, {1}, {2}, {0, 2}}}};
  return all;
}

using Kernel = std::function<void(const Tensor&, Ints, const Tensor&)>;
using Fold = std::function<double(const Slice&)>;

void check(const std::vector<DType>& dtypes, const std::function<DType(DType)>& out_dtype, const Kernel& kernel,
           const Fold& reference, double rtol32, double rtol64, double low = -3, double high = 3) {
  for (const DType dtype : dtypes) {
    for (const Reduction& r : reductions()) {
      const Tensor x = random_tensor(r.shape, dtype, low, high);
      for (const Shape& dims : r.dims) {
        Slice want;
        for (const Slice& slice : slices(x, dims)) want.push_back(reference(slice));
        for (const bool keepdim : {false, true}) {
          for (const Tensor& from : layouts(x)) {
            for (const Tensor& out : empty_layouts(reduced_shape(x, dims, keepdim), out_dtype(dtype))) {
              kernel(from, dims, out);
              const double tol = dtype == DType::kFloat32 ? rtol32 : dtype == DType::kFloat64 ? rtol64 : 0;
              expect_close(out, want, tol, tol,
                           to_string(r.shape) + " over " + to_string(dims) + " " + std::string(name_of(dtype)));
              if (::testing::Test::HasFailure()) return;
            }
          }
        }
      }
    }
  }
}

DType same(DType dtype) { return dtype; }
DType widened(DType dtype) { return is_floating(dtype) ? dtype : DType::kInt64; }
DType to_bool(DType) { return DType::kBool; }
DType to_int(DType) { return DType::kInt64; }

double total(const Slice& s) { return std::accumulate(s.begin(), s.end(), 0.0); }
double mean_of(const Slice& s) { return total(s) / static_cast<double>(s.size()); }
double squares(const Slice& s) {
  const double m = mean_of(s);
  double sum = 0;
  for (const double v : s) sum += (v - m) * (v - m);
  return sum;
}

const std::vector<DType> kAll{DType::kFloat32, DType::kFloat64, DType::kInt64,
                              DType::kInt32,   DType::kUInt8,   DType::kBool};

TEST(Reduce, SumsEveryDtypeAndLayout) { check(kAll, widened, sum, total, 2e-5, 1e-12, -3, 3); }

TEST(Reduce, MultipliesEveryDtypeAndLayout) {
  const Fold product = [](const Slice& s) {
    double p = 1;
    for (const double v : s) p *= v;
    return p;
  };
  check(kFloats, same, prod, product, 1e-5, 1e-12, 0.97, 1.03);
  check({DType::kInt64, DType::kBool}, widened, prod, product, 0, 0, -1, 1);
}

TEST(Reduce, IntegersSumToAnyNumber) {
  const Tensor x = Tensor::of<int32_t>({1, 2, 3});
  const Tensor out = Tensor::empty(Ints{}, DType::kFloat32);
  sum(x, {}, out);
  EXPECT_EQ(out.item<double>(), 6);
}

TEST(Reduce, FindsExtremes) {
  const Fold most = [](const Slice& s) { return *std::ranges::max_element(s); };
  const Fold least = [](const Slice& s) { return *std::ranges::min_element(s); };
  check(kAll, same, amax, most, 0, 0, -50, 50);
  check(kAll, same, amin, least, 0, 0, -50, 50);
}

TEST(Reduce, ExtremesAreNanWhereAnyElementIs) {
  for (const int64_t width : {3, 40, 1000}) {
    const Tensor x = random_tensor(Shape{4, width}, DType::kFloat32);
    x.mutable_data<float>()[width + width / 2] = NAN;
    const Tensor rows = Tensor::empty({4});
    amax(x, ints({1}), rows);
    amin(x, ints({1}), rows);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(std::isnan(rows.to_vector<double>()[static_cast<size_t>(i)]), i == 1);
    const Tensor columns = Tensor::empty({width});
    amax(x, ints({0}), columns);
    for (int64_t i = 0; i < width; ++i) {
      EXPECT_EQ(std::isnan(columns.to_vector<double>()[static_cast<size_t>(i)]), i == width / 2);
    }
  }
}

TEST(Reduce, LogicAndCounts) {
  check(
      kAll, to_bool, all, [](const Slice& s) { return std::ranges::all_of(s, [](double v) { return v != 0; }); }, 0, 0,
      -1, 3);
  check(
      kAll, to_bool, any, [](const Slice& s) { return std::ranges::any_of(s, [](double v) { return v != 0; }); }, 0, 0,
      0, 1.2);
  check(
      kAll, to_int, count_nonzero,
      [](const Slice& s) { return static_cast<double>(std::ranges::count_if(s, [](double v) { return v != 0; })); }, 0,
      0, -1, 2);
}

TEST(Reduce, VarianceIsCorrected) {
  for (const double correction : {0.0, 1.0, 2.0}) {
    const Kernel kernel = [&](const Tensor& x, Ints dims, const Tensor& out) { var(x, dims, correction, out); };
    check(
        kFloats, same, kernel,
        [&](const Slice& s) { return squares(s) / std::max(0.0, static_cast<double>(s.size()) - correction); }, 1e-6,
        1e-12);
  }
}

TEST(Reduce, VarianceSurvivesAMeanFarFromZero) {
  const Tensor x = tensor_of({1e8 + 1, 1e8 + 2, 1e8 + 3, 1e8 + 4}, ints({4}), DType::kFloat64);
  const Tensor out = Tensor::empty(Ints{}, DType::kFloat64);
  const Tensor mean = Tensor::empty(Ints{}, DType::kFloat64);
  var(x, {}, 1, out, mean);
  EXPECT_NEAR(out.item<double>(), 5.0 / 3.0, 1e-12);
  EXPECT_EQ(mean.item<double>(), 1e8 + 2.5);
}

TEST(Reduce, LogsumexpIsStable) {
  const Fold reference = [](const Slice& s) {
    const double m = *std::ranges::max_element(s);
    double sum = 0;
    for (const double v : s) sum += std::exp(v - m);
    return m + std::log(sum);
  };
  check(kFloats, same, logsumexp, reference, 1e-6, 1e-14, 990, 1000);
  const Tensor x = Tensor::of<double>({-INFINITY, -INFINITY, 1, INFINITY, NAN, 0}, {3, 2});
  const Tensor out = Tensor::empty({3}, DType::kFloat64);
  logsumexp(x, ints({1}), out);
  expect_close(out, {-INFINITY, INFINITY, NAN}, 0);
}

TEST(Reduce, NormsOfEveryOrder) {
  for (const double p : {2.0, 1.0, 0.0, 3.0, 0.5, static_cast<double>(INFINITY), -static_cast<double>(INFINITY)}) {
    const Kernel kernel = [&](const Tensor& x, Ints dims, const Tensor& out) { vector_norm(x, p, dims, out); };
    const Fold reference = [&](const Slice& s) {
      std::vector<double> sizes;
      for (const double v : s) sizes.push_back(std::abs(v));
      if (p == INFINITY) return *std::ranges::max_element(sizes);
      if (p == -INFINITY) return *std::ranges::min_element(sizes);
      double sum = 0;
      for (const double v : sizes) sum += p == 0 ? (v != 0 ? 1 : 0) : std::pow(v, p);
      return p == 0 ? sum : std::pow(sum, 1 / p);
    };
    check(kFloats, same, kernel, reference, 1e-6, 1e-12);
  }
  const Tensor x = random_tensor(ints({123, 45}), DType::kFloat32);
  double want = 0;
  for (const double v : x.to_vector<double>()) want += v * v;
  EXPECT_NEAR(sum_of_squares(transposed(x, 0, 1)), want, want * 1e-13);
}

TEST(Reduce, EmptySlicesHaveTheIdentityOrAnError) {
  const Tensor x = Tensor::zeros({2, 0});
  const Tensor out = Tensor::full({2}, 5.0);
  sum(x, ints({1}), out);
  EXPECT_EQ(out.to_vector<double>(), (Slice{0, 0}));
  prod(x, ints({1}), out);
  EXPECT_EQ(out.to_vector<double>(), (Slice{1, 1}));
  logsumexp(x, ints({1}), out);
  EXPECT_EQ(out.to_vector<double>(), (Slice{-INFINITY, -INFINITY}));
  var(x, ints({1}), 1, out);
  expect_close(out, {NAN, NAN}, 0);
  EXPECT_NE(error_of([&] { amax(x, ints({1}), out); }).find("non-zero size"), std::string::npos);
  const Tensor none = Tensor::zeros({0});
  sum(x, ints({0}), none);
  amax(x, ints({0}), none);
}

TEST(Reduce, FloatSumIsAccurateOverAMillion) {
  const Tensor x = Tensor::full({1000, 1000}, 0.1);
  const Tensor out = Tensor::empty(Ints{});
  sum(x, {}, out);
  EXPECT_NEAR(out.item<double>(), 1e6 * static_cast<double>(0.1F), 0.02);
}

// The reference: the first place of the extreme, NaN before all.
int64_t first_extreme(const Slice& s, bool largest) {
  size_t best = 0;
  for (size_t i = 1; i < s.size(); ++i) {
    if (std::isnan(s[best])) break;
    if (std::isnan(s[i]) || (largest ? s[i] > s[best] : s[i] < s[best])) best = i;
  }
  return static_cast<int64_t>(best);
}

TEST(Extremes, ValuesAndFirstIndicesAlongADimension) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kUInt8, DType::kBool}) {
    for (const Shape& shape : {Shape{}, Shape{9}, Shape{4, 5}, Shape{3, 70, 20}, Shape{5, 2100}, Shape{6, 3, 200}}) {
      Tensor x = random_tensor(shape, dtype, -6, 6);
      if (is_floating(dtype) && x.numel() > 300) {
        std::vector<double> values = x.to_vector<double>();
        values[200] = values[217] = NAN;
        x = tensor_of(values, shape, dtype);
      }
      for (int64_t dim = 0; dim < std::max<int64_t>(1, x.dim()); ++dim) {
        const Shape dims = x.dim() == 0 ? Shape{} : Shape{dim};
        for (const bool largest : {true, false}) {
          Slice values;
          Slice places;
          for (const Slice& s : slices(x, dims)) {
            places.push_back(static_cast<double>(first_extreme(s, largest)));
            values.push_back(s[static_cast<size_t>(places.back())]);
          }
          for (const Tensor& from : layouts(x)) {
            for (const bool keepdim : {false, true}) {
              const Shape out_shape = reduced_shape(x, dims, keepdim);
              const std::vector<Tensor> outs = empty_layouts(out_shape, dtype);
              const std::vector<Tensor> wheres = empty_layouts(out_shape, DType::kInt64);
              for (size_t i = 0; i < outs.size(); ++i) {
                const Tensor& where = wheres[(i + 1) % wheres.size()];
                (largest ? max_with_indices : min_with_indices)(from, dim, outs[i], where);
                expect_close(outs[i], values, 0, 0, "values");
                expect_close(where, places, 0, 0, "indices");
                (largest ? argmax : argmin)(from, dim, wheres[i]);
                expect_close(wheres[i], places, 0, 0, "arg");
                if (::testing::Test::HasFailure()) return;
              }
            }
          }
        }
      }
      const Tensor whole = Tensor::empty(Ints{}, DType::kInt64);
      for (const Tensor& from : layouts(x)) {
        argmax(from, std::nullopt, whole);
        EXPECT_EQ(whole.item<int64_t>(), first_extreme(x.to_vector<double>(), true));
      }
    }
  }
}

TEST(Extremes, RefuseAnEmptyDimension) {
  const Tensor x = Tensor::zeros({2, 0});
  const Tensor where = Tensor::empty({2}, DType::kInt64);
  EXPECT_NE(error_of([&] { argmax(x, 1, where); }).find("non-zero size"), std::string::npos);
  EXPECT_NE(error_of([&] { argmax(x, std::nullopt, Tensor::empty(Ints{}, DType::kInt64)); }).find("numel() == 0"),
            std::string::npos);
}

TEST(Scan, RunsAlongEveryDimensionAndInPlace) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kUInt8, DType::kBool}) {
    for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{9}, Shape{4, 5}, Shape{3, 7, 200}}) {
      const Tensor x = random_tensor(shape, dtype, 0.5, 1.5);
      for (int64_t dim = 0; dim < std::max<int64_t>(1, x.dim()); ++dim) {
        for (const bool product : {false, true}) {
          Slice want = x.to_vector<double>();
          int64_t inner = 1;
          for (int64_t d = dim + 1; d < x.dim(); ++d) inner *= x.sizes()[static_cast<size_t>(d)];
          const int64_t length = x.dim() == 0 ? 1 : x.sizes()[static_cast<size_t>(dim)];
          for (size_t i = 0; i < want.size(); ++i) {
            if (static_cast<int64_t>(i) / inner % length == 0) continue;
            const double before = want[i - static_cast<size_t>(inner)];
            want[i] = product ? before * want[i] : before + want[i];
          }
          const double tol = 10 * tolerance(dtype);
          for (const Tensor& from : layouts(x)) {
            for (const Tensor& out : empty_layouts(shape, widened(dtype))) {
              product ? cumprod(from, dim, out) : cumsum(from, dim, out);
              expect_close(out, want, tol, tol);
            }
            if (widened(dtype) == dtype) {
              const Tensor mine = Tensor::empty(shape, dtype);
              copy(from, mine);
              product ? cumprod(mine, dim, mine) : cumsum(mine, dim, mine);
              expect_close(mine, want, tol, tol);
            }
            if (::testing::Test::HasFailure()) return;
          }
        }
      }
    }
  }
}

TEST(Reduce, ThreadsDoNotMatter) {
  const Tensor flat = random_tensor(ints({1000003}), DType::kFloat32);
  expect_threads_do_not_matter({DType::kFloat32, {}}, [&](const Tensor& out) { sum(flat, {}, out); });
  expect_threads_do_not_matter({DType::kFloat32, {}}, [&](const Tensor& out) { var(flat, {}, 1, out); });
  const Tensor tall = random_tensor(ints({100000, 9}), DType::kFloat32);
  expect_threads_do_not_matter({DType::kFloat32, {9}}, [&](const Tensor& out) { sum(tall, ints({0}), out); });
  expect_threads_do_not_matter({DType::kFloat32, {9}}, [&](const Tensor& out) { var(tall, ints({0}), 0, out); });
  expect_threads_do_not_matter({DType::kFloat32, {100000}},
                               [&](const Tensor& out) { logsumexp(tall, ints({1}), out); });
  const Tensor block = random_tensor(ints({64, 20, 300}), DType::kFloat32);
  expect_threads_do_not_matter({DType::kFloat32, {20}}, [&](const Tensor& out) { sum(block, ints({0, 2}), out); });
}

TEST(Reduce, SegmentsOfALongReductionAddUp) {
  const Tensor flat = random_tensor(ints({300001}), DType::kFloat64);
  const Tensor one = Tensor::empty(Ints{}, DType::kFloat64);
  sum(flat, {}, one);
  expect_close(one, {total(flat.to_vector<double>())}, 1e-11);
  const Tensor tall = random_tensor(ints({50000, 9}), DType::kFloat64);
  const Tensor columns = Tensor::empty({9}, DType::kFloat64);
  var(tall, ints({0}), 1, columns);
  Slice want;
  for (const Slice& s : slices(tall, ints({0}))) want.push_back(squares(s) / (static_cast<double>(s.size()) - 1));
  expect_close(columns, want, 1e-11);
  const Tensor deep = random_tensor(ints({700, 2, 300}), DType::kFloat64);
  const Tensor pair = Tensor::empty({2}, DType::kFloat64);
  sum(deep, ints({0, 2}), pair);
  want.clear();
  for (const Slice& s : slices(deep, ints({0, 2}))) want.push_back(total(s));
  expect_close(pair, want, 1e-11);
}

}  // namespace
}  // namespace tapewire::kernels
