#include "core/nn/dropout.h"

#include <cmath>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/layer_case.h"

namespace tapewire {
namespace {

using testing::Each;

TEST(DropoutTest, ScalesWhatItKeepsAndRepeatsUnderASeed) {
  const auto dropout = std::make_shared<Dropout>(DropoutOptions{.p = 0.25});
  const Tensor x = Tensor::full({400}, 3.0);
  manual_seed(1);
  const std::vector<float> once = (*dropout)(x).to_vector<float>();
  EXPECT_THAT(once, Each(testing::AnyOf(0.0f, 4.0f)));
  const auto dropped = std::count(once.begin(), once.end(), 0.0f);
  EXPECT_GT(dropped, 60);
  EXPECT_LT(dropped, 140);
  manual_seed(1);
  EXPECT_EQ((*dropout)(x).to_vector<float>(), once);
  dropout->eval();
  EXPECT_TRUE((*dropout)(x).is_same(x));
}

TEST(DropoutTest, InPlaceChangesItsInputByTheSameMask) {
  const auto plain = std::make_shared<Dropout>(DropoutOptions{.p = 0.5});
  const auto inplace = std::make_shared<Dropout>(DropoutOptions{.p = 0.5, .inplace = true});
  const Tensor x = pattern({3, 5});
  manual_seed(1);
  const std::vector<double> expected = (*plain)(x).to_vector<double>();
  manual_seed(1);
  const Tensor leaf = pattern({3, 5});
  set_requires_grad(leaf);
  const Tensor y = mul(leaf, 1.0);
  const Tensor out = (*inplace)(y);
  EXPECT_TRUE(out.is_same(y));
  EXPECT_EQ(out.to_vector<double>(), expected);
  backward(sum(out));
  for (size_t i = 0; i < expected.size(); ++i) {
    if (x.data<double>()[i] == 0) continue;
    EXPECT_EQ(gradient(leaf).data<double>()[i], expected[i] == 0 ? 0 : 2);
  }
  inplace->eval();
  EXPECT_TRUE((*inplace)(x).is_same(x));
}

TEST(DropoutTest, Dropout2dDropsWholeChannels) {
  for (const bool inplace : {false, true}) {
    const auto dropout = std::make_shared<Dropout2d>(DropoutOptions{.p = 0.5, .inplace = inplace});
    manual_seed(4);
    const std::vector<float> out = (*dropout)(Tensor::full({4, 8, 2, 2}, 1.0)).to_vector<float>();
    int dropped = 0;
    for (size_t c = 0; c < 32; ++c) {
      const std::vector<float> channel(out.begin() + static_cast<long>(4 * c),
                                       out.begin() + static_cast<long>(4 * c + 4));
      EXPECT_THAT(channel, Each(channel[0]));
      EXPECT_TRUE(channel[0] == 0 || channel[0] == 2);
      dropped += channel[0] == 0;
    }
    EXPECT_GT(dropped, 6);
    EXPECT_LT(dropped, 26);
  }
}

TEST(DropoutTest, RefusesWhatIsNoProbability) {
  EXPECT_EQ(error_of([] { Dropout({.p = 1.5}); }),
            "Dropout: dropout probability has to be between 0 and 1, but got 1.5");
  EXPECT_EQ(error_of([] { Dropout2d({.p = std::nan("")}); }),
            "Dropout2d: dropout probability has to be between 0 and 1, but got nan");
}

TEST(DropoutTest, Dropout1dWantsASpatialDimensionAtMost) {
  for (const bool inplace : {false, true}) {
    const auto dropout = make_module("Dropout1d", {{"inplace", inplace}});
    EXPECT_THAT(error_of([&] { (*dropout)(Tensor::zeros({2, 2, 2, 2})); }),
                testing::HasSubstr("dropout1d: Expected 2D or 3D input, but received a 4D input."));
  }
}

TEST(DropoutTest, InPlaceFormsChangeTheirInput) {
  for (const char* type : {"Dropout", "Dropout1d", "Dropout2d", "Dropout3d"}) {
    const auto dropout = make_module(type, {{"inplace", true}});
    const Tensor x = pattern(std::string_view(type) == "Dropout1d" ? Shape{2, 2, 2} : Shape{2, 2, 2, 2, 2});
    EXPECT_TRUE((*dropout)(x).is_same(x)) << type;
    EXPECT_EQ(x.version(), 1u) << type;
  }
}

TEST(AlphaDropoutTest, TakesInplaceWithoutWorkingSo) {
  for (const char* type : {"AlphaDropout", "FeatureAlphaDropout"}) {
    const auto dropout = make_module(type, {{"inplace", true}});
    const Tensor x = pattern({2, 3});
    EXPECT_FALSE((*dropout)(x).is_same(x));
    EXPECT_EQ(x.version(), 0u);
  }
}

}  // namespace
}  // namespace tapewire
