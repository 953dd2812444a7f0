#include "core/nn/module.h"

#include <memory>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/nn/dropout.h"
#include "core/nn/linear.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/module_support.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ModuleTest, RefusesBadNames) {
  const auto box = std::make_shared<Box>();
  box->register_parameter("p", Tensor::zeros({1}));
  EXPECT_EQ(error_of([&] { box->register_parameter("", {}); }), "parameter name can't be empty string \"\"");
  EXPECT_EQ(error_of([&] { box->register_buffer("a.b", {}); }), "buffer name can't contain \".\", got: 'a.b'");
  EXPECT_EQ(error_of([&] { box->register_module("p", std::make_shared<Box>()); }), "attribute 'p' already exists");
  EXPECT_EQ(error_of([&] { box->register_buffer("p", {}); }), "attribute 'p' already exists");
  EXPECT_EQ(error_of([&] { box->register_module("m", nullptr); }), "module 'm' is null");
  EXPECT_EQ(
      error_of([&] { box->register_parameter("q", mul(box->own_parameters()[0].tensor, 2)); }),
      "Cannot assign non-leaf Tensor to parameter 'q'. Model parameters must be created explicitly. To express 'q' "
      "as a function of another Tensor, compute the value in the forward() method.");
}

TEST(ModuleTest, ParametersRequireGradUnlessFrozenOrIntegers) {
  const auto box = std::make_shared<Box>();
  EXPECT_TRUE(box->register_parameter("a", Tensor::zeros({1})).requires_grad());
  EXPECT_FALSE(box->register_parameter("b", Tensor::zeros({1}), false).requires_grad());
  EXPECT_FALSE(box->register_parameter("c", Tensor::zeros({1}, DType::kInt64)).requires_grad());
}

TEST(ModuleTest, TrainAndEvalReachEveryModule) {
  const auto inner = std::make_shared<Dropout>();
  const auto root = std::make_shared<Sequential>(Modules{std::make_shared<Sequential>(Modules{inner})});
  EXPECT_TRUE(inner->training());
  root->eval();
  EXPECT_FALSE(root->training());
  EXPECT_FALSE(inner->training());
  root->train();
  EXPECT_TRUE(inner->training());
}

TEST(ModuleTest, ZeroGradDropsGradientsOrFillsThemInPlace) {
  const auto fc = std::make_shared<Linear>(2, 1);
  backward(sum((*fc)(Tensor::full({3, 2}, 1.0))));
  const Tensor grad = gradient(fc->weight());
  const uint32_t version = grad.version();
  fc->zero_grad(false);
  EXPECT_GT(grad.version(), version) << "who saved it finds out";
  EXPECT_TRUE(gradient(fc->weight()).is_same(grad));
  EXPECT_THAT(grad.to_vector<float>(), ElementsAre(0, 0));
  fc->zero_grad();
  EXPECT_FALSE(gradient(fc->weight()).defined());
}

TEST(ModuleTest, ZeroGradCutsAGradientFromItsHistory) {
  const auto fc = std::make_shared<Linear>(1, 1, false);
  const Tensor y = (*fc)(Tensor::full({1, 1}, 2.0));
  backward(sum(mul(y, y)), {}, {.create_graph = true});
  ASSERT_TRUE(gradient(fc->weight()).requires_grad());
  fc->zero_grad(false);
  EXPECT_FALSE(gradient(fc->weight()).requires_grad());
  EXPECT_EQ(gradient(fc->weight()).item<float>(), 0);
}

TEST(ModuleTest, ApplyVisitsChildrenFirst) {
  const auto root = std::make_shared<Sequential>(
      Modules{std::make_shared<ReLU>(), std::make_shared<Sequential>(Modules{std::make_shared<Tanh>()})});
  std::vector<std::string> seen;
  root->apply([&](Module& module) { seen.emplace_back(module.type()); });
  EXPECT_THAT(seen, ElementsAre("ReLU", "Tanh", "Sequential", "Sequential"));
}

TEST(ModuleTest, ApplyVisitsAChildUnderTwoNamesOnce) {
  const auto shared = std::make_shared<ReLU>();
  int calls = 0;
  std::make_shared<Sequential>(Modules{shared, shared})->apply([&](Module&) { ++calls; });
  EXPECT_EQ(calls, 2);
}

TEST(ModuleTest, RequiresGradReachesAllParameters) {
  const auto net = std::make_shared<Sequential>(Modules{std::make_shared<Linear>(2, 2)});
  net->requires_grad_(false);
  for (const Tensor& p : net->parameters()) EXPECT_FALSE(p.requires_grad());
  net->requires_grad_();
  for (const Tensor& p : net->parameters()) EXPECT_TRUE(p.requires_grad());
  net->register_parameter("count", Tensor::zeros({1}, DType::kInt64));
  EXPECT_THAT(error_of([&] { net->requires_grad_(); }),
              HasSubstr("only Tensors of floating point dtype can require gradients"));
}

// Several lines of extra_repr, with and without children.
class Wordy final : public TensorModule {
 public:
  std::string_view type() const override { return "Wordy"; }
  Tensor forward(const Tensor& x) override { return x; }
  std::string extra_repr() const override { return "a=1\nb=2"; }
};

TEST(ModuleTest, ReprPutsSeveralLinesOfExtraBeforeTheChildren) {
  const auto wordy = std::make_shared<Wordy>();
  EXPECT_EQ(wordy->repr(), "Wordy(\n  a=1\n  b=2\n)");
  wordy->register_module("inner", std::make_shared<Wordy>());
  EXPECT_EQ(wordy->repr(), "Wordy(\n  a=1\n  b=2\n  (inner): Wordy(\n    a=1\n    b=2\n  )\n)");
}

TEST(ModuleTest, ReprIsAsInPyTorch) {
  const auto net = std::make_shared<Sequential>(
      Modules{std::make_shared<Linear>(2, 3),
              std::make_shared<Sequential>(Modules{std::make_shared<ReLU>(), std::make_shared<Linear>(3, 1, false)})});
  EXPECT_EQ(net->repr(),
            "Sequential(\n"
            "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
            "  (1): Sequential(\n"
            "    (0): ReLU()\n"
            "    (1): Linear(in_features=3, out_features=1, bias=False)\n"
            "  )\n"
            ")");
}

TEST(ModuleTest, ErrorsNameTheInnermostModule) {
  const auto net =
      std::make_shared<Sequential>(Modules{std::make_shared<Sequential>(Modules{std::make_shared<Linear>(320, 10)})});
  net->name_tree();
  EXPECT_THAT(error_of([&] { (*net)(Tensor::zeros({64, 256})); }),
              testing::AllOf(testing::StartsWith("0.0: "), HasSubstr("[64, 256]"), testing::Not(HasSubstr("0: 0.0"))));
}

TEST(ModuleTest, TensorModulesTellWhatTheyWereGiven) {
  const auto relu = std::make_shared<ReLU>();
  EXPECT_EQ(error_of([&] { (*relu)(Args{}); }), "ReLU: argument 'input' is missing");
  EXPECT_EQ(error_of([&] { (*relu)(Args{Tensor::zeros({2}), 3}); }),
            "ReLU takes one argument (input), got (tensor float32[2], int 3)");
}

}  // namespace
}  // namespace tapewire
