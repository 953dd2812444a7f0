#include "core/nn/pooling.h"

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/layer_case.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

TEST(MaxPoolTest, RefusesWhatCannotBe) {
  const auto error = [](const MaxPoolOptions& o) { return error_of([&] { MaxPool2d pool(o); }); };
  EXPECT_EQ(error({.kernel_size = {2, 2, 2}}),
            "MaxPool2d: kernel_size must either be a single int, or a tuple of 2 ints, got [2, 2, 2]");
  EXPECT_EQ(error({.kernel_size = {0}}), "MaxPool2d: kernel_size must be greater than zero, but got [0, 0]");
  EXPECT_EQ(error({.kernel_size = {2}, .stride = Shape{0}}),
            "MaxPool2d: stride must be greater than zero, but got [0, 0]");
  EXPECT_EQ(
      error({.kernel_size = {2}, .padding = {2}}),
      "MaxPool2d: pad should be at most half of effective kernel size, but got pad=2, kernel_size=2 and dilation=1");
}

TEST(MaxPoolTest, GivesOneTensorUnlessAskedForIndices) {
  const Tensor x = pattern({1, 1, 4});
  EXPECT_TRUE((*make_module("MaxPool1d", {{"kernel_size", 2}}))(Args{x}).is_tensor());
  EXPECT_EQ((*make_module("MaxPool1d", {{"kernel_size", 2}, {"return_indices", true}}))(Args{x}).tuple().size(), 2u);
  EXPECT_TRUE((*make_module("AdaptiveMaxPool1d", {{"output_size", 2}}))(Args{x}).is_tensor());
}

// The numbers 1, 2, 3, ...
Tensor counting(const Shape& sizes) {
  const Tensor x = Tensor::empty(sizes, DType::kFloat64);
  for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data<double>()[i] = static_cast<double>(i + 1);
  return x;
}

// The example of torch.nn.MaxUnpool2d's documentation.
TEST(MaxUnpoolTest, PutsMaximaBackWhereTheyWere) {
  const AttributeMap window{{"kernel_size", 2}, {"stride", 2}};
  AttributeMap pooling = window;
  pooling["return_indices"] = true;
  const Value pooled = (*make_module("MaxPool2d", pooling))(Args{counting({1, 1, 4, 4})});
  const auto unpool = make_module("MaxUnpool2d", window);
  const Tensor x = pooled.tuple()[0].tensor();
  const Tensor indices = pooled.tuple()[1].tensor();
  EXPECT_THAT((*unpool)(Args{x, indices}).tensor().to_vector<int>(),
              ElementsAre(0, 0, 0, 0, 0, 6, 0, 8, 0, 0, 0, 0, 0, 14, 0, 16));
  const Tensor larger = (*unpool)(Args{x, indices, Tuple{1, 1, 5, 5}}).tensor();
  EXPECT_EQ(larger.sizes(), (Shape{1, 1, 5, 5}));
  EXPECT_THAT(larger.to_vector<int>(),
              ElementsAre(0, 0, 0, 0, 0, 6, 0, 8, 0, 0, 0, 0, 0, 14, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_EQ(unpool->repr(), "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))");
}

TEST(MaxUnpoolTest, PicksItsGradientByIndex) {
  const Tensor x = set_requires_grad(counting({2, 2}));
  const Tensor indices = Tensor::of<int64_t>({1, 2, 0, 3}, {2, 2});
  const Tensor out = (*make_module("MaxUnpool1d", {{"kernel_size", 2}}))(Args{x, indices}).tensor();
  EXPECT_THAT(out.to_vector<int>(), ElementsAre(0, 1, 2, 0, 3, 0, 0, 4));
  backward(sum(mul(out, counting({2, 4}))));
  EXPECT_THAT(gradient(x).to_vector<int>(), ElementsAre(2, 3, 5, 8));
}

TEST(MaxUnpoolTest, ChecksItsArguments) {
  const auto unpool = make_module("MaxUnpool1d", {{"kernel_size", 2}});
  const Tensor x = counting({1, 1, 2});
  const auto error = [&](const Tensor& indices, const Value& output_size) {
    return error_of([&] { (*unpool)(Args{x, indices, output_size}); });
  };
  const Tensor indices = Tensor::of<int64_t>({0, 2}, {1, 1, 2});
  EXPECT_EQ(error(Tensor::of<int64_t>({0}, {1, 1, 1}), Value()),
            "MaxUnpool1d: Expected shape of indices to be same as that of the input tensor ([1, 1, 2]) but got indices "
            "tensor with shape: [1, 1, 1]");
  EXPECT_EQ(error(indices, Tuple{6}), "MaxUnpool1d: invalid output_size \"[6]\" (dim 0 must be between 2 and 6)");
  EXPECT_EQ(error(indices, Tuple{4, 4}),
            "MaxUnpool1d: output_size should be a sequence containing 1 or 3 elements, but it has a length of '2'");
  EXPECT_NE(error(Tensor::of<int64_t>({0, 4}, {1, 1, 2}), Value()), "");
  EXPECT_NE(error(Tensor::of<int64_t>({0, -1}, {1, 1, 2}), Value()), "");
  EXPECT_EQ(error_of([&] { (*unpool)(Args{Tensor::zeros({2}), Tensor::zeros({2}, DType::kInt64)}); }),
            "MaxUnpool1d: Input to max_unpool1d should be a 2d or 3d Tensor, but got: [2]");
}

}  // namespace
}  // namespace tapewire
