#include <limits>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

// sqrt of a negative number is NaN, and so is its gradient.
Tensor broken_loss(const Tensor& x) {
  static const std::string kPath = "encoder.layers.0";
  const OriginScope scope(kPath);
  return sum(sqrt(x));
}

TEST(AnomalyTest, NamesTheNodeWhoseGradientIsNaNAndWhereItWasMade) {
  const AnomalyGuard anomaly;
  const Tensor x = leaf({-1, 1});
  EXPECT_EQ(error_of([&] { backward(broken_loss(x)); }),
            "Function 'SqrtBackward0' returned nan values in its 0th output. The forward op that made it ran in "
            "encoder.layers.0.");
  EXPECT_FALSE(gradient(x).defined());
}

TEST(AnomalyTest, NamesTheGradientThatIsNaN) {
  const AnomalyGuard anomaly;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(error_of([&] { backward(mul(leaf({nan}), leaf({2}))); }),
            "Function 'MulBackward0' returned nan values in its 1th output.");
  EXPECT_EQ(error_of([&] { backward(mul(leaf({2}), leaf({nan}))); }),
            "Function 'MulBackward0' returned nan values in its 0th output.");
}

TEST(AnomalyTest, WithoutAnOriginTheNodeIsStillNamed) {
  const AnomalyGuard anomaly;
  EXPECT_EQ(error_of([] { backward(sum(sqrt(leaf({-1})))); }),
            "Function 'SqrtBackward0' returned nan values in its 0th output.");
}

TEST(AnomalyTest, AnErrorTellsWhichForwardOpItBelongsTo) {
  const AnomalyGuard anomaly;
  const Tensor x = leaf({1, 2});
  Tensor y;
  {
    const std::string path = "fc1";
    const OriginScope scope(path);
    y = exp(x);
  }
  add_(y, 1);
  const std::string message = error_of([&] { backward(sum(y)); });
  EXPECT_THAT(message, HasSubstr("modified by an inplace operation"));
  EXPECT_THAT(message, HasSubstr("(in Function 'ExpBackward0'. The forward op that made it ran in fc1.)"));
}

TEST(AnomalyTest, OriginsNest) {
  const AnomalyGuard anomaly;
  const Tensor x = leaf({1});
  const std::string net = "net";
  const std::string fc1 = "net.fc1";
  const OriginScope outer(net);
  Tensor inside;
  {
    const OriginScope inner(fc1);
    inside = exp(x);
  }
  const Tensor outside = exp(x);
  EXPECT_EQ(*grad_fn(inside)->origin(), "net.fc1");
  EXPECT_EQ(*grad_fn(outside)->origin(), "net");
}

TEST(AnomalyTest, GuardsNest) {
  EXPECT_FALSE(anomaly_enabled());
  {
    const AnomalyGuard outer;
    {
      const AnomalyGuard off(false);
      EXPECT_FALSE(anomaly_enabled());
    }
    {
      const AnomalyGuard inner;
    }
    EXPECT_TRUE(anomaly_enabled());
  }
  EXPECT_FALSE(anomaly_enabled());
}

TEST(AnomalyTest, OutsideItNothingIsCheckedOrRemembered) {
  const Tensor x = leaf({-1});
  const Tensor loss = broken_loss(x);
  EXPECT_EQ(grad_fn(loss)->origin(), nullptr);
  EXPECT_EQ(error_of([&] { backward(loss); }), "no error");
  EXPECT_TRUE(gradient(x).defined());
}

}  // namespace
}  // namespace tapewire
