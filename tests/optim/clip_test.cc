#include "core/optim/clip.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/optim/support.h"

namespace tapewire {
namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::ElementsAre;

constexpr double kInf = std::numeric_limits<double>::infinity();

struct ClipTest : testing::Test {
  ClipTest() {
    give_gradient(a, {3, -4});
    give_gradient(b, {12});
  }
  std::vector<double> grads() const {
    std::vector<double> out = gradient(a.tensor).to_vector<double>();
    out.push_back(gradient(b.tensor).item<double>());
    return out;
  }

  NamedTensor a = parameter("a", {0, 0});
  NamedTensor b = parameter("b", {0});
  NamedTensor without = parameter("without", {0});
  std::vector<NamedTensor> all{a, b, without};
};

TEST_F(ClipTest, NormIsOverAllGradients) {
  EXPECT_EQ(grad_norm(all), 13);
  EXPECT_EQ(grad_norm(all, 1), 19);
  EXPECT_EQ(grad_norm(all, kInf), 12);
  EXPECT_NEAR(grad_norm(all, 3), std::cbrt(27 + 64 + 1728), 1e-12);
  EXPECT_EQ(grad_norm(std::vector<NamedTensor>{without}), 0);
  EXPECT_THROW(grad_norm(all, std::nan("")), Error);
}

TEST_F(ClipTest, ScalesDownToTheLargestNorm) {
  const uint32_t version = gradient(a.tensor).version();
  EXPECT_EQ(clip_grad_norm(all, 6.5), 13);
  const double factor = 6.5 / (13 + 1e-6);
  EXPECT_THAT(grads(), ElementsAre(DoubleEq(3 * factor), DoubleEq(-4 * factor), DoubleEq(12 * factor)));
  EXPECT_EQ(gradient(a.tensor).version(), version + 1);
  EXPECT_FALSE(gradient(without.tensor).defined());
}

TEST_F(ClipTest, LeavesSmallGradientsAlone) {
  EXPECT_EQ(clip_grad_norm(all, 14), 13);
  EXPECT_THAT(grads(), ElementsAre(3, -4, 12));
  EXPECT_EQ(clip_grad_norm(all, kInf), 13);
  EXPECT_THAT(grads(), ElementsAre(3, -4, 12));
}

TEST_F(ClipTest, OtherNormsScaleToo) {
  EXPECT_EQ(clip_grad_norm(all, 6, kInf), 12);
  EXPECT_THAT(grads(), ElementsAre(DoubleNear(1.5, 1e-6), DoubleNear(-2, 1e-6), DoubleNear(6, 1e-6)));
}

TEST_F(ClipTest, ANormThatIsNotFiniteSpoilsGradientsOrIsAnError) {
  give_gradient(b, {kInf});
  EXPECT_THAT(error_of([&] { clip_grad_norm(all, 1, 2, true); }), testing::HasSubstr("non-finite"));
  EXPECT_THAT(grads(), ElementsAre(3, -4, kInf));
  EXPECT_EQ(clip_grad_norm(all, 1), kInf);
  EXPECT_EQ(grads()[0], 0);
  EXPECT_TRUE(std::isnan(grads()[2]));
}

TEST_F(ClipTest, RefusesNegativeLimits) {
  EXPECT_EQ(error_of([&] { clip_grad_norm(all, -1); }), "clip_grad_norm: max_norm must not be negative, got -1.0");
  EXPECT_EQ(error_of([&] { clip_grad_value(all, std::nan("")); }),
            "clip_grad_value: clip_value must not be negative, got nan");
}

TEST_F(ClipTest, ValuesAreClamped) {
  const uint32_t version = gradient(a.tensor).version();
  clip_grad_value(all, 3.5);
  EXPECT_THAT(grads(), ElementsAre(3, -3.5, 3.5));
  EXPECT_EQ(gradient(a.tensor).version(), version + 1);
}

TEST_F(ClipTest, NeverWritesBytesThatOthersHold) {
  const Ref<Buffer> before = gradient(a.tensor).storage().share_buffer();
  clip_grad_norm(all, 1);
  EXPECT_EQ(reinterpret_cast<const double*>(before->data())[0], 3);
}

}  // namespace
}  // namespace tapewire
