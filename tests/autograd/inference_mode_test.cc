// torch.inference_mode.

#include "core/autograd/grad_mode.h"
#include "core/ops/arithmetic.h"
#include "core/ops/shape_ops.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tensor inference_tensor(std::initializer_list<double> values) {
  const InferenceModeGuard inference;
  return Tensor::of<double>(values);
}

TEST(InferenceModeTest, NothingIsRecorded) {
  const Tensor x = leaf({2, 3});
  const InferenceModeGuard inference;
  EXPECT_FALSE(grad_enabled());
  EXPECT_FALSE(mul(x, x).requires_grad());
}

TEST(InferenceModeTest, TensorsMadeInsideAreInferenceTensorsAndSoAreTheirViews) {
  const Tensor x = inference_tensor({1, 2});
  EXPECT_TRUE(x.is_inference());
  EXPECT_TRUE(view(x, {2, 1}).is_inference());
  EXPECT_TRUE(detach(x).is_inference());
  EXPECT_FALSE(clone(x).is_inference()) << "a clone is how to get a normal tensor";
}

TEST(InferenceModeTest, ViewsOfNormalTensorsStayNormal) {
  const Tensor x = Tensor::of<double>({1, 2});
  const InferenceModeGuard inference;
  EXPECT_FALSE(view(x, {2, 1}).is_inference());
  EXPECT_TRUE(clone(x).is_inference());
}

TEST(InferenceModeTest, TheyCannotBeSavedForBackward) {
  const Tensor x = inference_tensor({1, 2});
  const Tensor w = leaf({3, 4});
  EXPECT_THAT(error_of([&] { mul(w, x); }), HasSubstr("Inference tensors cannot be saved for backward."));
  EXPECT_THAT(values(add(w, x)), ElementsAre(4, 6)) << "nothing to save";
  EXPECT_THAT(values(mul(w, clone(x))), ElementsAre(3, 8));
}

TEST(InferenceModeTest, TheyChangeInPlaceOnlyInside) {
  const Tensor x = inference_tensor({1, 2});
  EXPECT_THAT(error_of([&] { mul_(x, 2); }), HasSubstr("Inplace update to inference tensor outside InferenceMode"));
  const InferenceModeGuard inference;
  mul_(x, 2);
  EXPECT_THAT(values(x), ElementsAre(2, 4));
}

TEST(InferenceModeTest, NormalTensorsMayChangeInside) {
  const Tensor x = Tensor::of<double>({1, 2});
  const uint32_t before = x.version();
  const InferenceModeGuard inference;
  mul_(x, 2);
  EXPECT_EQ(x.version(), before + 1);
}

TEST(InferenceModeTest, TheyCannotRequireGradOutside) {
  const Tensor x = inference_tensor({1});
  EXPECT_THAT(error_of([&] { set_requires_grad(x); }), HasSubstr("Setting requires_grad=True on inference tensor"));
}

TEST(InferenceModeTest, AGuardInsideMayEndIt) {
  const InferenceModeGuard inference;
  {
    const InferenceModeGuard normal(false);
    EXPECT_TRUE(grad_enabled());
    const Tensor x = leaf({2});
    EXPECT_FALSE(x.is_inference());
    EXPECT_TRUE(mul(x, x).requires_grad());
  }
  EXPECT_FALSE(grad_enabled());
  EXPECT_TRUE(Tensor::zeros({1}).is_inference());
}

}  // namespace
}  // namespace tapewire
