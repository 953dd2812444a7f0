#include "core/tensor/tensor_attribute.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

struct Holder {
  Tensor weight;
  static constexpr auto fields() { return std::tuple{field("weight", &Holder::weight, "of each class")}; }
};

Tensor parsed(const Value& value) { return parse_attributes<Holder>("holder", {{"weight", value}}).weight; }

std::string error_of(const Value& value) {
  try {
    parsed(value);
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

TEST(TensorAttributeTest, IsTheSameTensor) {
  const Tensor x = Tensor::of<int64_t>({1, 2});
  EXPECT_TRUE(parsed(x).is_same(x));
}

TEST(TensorAttributeTest, AListIsATensorOfFloat32) {
  const Tensor x = parsed(Value::list({1, 2.5}));
  EXPECT_EQ(x.dtype(), DType::kFloat32);
  EXPECT_THAT(x.sizes(), ElementsAre(2));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(1, 2.5));
  EXPECT_THAT(parsed(Tuple{}).sizes(), ElementsAre(0));
}

TEST(TensorAttributeTest, NoneIsUndefinedAndTheDefault) {
  EXPECT_FALSE(parsed(Value()).defined());
  EXPECT_FALSE(parse_attributes<Holder>("holder", {}).weight.defined());
  const AttributeInfo row = attribute_infos<Holder>()[0];
  EXPECT_EQ(row.type, "tensor");
  EXPECT_TRUE(row.optional);
  EXPECT_TRUE(row.default_value.is_none());
}

TEST(TensorAttributeTest, RefusesWhatIsNoTensor) {
  EXPECT_EQ(error_of("heavy"), "holder: attribute 'weight': expected a tensor, got string 'heavy'");
  EXPECT_EQ(error_of(1.5), "holder: attribute 'weight': expected a tensor, got float 1.5");
  EXPECT_EQ(error_of(Tuple{true}), "holder: attribute 'weight': expected a float, got bool True");
}

}  // namespace
}  // namespace tapewire
