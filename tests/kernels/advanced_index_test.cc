#include "core/kernels/advanced_index.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

// x[rows, :, columns] by hand: x is [4, 3, 5], the indices broadcast to [2, 3], and its middle dimension comes last.
struct Chosen {
  Tensor rows = Tensor::of<int64_t>({1, -1}, {2, 1});
  Tensor columns = Tensor::of<int64_t>({4, 0, -2});

  Tensor offsets(const Tensor& x) const {
    const Tensor out = Tensor::empty({2, 3}, DType::kInt64);
    const DimensionIndex both[] = {{rows, 0, 4, x.strides()[0]}, {columns, 2, 5, x.strides()[2]}};
    index_offsets(both, out);
    return out.alias({Shape{2, 3, 3}, Shape{3, 1, 0}, 0});
  }
  Tensor base(const Tensor& x) const { return x.alias({Shape{2, 3, 3}, Shape{0, 0, x.strides()[1]}, x.offset()}); }
  // The element of row-major x for each of the result's.
  static std::vector<size_t> places() {
    std::vector<size_t> out;
    for (const size_t row : {1, 3}) {
      for (const size_t column : {4, 0, 3}) {
        for (size_t middle = 0; middle < 3; ++middle) out.push_back((row * 3 + middle) * 5 + column);
      }
    }
    return out;
  }
};

TEST(AdvancedIndex, ReadsWhereTheIndicesSay) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kUInt8, DType::kBool}) {
    const Tensor x = random_tensor(ints({4, 3, 5}), dtype, 0, 50);
    const std::vector<double> values = x.to_vector<double>();
    std::vector<double> want;
    for (const size_t at : Chosen::places()) want.push_back(values[at]);
    for (const Tensor& from : layouts(x)) {
      for (const Tensor& out : empty_layouts(ints({2, 3, 3}), dtype)) {
        read_at(Chosen().base(from), Chosen().offsets(from), out);
        expect_close(out, want, 0);
      }
    }
  }
}

TEST(AdvancedIndex, WritesAndAddsWhereTheIndicesSay) {
  for (const bool accumulate : {false, true}) {
    for (const DType dtype : kNumbers) {
      const Tensor x = random_tensor(ints({4, 3, 5}), dtype, 0, 50);
      const Tensor values = random_tensor(ints({3, 1}), dtype, 0, 9, 3);
      std::vector<double> want = x.to_vector<double>();
      const std::vector<double> given = values.to_vector<double>();
      size_t i = 0;
      for (const size_t at : Chosen::places()) {
        const double value = given[i++ / 3 % 3];
        want[at] = accumulate ? want[at] + value : value;
      }
      for (const Tensor& to : layouts(x)) {
        write_at(Chosen().base(to), Chosen().offsets(to), values, accumulate);
        expect_close(to, want, tolerance(dtype));
      }
    }
  }
}

TEST(AdvancedIndex, AddsAtOnePlaceAsOftenAsItComes) {
  const Tensor x = Tensor::of<double>({1, 2, 3});
  const Tensor index = Tensor::of<int64_t>({2, 0, 2});
  const Tensor offsets = Tensor::empty({3}, DType::kInt64);
  const DimensionIndex one[] = {{index, 0, 3, 1}};
  index_offsets(one, offsets);
  write_at(x.alias({Shape{3}, Shape{0}, 0}), offsets, Tensor::of<double>({10, 20, 30}), true);
  EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{21, 2, 43}));
  write_at(x.alias({Shape{3}, Shape{0}, 0}), offsets, Tensor::of<double>({10, 20, 30}), false);
  EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{20, 2, 30}));
}

TEST(AdvancedIndex, NamesAnIndexOutOfRange) {
  for (const int64_t bad : {3, -4}) {
    const Tensor index = Tensor::of<int64_t>({0, bad});
    const DimensionIndex one[] = {{index, 1, 3, 1}};
    try {
      index_offsets(one, Tensor::empty({2}, DType::kInt64));
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.message(), str_cat("index ", bad, " is out of bounds for dimension 1 with size 3"));
    }
  }
}

TEST(Nonzero, GivesTheIndicesOfEachDimension) {
  const Tensor mask = Tensor::of<bool>({false, true, true, false, false, true}, {2, 3});
  for (const Tensor& m : layouts(mask)) {
    const std::vector<Tensor> found = nonzero(m);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].to_vector<int64_t>(), (std::vector<int64_t>{0, 0, 1}));
    EXPECT_EQ(found[1].to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 2}));
  }
  EXPECT_EQ(nonzero(Tensor::scalar(true, DType::kBool))[0].to_vector<int64_t>(), (std::vector<int64_t>{0}));
  EXPECT_EQ(nonzero(Tensor::zeros({0, 3}, DType::kBool))[1].numel(), 0);
}

TEST(AdvancedIndex, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(ints({300, 40}), DType::kFloat32);
  const Tensor index = random_tensor(ints({5000}), DType::kInt64, 0, 300);
  expect_threads_do_not_matter({DType::kFloat32, {5000, 40}}, [&](const Tensor& out) {
    const Tensor offsets = Tensor::empty({5000}, DType::kInt64);
    const DimensionIndex one[] = {{index, 0, 300, 40}};
    index_offsets(one, offsets);
    read_at(x.alias({Shape{5000, 40}, Shape{0, 1}, 0}), offsets.alias({Shape{5000, 40}, Shape{1, 0}, 0}), out);
  });
}

}  // namespace
}  // namespace tapewire::kernels
