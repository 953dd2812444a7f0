#include "core/tensor/value.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace tapewire {
namespace {

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(ValueTest, HoldsEachKind) {
  EXPECT_TRUE(Value().is_none());
  EXPECT_TRUE(Value(Tensor()).is_none());
  EXPECT_TRUE(Value(Tensor::zeros({2})).is_tensor());
  EXPECT_TRUE(Value(true).boolean());
  EXPECT_EQ(Value(3).integer(), 3);
  EXPECT_EQ(Value(0.5).real(), 0.5);
  EXPECT_EQ(Value(3).real(), 3.0);
  EXPECT_EQ(Value("mean").string(), "mean");
  EXPECT_EQ(Value(DType::kInt32).dtype(), DType::kInt32);
  EXPECT_EQ(Value("float64").dtype(), DType::kFloat64);
  EXPECT_EQ(Value(Slice{1, std::nullopt, 2}).slice(), (Slice{1, std::nullopt, 2}));
  EXPECT_EQ(Value(Tuple{1, "a"}).tuple().size(), 2u);
  EXPECT_EQ(Value(Dict{{"k", 1}}).dict()[0].first, "k");
  EXPECT_TRUE(Value(true).number().is_bool());
  EXPECT_TRUE(Value(2).number().is_int());
  EXPECT_TRUE(Value(Scalar(2.0)).is_double());
}

TEST(ValueTest, SaysWhatItIsWhenAskedForAnotherKind) {
  EXPECT_EQ(error_of([] { Value(3).tensor(); }), "expected a tensor, got int 3");
  EXPECT_EQ(error_of([] { Value(Tensor::zeros({2, 3})).integer(); }), "expected an int, got tensor float32[2, 3]");
  EXPECT_EQ(error_of([] { Value(3.0).integer(); }), "expected an int, got float 3.0");
  EXPECT_EQ(error_of([] { Value(true).integer(); }), "expected an int, got bool True");
  EXPECT_EQ(error_of([] { Value(true).real(); }), "expected a float, got bool True");
  EXPECT_EQ(error_of([] { Value("x\n").boolean(); }), "expected a bool, got string 'x\\n'");
  EXPECT_EQ(error_of([] { Value("float16").dtype(); }), "expected a dtype, got string 'float16'");
  EXPECT_EQ(error_of([] { Value().tuple(); }), "expected a tuple, got none");
  EXPECT_EQ(error_of([] { Value(Tuple{1, 2}).dict(); }), "expected a dict, got a tuple of 2");
  EXPECT_EQ(error_of([] { Value(Dict{}).number(); }), "expected a number, got a dict of 0");
}

TEST(ValueTest, ReprIsPythons) {
  EXPECT_EQ(Value().repr(), "None");
  EXPECT_EQ(Value(false).repr(), "False");
  EXPECT_EQ(Value(-7).repr(), "-7");
  EXPECT_EQ(Value(0.1).repr(), "0.1");
  EXPECT_EQ(Value(1.0).repr(), "1.0");
  EXPECT_EQ(Value(1e-5).repr(), "1e-05");
  EXPECT_EQ(Value(1e16).repr(), "1e+16");
  EXPECT_EQ(Value(std::numeric_limits<double>::infinity()).repr(), "inf");
  EXPECT_EQ(Value("mean").repr(), "'mean'");
  EXPECT_EQ(Value(DType::kFloat32).repr(), "torch.float32");
  EXPECT_EQ(Value(Tuple{1, 2}).repr(), "(1, 2)");
  EXPECT_EQ(Value(Tuple{1}).repr(), "(1,)");
  EXPECT_EQ(Value(Tuple{}).repr(), "()");
  EXPECT_EQ(Value(Dict{{"a", Tuple{true}}}).repr(), "{'a': (True,)}");
  EXPECT_EQ(Value(Slice{1, std::nullopt, 2}).repr(), "1::2");
}

TEST(ValueTest, FlattensItsTensorsDepthFirst) {
  const Tensor a = Tensor::zeros({1});
  const Tensor b = Tensor::zeros({2});
  const Tensor c = Tensor::zeros({3});
  std::vector<Tensor> found;
  flatten_tensors(Tuple{a, 3, Dict{{"x", Tuple{b}}}, c}, found);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].is_same(a));
  EXPECT_TRUE(found[1].is_same(b));
  EXPECT_TRUE(found[2].is_same(c));
}

}  // namespace
}  // namespace tapewire
