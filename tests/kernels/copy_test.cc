#include "core/kernels/copy.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

TEST(Copy, MovesEveryLayoutToEveryLayout) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kUInt8}) {
    for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{1}, Shape{5}, Shape{4, 7}, Shape{3, 1, 5, 2}, Shape{40, 50},
                               Shape{3, 33, 70}, Shape{2, 600}}) {
      const Tensor x = random_tensor(shape, dtype, 0, 100);
      const std::vector<double> want = x.to_vector<double>();
      for (const Tensor& from : layouts(x)) {
        for (const Tensor& to : empty_layouts(shape, dtype)) {
          copy(from, to);
          expect_close(to, want, 0, 0, to_string(shape));
        }
      }
    }
  }
}

TEST(Copy, LeavesWhatLiesBetweenStridedElements) {
  const Tensor block = Tensor::full({4, 4}, 9.0);
  const Tensor part = block.alias(views::slice(views::slice(block.geometry(), 0, 1, 4, 2), 1, 1, 4, 2));
  fill(part, 1);
  EXPECT_EQ(block.to_vector<double>(), (std::vector<double>{9, 9, 9, 9, 9, 1, 9, 1, 9, 9, 9, 9, 9, 1, 9, 1}));
}

TEST(Copy, Broadcasts) {
  const Tensor row = random_tensor(ints({5}), DType::kFloat32);
  const Tensor out = Tensor::empty({300, 5});
  copy(row, out);
  const std::vector<double> got = out.to_vector<double>();
  for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], row.to_vector<double>()[i % 5]);
  const Tensor number = Tensor::scalar(2.5);
  copy(number, out);
  for (const double v : out.to_vector<double>()) ASSERT_EQ(v, 2.5);
}

TEST(Copy, ConvertsAsPyTorch) {
  const Tensor x = Tensor::of<double>({-1.9, 0.0, 0.5, 3.7, NAN});
  const Tensor to_bool = Tensor::empty({5}, DType::kBool);
  copy(x, to_bool);
  EXPECT_EQ(to_bool.to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 1, 1, 1}));
  const Tensor whole = Tensor::empty({4}, DType::kInt32);
  copy(x.alias(views::slice(x.geometry(), 0, 0, 4, 1)), whole);
  EXPECT_EQ(whole.to_vector<int64_t>(), (std::vector<int64_t>{-1, 0, 0, 3}));
  const Tensor bytes = Tensor::empty({4}, DType::kUInt8);
  copy(x.alias(views::slice(x.geometry(), 0, 0, 4, 1)), bytes);
  EXPECT_EQ(bytes.to_vector<int64_t>(), (std::vector<int64_t>{255, 0, 0, 3}));
}

TEST(Copy, ReadsASharedBufferThatItDetaches) {
  const Tensor x = Tensor::of<float>({1, 2, 3, 4});
  const Ref<Buffer> snapshot = x.storage().share_buffer();
  const Tensor doubled = Tensor::empty({4});
  copy(x, x);
  fill(x, 7);
  EXPECT_EQ(reinterpret_cast<const float*>(snapshot->data())[1], 2.0F);
  EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{7, 7, 7, 7}));
}

TEST(Contiguous, IsTheSameTensorWhenNothingIsToDo) {
  const Tensor x = random_tensor(ints({3, 4}), DType::kFloat32);
  EXPECT_TRUE(contiguous(x).is_same(x));
  const Tensor turned = transposed(x, 0, 1);
  const Tensor plain = contiguous(turned);
  EXPECT_TRUE(plain.is_contiguous());
  EXPECT_EQ(plain.to_vector<double>(), turned.to_vector<double>());
}

TEST(Copy, ThreadsDoNotMatter) {
  const Tensor x = transposed(random_tensor(ints({700, 500}), DType::kFloat32), 0, 1);
  expect_threads_do_not_matter({DType::kFloat32, {500, 700}}, [&](const Tensor& out) { copy(x, out); });
  expect_threads_do_not_matter({DType::kFloat64, {500, 700}}, [&](const Tensor& out) { copy(x, out); });
}

}  // namespace
}  // namespace tapewire::kernels
