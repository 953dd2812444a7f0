#include <memory>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/nn/container.h"
#include "core/nn/linear.h"
#include "core/nn/normalization.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

TEST(ModuleConvertTest, ConvertsFloatsAndKeepsIdentity) {
  const auto net =
      std::make_shared<Sequential>(Modules{std::make_shared<Linear>(2, 2), std::make_shared<BatchNorm1d>(2)});
  const Tensor weight = net->named_parameters()[0].tensor;
  backward(sum((*net)(pattern({3, 2}, 7, 3, DType::kFloat32))));
  const Tensor grad = gradient(weight);
  net->to(DType::kFloat64);
  EXPECT_EQ(weight.dtype(), DType::kFloat64);
  EXPECT_TRUE(net->named_parameters()[0].tensor.is_same(weight));
  EXPECT_TRUE(is_leaf(weight));
  EXPECT_TRUE(weight.requires_grad());
  EXPECT_EQ(gradient(weight).dtype(), DType::kFloat64);
  EXPECT_TRUE(gradient(weight).is_same(grad));
  EXPECT_EQ(net->named_buffers()[0].tensor.dtype(), DType::kFloat64);
  EXPECT_EQ(net->named_buffers()[2].tensor.dtype(), DType::kInt64);
  backward(sum((*net)(pattern({3, 2}))));
  EXPECT_EQ(gradient(weight).dtype(), DType::kFloat64);
  EXPECT_EQ(error_of([&] { net->to(DType::kInt64); }),
            "nn.Module.to only accepts floating point dtypes, but got desired dtype=int64");
}

TEST(ModuleConvertTest, ForgetsTheAccumulatorOfATapeThatStillLives) {
  const auto fc = std::make_shared<Linear>(2, 1, false);
  const Tensor old_tape = sum((*fc)(Tensor::full({1, 2}, 1.0)));
  fc->to(DType::kFloat64);
  backward(sum((*fc)(Tensor::full({1, 2}, 0.1, DType::kFloat64))));
  // Rounded through float32 it would not be the same double.
  EXPECT_THAT(gradient(fc->weight()).to_vector<double>(), ElementsAre(0.1, 0.1));
  EXPECT_TRUE(old_tape.requires_grad());
}

TEST(ModuleConvertTest, FloatAndDoubleAreShortForms) {
  const auto fc = std::make_shared<Linear>(1, 1);
  fc->double_();
  EXPECT_EQ(fc->weight().dtype(), DType::kFloat64);
  fc->float_();
  EXPECT_EQ(fc->weight().dtype(), DType::kFloat32);
}

TEST(ModuleConvertTest, ThereIsTheCpuAlone) {
  const auto fc = std::make_shared<Linear>(1, 1);
  fc->cpu();
  fc->to("cpu:0");
  const char* no_cuda = "this build has no CUDA device; modules stay on the CPU";
  EXPECT_EQ(error_of([&] { fc->cuda(); }), no_cuda);
  EXPECT_EQ(error_of([&] { fc->to("cuda"); }), no_cuda);
  EXPECT_EQ(error_of([&] { fc->to("cuda:12"); }), no_cuda);
  for (const char* device : {"", "gpu", "cuda:", "cuda:x", "cuda0"}) {
    EXPECT_EQ(error_of([&] { fc->to(device); }),
              str_cat("Invalid device string: '", device, "'; this build has 'cpu' alone"));
  }
}

TEST(ModuleConvertTest, ThereAreNoHalfPrecisionDtypes) {
  const auto fc = std::make_shared<Linear>(1, 1);
  EXPECT_EQ(error_of([&] { fc->half(); }), "dtype float16 is not supported; modules are float32 or float64");
  EXPECT_EQ(error_of([&] { fc->bfloat16(); }), "dtype bfloat16 is not supported; modules are float32 or float64");
}

}  // namespace
}  // namespace tapewire
