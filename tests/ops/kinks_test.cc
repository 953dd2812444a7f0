// What happens at the points where a function has no derivative, to first and second order: PyTorch's choices. Random
// samples never meet these points.

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/extremes.h"
#include "core/ops/maximum.h"
#include "core/ops/piecewise_activation.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/smooth_activation.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

Tensor leaf(std::initializer_list<double> values) { return set_requires_grad(Tensor::of<double>(values)); }
std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

struct Kinks {
  std::string name;
  std::function<Tensor(const Tensor&)> f;
  std::vector<double> at;
  std::vector<double> slope;   // f'
  std::vector<double> square;  // (f^2)'' = 2 f'^2, as f'' is 0 (or is said below)
};

class KinksTest : public testing::TestWithParam<Kinks> {
 protected:
  static Tensor input() {
    const Kinks& c = GetParam();
    return set_requires_grad(Tensor::of<double>(c.at, Shape{static_cast<int64_t>(c.at.size())}));
  }
};

TEST_P(KinksTest, HavePyTorchsSlope) {
  const Tensor x = input();
  const Tensor slope = grad({sum(GetParam().f(x))}, {x}, {}, {.create_graph = true})[0];
  EXPECT_EQ(values(slope), GetParam().slope);
  if (!slope.requires_grad()) return;
  const Tensor second = grad({sum(slope)}, {x}, {}, {.allow_unused = true})[0];
  if (!second.defined()) return;
  EXPECT_THAT(values(second), testing::Each(0)) << "the pieces are straight";
}

TEST_P(KinksTest, HaveTheSlopeInTheSecondDerivativeOfASquareToo) {
  const Tensor x = input();
  const Tensor y = GetParam().f(x);
  const Tensor first = grad({sum(mul(y, y))}, {x}, {}, {.create_graph = true})[0];
  EXPECT_EQ(values(grad({sum(first)}, {x})[0]), GetParam().square);
}

INSTANTIATE_TEST_SUITE_P(
    Ops, KinksTest,
    testing::Values(
        Kinks{"relu", [](const Tensor& x) { return relu(x); }, {-1, 0, -0.0, 1}, {0, 0, 0, 1}, {0, 0, 0, 2}},
        Kinks{"abs", [](const Tensor& x) { return abs(x); }, {-1, 0, -0.0, 1}, {-1, 0, 0, 1}, {2, 0, 0, 2}},
        Kinks{"clamp",
              [](const Tensor& x) { return clamp(x, -1, 2); },
              {-2, -1, 0, 2, 3},
              {0, 0, 1, 0, 0},
              {0, 0, 2, 0, 0}},
        Kinks{"clamp_min", [](const Tensor& x) { return clamp_min(x, -1); }, {-2, -1, 0}, {0, 0, 1}, {0, 0, 2}},
        Kinks{"clamp_max", [](const Tensor& x) { return clamp_max(x, 2); }, {0, 2, 3}, {1, 0, 0}, {2, 0, 0}},
        Kinks{"relu6", [](const Tensor& x) { return relu6(x); }, {-1, 0, 3, 6, 7}, {0, 0, 1, 0, 0}, {0, 0, 2, 0, 0}},
        Kinks{"hardtanh",
              [](const Tensor& x) { return hardtanh(x); },
              {-2, -1, 0, 1, 2},
              {0, 0, 1, 0, 0},
              {0, 0, 2, 0, 0}},
        Kinks{"leaky_relu",
              [](const Tensor& x) { return leaky_relu(x, {.negative_slope = 0.25}); },
              {-1, 0, 1},
              {0.25, 0.25, 1},
              {0.125, 0.125, 2}},
        Kinks{"threshold",
              [](const Tensor& x) { return threshold(x, {.threshold = 0.5, .value = 7}); },
              {0, 0.5, 1},
              {0, 0, 1},
              {0, 0, 2}},
        Kinks{"hardshrink",
              [](const Tensor& x) { return hardshrink(x); },
              {-1, -0.5, 0, 0.5, 1},
              {1, 0, 0, 0, 1},
              {2, 0, 0, 0, 2}},
        Kinks{"softshrink",
              [](const Tensor& x) { return softshrink(x); },
              {-1, -0.5, 0, 0.5, 1},
              {1, 0, 0, 0, 1},
              {2, 0, 0, 0, 2}},
        // Ties: those of maximum and amax share, the first alone has max's along a dimension.
        Kinks{"maximum",
              [](const Tensor& x) { return maximum(x, Tensor::of<double>({1, 1, 1})); },
              {0, 1, 2},
              {0, 0.5, 1},
              {0, 0.5, 2}},
        Kinks{"minimum",
              [](const Tensor& x) { return minimum(x, Tensor::of<double>({1, 1, 1})); },
              {0, 1, 2},
              {1, 0.5, 0},
              {2, 0.5, 0}},
        Kinks{"amax", [](const Tensor& x) { return amax(x); }, {3, 1, 3}, {0.5, 0, 0.5}, {1, 0, 1}},
        Kinks{"amin", [](const Tensor& x) { return amin(x); }, {1, 3, 1}, {0.5, 0, 0.5}, {1, 0, 1}},
        Kinks{"max", [](const Tensor& x) { return max(x); }, {3, 1, 3}, {0.5, 0, 0.5}, {1, 0, 1}},
        Kinks{"max_along", [](const Tensor& x) { return max(x, {.dim = 0}).first; }, {1, 3, 3}, {0, 1, 0}, {0, 2, 0}},
        Kinks{"min_along", [](const Tensor& x) { return min(x, {.dim = 0}).first; }, {3, 1, 1}, {0, 1, 0}, {0, 2, 0}}),
    [](const auto& test) { return test.param.name; });

// fmax and fmin of equal operands: half each, as in PyTorch 2.15.
TEST(KinkTest, EqualOperandsShareTheGradientOfFmaxAndFmin) {
  for (const auto& op : {fmax, fmin}) {
    const Tensor a = leaf({1});
    const Tensor b = leaf({1});
    const Tensor y = op(a, b);
    const Tensors first = grad({mul(y, y)}, {a, b}, {}, {.create_graph = true});
    EXPECT_THAT(values(first[0]), ElementsAre(1));
    EXPECT_THAT(values(first[1]), ElementsAre(1));
    EXPECT_THAT(values(grad({first[0]}, {a})[0]), ElementsAre(0.5));
  }
}

// torch: x = torch.zeros(1, requires_grad=True); elu's slope at 0 is that of its left side, alpha, and its second
// derivative that of its right side.
TEST(KinkTest, EluTakesItsLeftSide) {
  const Tensor x = leaf({0});
  const Tensor slope = grad({elu(x, {.alpha = 3})}, {x}, {}, {.create_graph = true})[0];
  EXPECT_THAT(values(slope), ElementsAre(3));
  EXPECT_THAT(values(grad({slope}, {x})[0]), ElementsAre(0));
}

}  // namespace
}  // namespace tapewire
