#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/ops/arithmetic.h"
#include "core/ops/bound_call.h"
#include "core/ops/op.h"
#include "core/ops/pointwise.h"

namespace tapewire {
namespace {

constexpr std::array kDTypes{DType::kFloat32, DType::kFloat64, DType::kInt64,
                             DType::kInt32,   DType::kUInt8,   DType::kBool};

char letter(DType dtype) { return "fdliub"[static_cast<size_t>(dtype)]; }

// Six tensors with a dimension, six without, three Python numbers.
std::vector<Tensor> operands() {
  std::vector<Tensor> out;
  for (const DType dtype : kDTypes) out.push_back(Tensor::full({2}, 1, dtype));
  for (const DType dtype : kDTypes) out.push_back(Tensor::full({}, 1, dtype));
  out.push_back(Tensor::wrapped(1.5));
  out.push_back(Tensor::wrapped(2));
  out.push_back(Tensor::wrapped(true));
  return out;
}

// torch.result_type of each pair of those; PyTorch has none of two Python numbers.
constexpr std::array<std::string_view, 15> kResultTypes{
    "fdfffffffffffff", "ddddddddddddddd", "fdllllfdllllfll", "fdliiifdiiiifii", "fdliuufduuuufuu",
    "fdliubfdliubflb", "fdfffffdfffffff", "fdddddddddddddd", "fdliulfdllllfll", "fdliuifdliiifii",
    "fdliuufdliuufuu", "fdliubfdliubflb", "fdfffffdffff...", "fdliulfdliul...", "fdliubfdliub..."};

TEST(ResultTypeTest, IsPyTorchsForEveryPair) {
  const std::vector<Tensor> all = operands();
  for (size_t i = 0; i < all.size(); ++i) {
    std::string row;
    for (size_t j = 0; j < all.size(); ++j) {
      const std::array pair{all[i], all[j]};
      row += i >= 12 && j >= 12 ? '.' : letter(result_type(pair));
    }
    EXPECT_EQ(row, kResultTypes[i]) << "operand " << i;
  }
}

TEST(ResultTypeTest, ArithmeticFollowsIt) {
  const std::vector<Tensor> all = operands();
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < all.size(); ++j) {
      if (i >= 12 && j >= 12) continue;
      EXPECT_EQ(letter(mul(all[i], all[j]).dtype()), kResultTypes[i][j]) << i << ", " << j;
      const DType quotient = div(all[i], all[j]).dtype();
      EXPECT_EQ(letter(quotient), is_floating(quotient) && kResultTypes[i][j] == 'd' ? 'd' : 'f') << i << ", " << j;
      EXPECT_EQ(eq(all[i], all[j]).dtype(), DType::kBool);
    }
  }
}

TEST(ResultTypeTest, TwoNumbersHaveTheDefaultDtype) {
  EXPECT_EQ(call_op("add", {1.5, 2.5}).tensor().dtype(), DType::kFloat32);
  EXPECT_EQ(call_op("add", {1.5, 2}).tensor().dtype(), DType::kFloat32);
  EXPECT_EQ(call_op("add", {1, 2}).tensor().dtype(), DType::kInt64);
  EXPECT_EQ(call_op("exp", {1.5}).tensor().dtype(), DType::kFloat32);
}

TEST(ResultTypeTest, AResultIsNoNumberAnyMore) {
  const Tensor made = mul(Tensor::wrapped(2), Tensor::wrapped(3));
  EXPECT_FALSE(made.is_wrapped_number());
}

TEST(PromotionTest, FloatFunctionsMakeFloatsOfIntegers) {
  for (const DType dtype : kDTypes) {
    const DType expected = is_floating(dtype) ? dtype : DType::kFloat32;
    EXPECT_EQ(exp(Tensor::full({2}, 1, dtype)).dtype(), expected);
    if (dtype != DType::kBool) {
      EXPECT_EQ(abs(Tensor::full({2}, 1, dtype)).dtype(), dtype);
    }
  }
}

}  // namespace
}  // namespace tapewire
