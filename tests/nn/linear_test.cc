#include "core/nn/linear.h"

#include <memory>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/random.h"
#include "core/nn/init.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"
#include "tests/nn/torch_init.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

TEST(BilinearTest, StartsWithPyTorchsBits) {
  manual_seed(7);
  // What torch_init.h draws before it.
  init::normal_(Tensor::empty({3, 4}));
  init::normal_(Tensor::empty({3, 5}));
  Bilinear bilinear({.in1_features = 3, .in2_features = 2, .out_features = 2});
  std::vector<float> values = bilinear.weight().to_vector<float>();
  for (const float v : bilinear.bias().to_vector<float>()) values.push_back(v);
  EXPECT_EQ(values, torch_values::kBilinear);
  const Tensor next = Tensor::empty({3});
  init::uniform_(next);
  EXPECT_EQ(next.to_vector<float>(), torch_values::kAfterLayers);
}

TEST(BilinearTest, IsABilinearFormPlusBias) {
  const auto bilinear =
      std::make_shared<Bilinear>(BilinearOptions{.in1_features = 2, .in2_features = 2, .out_features = 1});
  bilinear->load_state_dict({{"weight", Tensor::of<float>({1, 2, 3, 4}, {1, 2, 2})}, {"bias", Tensor::of<float>({7})}});
  Args args{Tensor::of<float>({1, 10}, {1, 2})};
  args.named.emplace_back("input2", Tensor::of<float>({1, 100}, {1, 2}));
  const Tensor out = (*bilinear)(args).tensor();
  EXPECT_THAT(out.sizes(), ElementsAre(1, 1));
  EXPECT_EQ(out.item<double>(), 1 + 200 + 30 + 4000 + 7);
  backward(sum(out));
  EXPECT_THAT(gradient(bilinear->weight()).to_vector<float>(), ElementsAre(1, 100, 10, 1000));
  EXPECT_THAT(gradient(bilinear->bias()).to_vector<float>(), ElementsAre(1));
}

TEST(BilinearTest, PrintsAsInPyTorchWithoutBias) {
  Bilinear bilinear({.in1_features = 2, .in2_features = 3, .out_features = 4, .bias = false});
  EXPECT_EQ(bilinear.repr(), "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=False)");
  EXPECT_EQ(bilinear.state_dict().size(), 1u);
}

TEST(BilinearTest, RefusesWhatCannotBe) {
  EXPECT_EQ(error_of([] { Bilinear({.in1_features = 0, .in2_features = 3, .out_features = 4}); }),
            "Bilinear: in1_features must be > 0, but got 0");
  EXPECT_EQ(error_of([] { Bilinear({.in1_features = 2, .in2_features = -3, .out_features = 4}); }),
            "Bilinear: in2_features and out_features must not be negative, got -3 and 4");
  const auto bilinear =
      std::make_shared<Bilinear>(BilinearOptions{.in1_features = 2, .in2_features = 2, .out_features = 1});
  EXPECT_EQ(error_of([&] { (*bilinear)(Args{Tensor::zeros({1, 2})}); }), "Bilinear: argument 'input2' is missing");
}

}  // namespace
}  // namespace tapewire
