// Arguments that no honest client sends: each call ends at once, with a result or a clear error.

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/ops/bound_call.h"
#include "core/ops/shape_ops.h"
#include "core/tensor/allocator.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kHuge = int64_t{1} << 40;

Tensor floats(const Shape& sizes) { return Tensor::full(sizes, 1.5, DType::kFloat64); }
Tensor variable(const Shape& sizes) { return set_requires_grad(floats(sizes)); }

Tensor call(const std::string& op, const Args& args) { return call_op(op, args).tensor(); }

Args with(Args args, const std::string& name, Value value) {
  args.named.emplace_back(name, std::move(value));
  return args;
}

template <class F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  return {absl::StatusCode::kOk, "no error"};
}

Tensor gradient_of(const Tensor& y, const Tensor& x) { return grad({y}, {x}, {floats(y.sizes())})[0]; }

class LimitedMemory : public testing::Test {
 protected:
  LimitedMemory() { tensor_allocator().set_limit(tensor_allocator().stats().live + (1 << 26), "test's limit"); }
  ~LimitedMemory() override { tensor_allocator().set_limit(before_, "tensor memory limit"); }
  const int64_t before_ = tensor_allocator().limit();
};

TEST_F(LimitedMemory, WhatIsReadMustFitThoughAStrideOfZeroMakesItSmall) {
  const Tensor x = expand(floats({1, 2}), Shape{kHuge, 2});
  const Error error = error_of([&] { call("sum", {x}); });
  EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(error.message(), HasSubstr("sum: an operand float64[1099511627776, 2] stands for"));
}

TEST_F(LimitedMemory, ViewsOfWhatDoesNotFitAreMade) {
  const Tensor x = expand(floats({1, 2}), Shape{kHuge, 2});
  EXPECT_THAT(call("select", {x, 0, kHuge - 1}).sizes(), ElementsAre(2));
}

TEST(GatherTest, AnEmptyIndexOfFloatsHasNoGradient) {
  const Tensor index = variable({2, 0});
  const Tensor y = call("gather", {floats({2, 3}), 1, index});
  EXPECT_FALSE(grad({y}, {index}, {floats(y.sizes())}, {.allow_unused = true})[0].defined());
}

TEST(ScatterTest, TheGradientOfASrcThatAnEmptyIndexDoesNotFitIsZeros) {
  const Tensor src = variable({4, 1, 3});
  const Tensor y = call("scatter_add", {floats({2, 2}), 0, Tensor::empty({2, 0}, DType::kInt64), src});
  EXPECT_EQ(gradient_of(y, src).to_vector<double>(), std::vector<double>(12, 0.0));
}

TEST(MatmulTest, ManyEmptyMatricesTakeNoTime) {
  const Tensor out = call("bmm", {floats({kHuge, 0, 2}), floats({kHuge, 2, 0})});
  EXPECT_THAT(out.sizes(), ElementsAre(kHuge, 0, 0));
}

TEST(PoolingTest, AWindowMayBeFarLongerThanTheImage) {
  const Tensor x = floats({1, 1, 4});
  for (const std::string op : {"max_pool1d", "avg_pool1d"}) {
    EXPECT_EQ(call(op, with({x, kHuge / 2}, "ceil_mode", true)).to_vector<double>(), std::vector<double>{1.5}) << op;
  }
}

TEST(PoolingTest, AStrideLeadsOverTheImage) {
  // Elements -4 to 3 of the row, then 5 to 12, of which none exists.
  const Args args{floats({1, 1, 4}), 8, 7};
  EXPECT_EQ(call("max_pool1d", with(args, "padding", 4)).to_vector<double>(), std::vector<double>{1.5});
  EXPECT_EQ(call("avg_pool1d", with(args, "padding", 4)).to_vector<double>(), std::vector<double>{0.75});
}

TEST(PoolingTest, RowsOfNoPlaneMayHaveAnyLength) {
  const Tensor out = call("max_pool1d", with({floats({0, 1, 32 * kHuge}), kHuge / 2}, "stride", 1));
  EXPECT_EQ(out.numel(), 0);
}

TEST(PoolingTest, WindowsWhoseElementsCannotBeCountedAreRefused) {
  const Error error = error_of([&] { call("avg_pool2d", with({floats({1, 1, 4, 4}), kHuge / 2}, "ceil_mode", true)); });
  EXPECT_THAT(error.message(), HasSubstr("is too large"));
}

TEST(PoolingTest, TheLeastIntegerByMinusOneWraps) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  const Tensor x = Tensor::full({1, 1, 2, 2}, kLeast, DType::kInt64);
  const Tensor y = call("avg_pool2d", with({x, 1}, "divisor_override", -1));
  EXPECT_EQ(y.to_vector<int64_t>(), std::vector<int64_t>(4, kLeast));
}

TEST(PadTest, TheGradientOfAnEmptyResultTakesNoMaps) {
  const Tensor x = variable({1, 1, 2, 2});
  const Tensor y = call("pad", with({x, Tuple{kHuge, kHuge, -1, -1}}, "mode", "replicate"));
  EXPECT_EQ(gradient_of(y, x).to_vector<double>(), std::vector<double>(4, 0.0));
}

TEST_F(LimitedMemory, IndicesOfASplitAreCountedBeforeTheyAreRead) {
  const Tensor places = expand(Tensor::full({1}, int64_t{0}, DType::kInt64), Shape{kHuge});
  EXPECT_THAT(error_of([&] { call_op("tensor_split", {floats({3}), places}); }).message(),
              HasSubstr("tensor_split: 1099511627776 pieces"));
}

TEST(UnfoldTest, TheGradientOfManyEmptyWindowsTakesNoTime) {
  const Tensor x = variable({kHuge, 0});
  const Tensor y = call("unfold", {x, 0, 1000, 3});
  EXPECT_THAT(gradient_of(y, x).sizes(), ElementsAre(kHuge, 0));
}

TEST(BatchNormTest, ManyEmptyPlanesTakeNoTime) {
  const Tensor x = variable({kHuge, 2, 0});
  const Tensor weight = variable({2});
  const Tensor y = call_op("batch_norm", with(with(with({x, Value(), Value()}, "weight", weight), "bias", floats({2})),
                                              "training", true))
                       .tensor();
  EXPECT_EQ(gradient_of(y, weight).to_vector<double>(), std::vector<double>(2, 0.0));
}

TEST_F(LimitedMemory, StatisticsOfARefusedInstanceNormStayAsTheyAre) {
  const Tensor mean = floats({2});
  const Tensor x = expand(floats({1, 2, 1}), Shape{1, 2, kHuge});
  const Error error = error_of([&] { call("instance_norm", {x, mean, floats({2})}); });
  EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(mean.to_vector<double>(), std::vector<double>(2, 1.5));
}

TEST(EmbeddingTest, RowsThatShareMemoryAreNotRenormalised) {
  const Tensor weight = expand(floats({1, 2}), Shape{kHuge, 2});
  const Error error = error_of([&] { call("embedding", with({Tensor::scalar(1), weight}, "max_norm", 1.0)); });
  EXPECT_THAT(error.message(), HasSubstr("refers to a single memory location"));
}

TEST(MultilabelMarginTest, NoRowsMayHaveAnyNumberOfClasses) {
  const Tensor target = Tensor::empty({0, kHuge}, DType::kInt64);
  EXPECT_THAT(call("multilabel_margin_rows", {floats({0, kHuge}), target}).sizes(), ElementsAre(0));
}

TEST(RollTest, ShiftsOfADimensionNamedOverAndOverAddUp) {
  // One by one these would be 10^5 copies.
  const Tensor x = Tensor::zeros({1 << 16}, DType::kFloat64);
  x.mutable_data<double>()[0] = 1;
  const Tensor y = call("roll", {x, Tuple(100'000, 1), Tuple(100'000, 0)});
  EXPECT_EQ(y.to_vector<double>()[100'000 % (1 << 16)], 1);
}

TEST(IndexFillTest, SlicesNamedOverAndOverAreFilledOnce) {
  const Tensor y = call("index_fill", {floats({2, 1 << 16}), 0, Tensor::zeros({1 << 18}, DType::kInt64), 7});
  EXPECT_EQ(y.to_vector<double>()[0], 7);
  EXPECT_EQ(y.to_vector<double>()[1 << 16], 1.5);
}

TEST(ResampleTest, AScaleThatWouldSpreadEachElementOverAllIsRefused) {
  const Tensor x = floats({1, 1, 1 << 20});
  const Error error = error_of([&] {
    Args args = with(with({x}, "mode", "linear"), "from", 1 << 20);
    call("resample", with(with(with(args, "to", 1 << 20), "scales", 1e-6), "antialias", true));
  });
  EXPECT_THAT(error.message(), HasSubstr("does not belong to sizes"));
}

}  // namespace
}  // namespace tapewire
