#include <memory>

#include "core/autograd/meta.h"
#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/nn/linear.h"
#include "core/nn/normalization.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/module_support.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

TEST(ModuleNamesTest, NamesComeInPreOrderAndEachObjectOnce) {
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

TEST(ModuleNamesTest, FindGoesDownAPath) {
  const auto inner = std::make_shared<ReLU>();
  const auto root = std::make_shared<Sequential>(Modules{std::make_shared<Sequential>(Modules{inner})});
  EXPECT_EQ(root->find(""), root);
  EXPECT_EQ(root->find("0.0"), inner);
  for (const char* path : {"1", "0.1", "0.0.0", "0.", ".0", ".", "0..0"}) EXPECT_EQ(root->find(path), nullptr) << path;
}

TEST(ModuleNamesTest, TakeAPrefix) {
  const auto net = std::make_shared<Sequential>(Modules{std::make_shared<BatchNorm1d>(2)});
  EXPECT_THAT(names(net->named_modules({.prefix = "net"})), ElementsAre("net", "net.0"));
  EXPECT_THAT(names(net->named_parameters({.prefix = "net"})), ElementsAre("net.0.weight", "net.0.bias"));
  EXPECT_THAT(names(net->named_buffers({.prefix = "net"})),
              ElementsAre("net.0.running_mean", "net.0.running_var", "net.0.num_batches_tracked"));
}

TEST(ModuleNamesTest, WithoutRecursionAreTheModulesOwn) {
  const auto net = std::make_shared<Sequential>(Modules{std::make_shared<BatchNorm1d>(2)});
  net->register_parameter("scale", Tensor::zeros({1}));
  net->register_buffer("count", Tensor::zeros({1}));
  EXPECT_THAT(names(net->named_parameters({.recurse = false})), ElementsAre("scale"));
  EXPECT_THAT(names(net->named_buffers({.recurse = false})), ElementsAre("count"));
  EXPECT_EQ(net->parameters(false).size(), 1u);
  EXPECT_EQ(net->parameters().size(), 3u);
  EXPECT_EQ(net->buffers(false).size(), 1u);
  EXPECT_EQ(net->buffers().size(), 4u);
}

TEST(ModuleNamesTest, WithDuplicatesListEachName) {
  const auto shared = std::make_shared<Linear>(1, 1, false);
  const auto root = std::make_shared<Sequential>(Modules{shared, shared});
  root->register_parameter("tied", shared->weight());
  EXPECT_THAT(names(root->named_modules({.remove_duplicate = false})), ElementsAre("", "0", "1"));
  EXPECT_THAT(names(root->named_parameters({.remove_duplicate = false})), ElementsAre("tied", "0.weight", "1.weight"));
  EXPECT_THAT(names(root->named_parameters()), ElementsAre("tied"));
  EXPECT_THAT(names(root->named_children()), ElementsAre("0"));
  EXPECT_THAT(root->modules(), ElementsAre(root, shared));
}

TEST(ModuleNamesTest, EmptySlotsAreNotListed) {
  const auto fc = std::make_shared<Linear>(1, 1, false);
  EXPECT_THAT(names(fc->named_parameters()), ElementsAre("weight"));
  EXPECT_THAT(names(fc->own_parameters()), ElementsAre("weight", "bias"));
}

TEST(ModuleNamesTest, GetGoesDownAPathAndTellsWhatIsNotThere) {
  const auto fc = std::make_shared<Linear>(1, 1, false);
  const auto bn = std::make_shared<BatchNorm1d>(1);
  const auto root = std::make_shared<Sequential>(Modules{std::make_shared<Sequential>(Modules{fc}), bn});
  EXPECT_EQ(root->get_submodule(""), root);
  EXPECT_EQ(root->get_submodule("0.0"), fc);
  EXPECT_TRUE(root->get_parameter("0.0.weight").is_same(fc->weight()));
  EXPECT_TRUE(root->get_buffer("1.running_mean").is_same(bn->running_mean()));
  EXPECT_EQ(error_of([&] { root->get_submodule("0.2.x"); }), "Sequential has no attribute `2`");
  EXPECT_EQ(error_of([&] { root->get_submodule("0.0.weight"); }), "`weight` is not an nn.Module");
  EXPECT_EQ(error_of([&] { root->get_submodule("0."); }), "Sequential has no attribute ``");
  EXPECT_EQ(error_of([&] { root->get_parameter("0.0.scale"); }), "Linear has no attribute `scale`");
  EXPECT_EQ(error_of([&] { root->get_parameter("0.0.bias"); }), "`bias` is not an nn.Parameter");
  EXPECT_EQ(error_of([&] { root->get_parameter("1.running_mean"); }), "`running_mean` is not an nn.Parameter");
  EXPECT_EQ(error_of([&] { root->get_parameter("2.weight"); }), "Sequential has no attribute `2`");
  EXPECT_EQ(error_of([&] { root->get_buffer("1.weight"); }), "`weight` is not a buffer");
  EXPECT_EQ(error_of([&] { root->get_buffer("1.mean"); }), "BatchNorm1d has no attribute `mean`");
}

}  // namespace
}  // namespace tapewire
