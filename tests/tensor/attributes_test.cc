#include "core/tensor/attributes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tapewire {
namespace {

using testing::ElementsAre;

enum class Mode : uint8_t { kPlain, kFancy };

}  // namespace

template <>
struct EnumNames<Mode> {
  static constexpr std::array<std::string_view, 2> names{"plain", "fancy"};
};

namespace {

struct Settings {
  Shape kernel_size;
  int64_t groups = 1;
  double eps = 1e-5;
  bool bias = true;
  Scalar value = 2;
  std::optional<int64_t> dim;
  std::vector<double> weights{0.5, 1};
  DType dtype = DType::kFloat32;
  std::string label = "x";
  Mode mode = Mode::kFancy;
  static constexpr auto fields() {
    return std::tuple{required_field("kernel_size", &Settings::kernel_size, "size of the window"),
                      field("groups", &Settings::groups, "groups"),
                      field("eps", &Settings::eps, "eps"),
                      field("bias", &Settings::bias, "bias"),
                      field("value", &Settings::value, "value"),
                      field("dim", &Settings::dim, "dim"),
                      field("weights", &Settings::weights, "weights"),
                      field("dtype", &Settings::dtype, "dtype"),
                      field("label", &Settings::label, "label"),
                      field("mode", &Settings::mode, "mode")};
  }
};

std::string faults_of(const AttributeMap& given) {
  try {
    parse_attributes<Settings>("conv1: Conv2d", given);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(AttributesTest, ParsesEachKind) {
  const auto s = parse_attributes<Settings>("s", {{"kernel_size", Tuple{3, 5}},
                                                  {"groups", 2},
                                                  {"eps", 1},
                                                  {"bias", false},
                                                  {"value", 0.5},
                                                  {"dim", -1},
                                                  {"weights", Tuple{1, 2.5}},
                                                  {"dtype", "int64"},
                                                  {"label", "y"},
                                                  {"mode", "plain"}});
  EXPECT_THAT(s.kernel_size, ElementsAre(3, 5));
  EXPECT_EQ(s.groups, 2);
  EXPECT_EQ(s.eps, 1.0);
  EXPECT_FALSE(s.bias);
  EXPECT_EQ(s.value, Scalar(0.5));
  EXPECT_EQ(s.dim, -1);
  EXPECT_THAT(s.weights, ElementsAre(1, 2.5));
  EXPECT_EQ(s.dtype, DType::kInt64);
  EXPECT_EQ(s.label, "y");
  EXPECT_EQ(s.mode, Mode::kPlain);
}

TEST(AttributesTest, LeavesDefaultsAndTakesOneIntForAList) {
  const auto s = parse_attributes<Settings>("s", {{"kernel_size", 3}, {"dim", Value()}});
  EXPECT_THAT(s.kernel_size, ElementsAre(3));
  EXPECT_EQ(s.groups, 1);
  EXPECT_EQ(s.dim, std::nullopt);
  EXPECT_EQ(s.mode, Mode::kFancy);
}

TEST(AttributesTest, ReportsEveryFaultWithItsName) {
  EXPECT_EQ(
      faults_of({{"kernal_size", 3}, {"groups", 1.5}}),
      "conv1: Conv2d: attribute 'groups': expected an int, got float 1.5; unknown attribute 'kernal_size'; did you "
      "mean 'kernel_size'?; missing attribute 'kernel_size'");
  EXPECT_EQ(faults_of({{"kernel_size", Tuple{1, "a"}}}),
            "conv1: Conv2d: attribute 'kernel_size': expected ints, got a tuple with string 'a'");
  EXPECT_EQ(faults_of({{"kernel_size", 1}, {"mode", "odd"}}),
            "conv1: Conv2d: attribute 'mode': expected one of 'plain', 'fancy', got 'odd'");
  EXPECT_EQ(faults_of({{"kernel_size", 1}, {"bias", 1}}),
            "conv1: Conv2d: attribute 'bias': expected a bool, got int 1");
  EXPECT_EQ(faults_of({{"kernel_size", 1}, {"qqqqqq", 1}}), "conv1: Conv2d: unknown attribute 'qqqqqq'");
}

TEST(AttributesTest, GivesTheCataloguesRows) {
  const std::vector<AttributeInfo> rows = attribute_infos<Settings>();
  ASSERT_EQ(rows.size(), 10u);
  EXPECT_EQ(rows[0].name, "kernel_size");
  EXPECT_EQ(rows[0].type, "ints");
  EXPECT_TRUE(rows[0].required);
  EXPECT_EQ(rows[0].doc, "size of the window");
  EXPECT_EQ(rows[2].default_value.repr(), "1e-05");
  EXPECT_EQ(rows[4].type, "number");
  EXPECT_TRUE(rows[5].optional);
  EXPECT_TRUE(rows[5].default_value.is_none());
  EXPECT_EQ(rows[6].default_value.repr(), "(0.5, 1.0)");
  EXPECT_EQ(rows[9].default_value.repr(), "'fancy'");
}

TEST(AttributesTest, ReprListsThem) {
  Settings s;
  s.kernel_size = {3, 3};
  EXPECT_EQ(attributes_repr(s),
            "kernel_size=(3, 3), groups=1, eps=1e-05, bias=True, value=2, dim=None, weights=(0.5, 1.0), "
            "dtype=torch.float32, label='x', mode='fancy'");
}

}  // namespace
}  // namespace tapewire
