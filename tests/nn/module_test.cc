#include "core/nn/module.h"

#include <memory>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/nn/dropout.h"
#include "core/nn/linear.h"
#include "core/nn/normalization.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A module that is what a test makes of it.
class Box final : public TensorModule {
 public:
  std::string_view type() const override { return "Box"; }
  Tensor forward(const Tensor& x) override { return x; }
};

template <class List>
std::vector<std::string> names(const List& list) {
  std::vector<std::string> out;
  for (const auto& item : list) out.push_back(item.name);
  return out;
}

TEST(ModuleTest, RefusesBadNames) {
  const auto box = std::make_shared<Box>();
  box->register_parameter("p", Tensor::zeros({1}));
  EXPECT_EQ(error_of([&] { box->register_parameter("", {}); }), "parameter name can't be empty string \"\"");
  EXPECT_EQ(error_of([&] { box->register_buffer("a.b", {}); }), "buffer name can't contain \".\", got 'a.b'");
  EXPECT_EQ(error_of([&] { box->register_module("p", std::make_shared<Box>()); }), "attribute 'p' already exists");
  EXPECT_EQ(error_of([&] { box->register_buffer("p", {}); }), "attribute 'p' already exists");
  EXPECT_EQ(error_of([&] { box->register_module("m", nullptr); }), "module 'm' is null");
  EXPECT_EQ(error_of([&] { box->register_parameter("q", mul(box->own_parameters()[0].tensor, 2)); }),
            "Cannot assign non-leaf Tensor to parameter 'q'. Model parameters must be created explicitly.");
}

TEST(ModuleTest, ParametersRequireGradUnlessFrozenOrIntegers) {
  const auto box = std::make_shared<Box>();
  EXPECT_TRUE(box->register_parameter("a", Tensor::zeros({1})).requires_grad());
  EXPECT_FALSE(box->register_parameter("b", Tensor::zeros({1}), false).requires_grad());
  EXPECT_FALSE(box->register_parameter("c", Tensor::zeros({1}, DType::kInt64)).requires_grad());
}

TEST(ModuleTest, NamesComeInPreOrderAndEachObjectOnce) {
  const auto shared = std::make_shared<Linear>(2, 2);
  const auto root = std::make_shared<Sequential>(
      Modules{shared, std::make_shared<Sequential>(Modules{shared, std::make_shared<BatchNorm1d>(2)})});
  root->register_parameter("tied", shared->weight());
  EXPECT_THAT(names(root->named_modules()), ElementsAre("", "0", "1", "1.1"));
  EXPECT_THAT(names(root->named_parameters()), ElementsAre("tied", "0.bias", "1.1.weight", "1.1.bias"));
  EXPECT_THAT(names(root->named_buffers()),
              ElementsAre("1.1.running_mean", "1.1.running_var", "1.1.num_batches_tracked"));
  EXPECT_THAT(names(root->children()), ElementsAre("0", "1"));
}

TEST(ModuleTest, StateDictKeepsDuplicatesAndLeavesTransientBuffersOut) {
  const auto shared = std::make_shared<Linear>(2, 2, false);
  const auto root = std::make_shared<Sequential>(Modules{shared, shared});
  root->register_buffer("kept", Tensor::zeros({1}));
  root->register_buffer("transient", Tensor::zeros({1}), false);
  const StateDict state = root->state_dict();
  EXPECT_THAT(names(state), ElementsAre("kept", "0.weight", "1.weight"));
  EXPECT_EQ(state[1].tensor.raw_data(), shared->weight().raw_data());
  EXPECT_FALSE(state[1].tensor.requires_grad());
}

TEST(ModuleTest, LoadStateDictCopiesIntoTheSameParameters) {
  const auto from = std::make_shared<Linear>(2, 3);
  const auto into = std::make_shared<Linear>(2, 3);
  into->to(DType::kFloat64);
  const Tensor weight = into->weight();
  const LoadResult result = into->load_state_dict(from->state_dict());
  EXPECT_THAT(result.missing_keys, IsEmpty());
  EXPECT_THAT(result.unexpected_keys, IsEmpty());
  EXPECT_EQ(weight.to_vector<float>(), from->weight().to_vector<float>());
  EXPECT_EQ(weight.dtype(), DType::kFloat64);
  EXPECT_EQ(weight.version(), 1u);
  EXPECT_TRUE(into->named_parameters()[0].tensor.is_same(weight));
}

TEST(ModuleTest, LoadStateDictCollectsEveryFaultInOneMessage) {
  const auto net =
      std::make_shared<Sequential>(Modules{std::make_shared<Linear>(2, 3), std::make_shared<Linear>(3, 1)});
  const std::vector<float> before = net->named_parameters()[0].tensor.to_vector<float>();
  const StateDict state{{"0.weight", Tensor::zeros({3, 2})},
                        {"0.bias", Tensor::zeros({4})},
                        {"2.bias", Tensor::zeros({1})},
                        {"1.weight", Tensor::zeros({1, 3})}};
  EXPECT_EQ(error_of([&] { net->load_state_dict(state); }),
            "Error(s) in loading state_dict for Sequential:"
            "\n\tMissing key(s) in state_dict: \"1.bias\". "
            "\n\tUnexpected key(s) in state_dict: \"2.bias\". "
            "\n\tsize mismatch for 0.bias: copying a param with shape [4] from checkpoint, the shape in current model "
            "is [3].");
  EXPECT_EQ(error_of([&] { net->load_state_dict(state, false); }),
            "Error(s) in loading state_dict for Sequential:"
            "\n\tsize mismatch for 0.bias: copying a param with shape [4] from checkpoint, the shape in current model "
            "is [3].");
  EXPECT_EQ(net->named_parameters()[0].tensor.to_vector<float>(), before);
}

TEST(ModuleTest, LoadStateDictWithoutStrictTellsWhatDidNotFit) {
  const auto fc = std::make_shared<Linear>(1, 1);
  const LoadResult result =
      fc->load_state_dict({{"weight", Tensor::full({1, 1}, 5.0)}, {"scale", Tensor::zeros({1})}}, false);
  EXPECT_THAT(result.missing_keys, ElementsAre("bias"));
  EXPECT_THAT(result.unexpected_keys, ElementsAre("scale"));
  EXPECT_EQ(fc->weight().item<float>(), 5);
}

TEST(ModuleTest, FindGoesDownAPath) {
  const auto inner = std::make_shared<ReLU>();
  const auto root = std::make_shared<Sequential>(Modules{std::make_shared<Sequential>(Modules{inner})});
  EXPECT_EQ(root->find(""), root);
  EXPECT_EQ(root->find("0.0"), inner);
  for (const char* path : {"1", "0.1", "0.0.0", "0.", ".0", ".", "0..0"}) EXPECT_EQ(root->find(path), nullptr) << path;
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
  fc->zero_grad(false);
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

TEST(ModuleTest, ToConvertsFloatsAndKeepsIdentity) {
  const auto net =
      std::make_shared<Sequential>(Modules{std::make_shared<Linear>(2, 2), std::make_shared<BatchNorm1d>(2)});
  const Tensor weight = net->named_parameters()[0].tensor;
  backward(sum((*net)(pattern({3, 2}, 7, 3, DType::kFloat32))));
  const Tensor grad = gradient(weight);
  net->to(DType::kFloat64);
  EXPECT_EQ(weight.dtype(), DType::kFloat64);
  EXPECT_TRUE(net->named_parameters()[0].tensor.is_same(weight));
  EXPECT_TRUE(is_leaf(weight));
  EXPECT_TRUE(weight.requires_grad());
  EXPECT_EQ(gradient(weight).dtype(), DType::kFloat64);
  EXPECT_TRUE(gradient(weight).is_same(grad));
  EXPECT_EQ(net->named_buffers()[0].tensor.dtype(), DType::kFloat64);
  EXPECT_EQ(net->named_buffers()[2].tensor.dtype(), DType::kInt64);
  backward(sum((*net)(pattern({3, 2}))));
  EXPECT_EQ(gradient(weight).dtype(), DType::kFloat64);
  EXPECT_EQ(error_of([&] { net->to(DType::kInt64); }),
            "nn.Module.to only accepts floating point dtypes, but got desired dtype=int64");
}

TEST(ModuleTest, ToForgetsTheAccumulatorOfATapeThatStillLives) {
  const auto fc = std::make_shared<Linear>(2, 1, false);
  const Tensor old_tape = sum((*fc)(Tensor::full({1, 2}, 1.0)));
  fc->to(DType::kFloat64);
  backward(sum((*fc)(Tensor::full({1, 2}, 0.1, DType::kFloat64))));
  // Rounded through float32 it would not be the same double.
  EXPECT_THAT(gradient(fc->weight()).to_vector<double>(), ElementsAre(0.1, 0.1));
  EXPECT_TRUE(old_tape.requires_grad());
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

TEST(ModuleTest, ReprOfAModuleListJoinsEqualNeighbours) {
  const auto block = [] { return std::make_shared<Sequential>(Modules{std::make_shared<ReLU>()}); };
  const auto list = std::make_shared<ModuleList>(Modules{block(), block(), std::make_shared<Tanh>(), block()});
  EXPECT_EQ(std::make_shared<Sequential>(Modules{list})->repr(),
            "Sequential(\n"
            "  (0): ModuleList(\n"
            "    (0-1): 2 x Sequential(\n"
            "      (0): ReLU()\n"
            "    )\n"
            "    (2): Tanh()\n"
            "    (3): Sequential(\n"
            "      (0): ReLU()\n"
            "    )\n"
            "  )\n"
            ")");
  EXPECT_EQ(ModuleList().repr(), "ModuleList()");
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
