#include <memory>

#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/nn/parameter_container.h"
#include "core/ops/arithmetic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/module_support.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

auto child_is(const char* name, const std::shared_ptr<Module>& module) {
  return testing::AllOf(testing::Field(&NamedModule::name, name), testing::Field(&NamedModule::module, module));
}

TEST(ContainerTest, ASequenceIsIndexedFromBothEnds) {
  const auto a = std::make_shared<ReLU>();
  const auto b = std::make_shared<Tanh>();
  const ModuleList list(Modules{a, b});
  EXPECT_EQ(list.size(), 2u);
  EXPECT_EQ(list[1], b);
  EXPECT_EQ(list.at(0), a);
  EXPECT_EQ(list.at(-2), a);
  EXPECT_EQ(error_of([&] { list.at(2); }), "index 2 is out of range");
  EXPECT_EQ(error_of([&] { list.at(-3); }), "index -3 is out of range");
}

TEST(ContainerTest, ASequenceGrowsAndShrinksAndKeepsItsNumbers) {
  const auto a = std::make_shared<ReLU>();
  const auto b = std::make_shared<Tanh>();
  const auto c = std::make_shared<Sigmoid>();
  Sequential net(Modules{a});
  net.extend({b});
  net.insert(1, c);
  EXPECT_THAT(net.children(), ElementsAre(child_is("0", a), child_is("1", c), child_is("2", b)));
  net.insert(-3, b);
  EXPECT_THAT(net.children(), ElementsAre(child_is("0", b), child_is("1", a), child_is("2", c), child_is("3", b)));
  EXPECT_EQ(net.pop(0), b);
  EXPECT_EQ(net.pop(), b);
  EXPECT_THAT(net.children(), ElementsAre(child_is("0", a), child_is("1", c)));
  net.set(-1, b);
  EXPECT_THAT(net.children(), ElementsAre(child_is("0", a), child_is("1", b)));
  net.insert(2, c);
  EXPECT_EQ(net.at(2), c);
  EXPECT_EQ(error_of([&] { net.insert(4, a); }), "Index out of range: 4");
  EXPECT_EQ(error_of([&] { net.insert(0, nullptr); }), "module '0' is null");
  EXPECT_EQ(error_of([&] { net.set(0, nullptr); }), "module '0' is null");
  EXPECT_EQ(error_of([&] { net.set(3, a); }), "index 3 is out of range");
  EXPECT_EQ(error_of([&] { Sequential().pop(); }), "index -1 is out of range");
  EXPECT_EQ(net.size(), 3u);
}

TEST(ContainerTest, ASequentialMayNameItsChildren) {
  const auto a = std::make_shared<ReLU>();
  const auto net = std::make_shared<Sequential>(NamedModules{{"act", a}, {"flat", std::make_shared<Flatten>()}});
  EXPECT_EQ(net->repr(), "Sequential(\n  (act): ReLU()\n  (flat): Flatten(start_dim=1, end_dim=-1)\n)");
  EXPECT_EQ(error_of([&] { net->insert(0, a); }), "Sequential: insert needs children called by number, got 'act'");
  EXPECT_THAT((*net)(pattern({1, 2, 2})).sizes(), ElementsAre(1, 4));
}

TEST(ContainerTest, AModuleDictKeepsTheOrderOfItsKeys) {
  const auto a = std::make_shared<ReLU>();
  const auto b = std::make_shared<Tanh>();
  ModuleDict dict(NamedModules{{"z", a}, {"a", a}});
  dict.set("m", b);
  dict.set("z", b);
  EXPECT_THAT(dict.keys(), ElementsAre("z", "a", "m"));
  EXPECT_EQ(dict.get("z"), b);
  EXPECT_TRUE(dict.contains("a"));
  EXPECT_EQ(dict.pop("a"), a);
  EXPECT_FALSE(dict.contains("a"));
  EXPECT_THAT(dict.keys(), ElementsAre("z", "m"));
  EXPECT_EQ(dict.repr(), "ModuleDict(\n  (z): Tanh()\n  (m): Tanh()\n)");
  EXPECT_EQ(error_of([&] { dict.get("activation"); }), "ModuleDict has no key 'activation'");
  EXPECT_EQ(error_of([&] { dict.pop("activation"); }), "ModuleDict has no key 'activation'");
  EXPECT_EQ(error_of([&] { dict.set("z", nullptr); }), "module 'z' is null");
  EXPECT_EQ(error_of([&] { dict.set("", a); }), "module name can't be empty string \"\"");
  dict.clear();
  EXPECT_EQ(dict.repr(), "ModuleDict()");
}

TEST(ContainerTest, ListsAndDictsCannotBeCalled) {
  EXPECT_EQ(error_of([] { (*std::make_shared<ModuleList>())(Args{}); }),
            "Module [ModuleList] is missing the required \"forward\" function");
  EXPECT_EQ(error_of([] { (*std::make_shared<ModuleDict>())(Args{}); }),
            "Module [ModuleDict] is missing the required \"forward\" function");
  EXPECT_EQ(error_of([] { (*std::make_shared<ParameterList>())(Args{}); }), "ParameterList should not be called.");
  EXPECT_EQ(error_of([] { (*std::make_shared<ParameterDict>())(Args{}); }), "ParameterDict should not be called.");
}

TEST(ContainerTest, AParameterListHoldsParameters) {
  const Tensor a = Tensor::zeros({2, 3});
  const Tensor b = Tensor::zeros({1}, DType::kFloat64);
  const auto list = std::make_shared<ParameterList>(std::vector<Tensor>{a});
  EXPECT_EQ(list->repr(), "ParameterList(  (0): Parameter containing: [torch.float32 of size 2x3])");
  list->append(b, false);
  EXPECT_TRUE(a.requires_grad());
  EXPECT_FALSE(b.requires_grad());
  EXPECT_THAT(names(list->named_parameters()), ElementsAre("0", "1"));
  EXPECT_TRUE(list->at(-1).is_same(b));
  EXPECT_EQ(list->repr(),
            "ParameterList(\n"
            "    (0): Parameter containing: [torch.float32 of size 2x3]\n"
            "    (1): Parameter containing: [torch.float64 of size 1]\n"
            ")");
  list->set(0, b);
  EXPECT_TRUE((*list)[0].is_same(b));
  EXPECT_EQ(error_of([&] { list->at(2); }), "index 2 is out of range");
  EXPECT_EQ(error_of([&] { list->append(Tensor()); }), "ParameterList: a parameter must be a tensor, got none");
  EXPECT_THAT(error_of([&] { list->set(0, mul(a, 2.0)); }),
              HasSubstr("Cannot assign non-leaf Tensor to parameter '0'."));
}

TEST(ContainerTest, AParameterDictHoldsParametersByName) {
  const Tensor a = Tensor::zeros({2, 3});
  const Tensor b = Tensor::zeros({}, DType::kFloat64);
  ParameterDict dict({{"left", a}, {"right", b}});
  EXPECT_THAT(dict.keys(), ElementsAre("left", "right"));
  EXPECT_EQ(dict.repr(),
            "ParameterDict(\n"
            "    (left): Parameter containing: [torch.FloatTensor of size 2x3]\n"
            "    (right): Parameter containing: [torch.DoubleTensor of size ]\n"
            ")");
  dict.set("left", b);
  EXPECT_TRUE(dict.get("left").is_same(b));
  EXPECT_TRUE(dict.contains("right"));
  EXPECT_TRUE(dict.pop("right").is_same(b));
  EXPECT_EQ(error_of([&] { dict.get("rihgt"); }), "ParameterDict has no key 'rihgt'");
  EXPECT_EQ(error_of([&] { dict.get("lefd"); }), "ParameterDict has no key 'lefd'; did you mean 'left'?");
  EXPECT_EQ(error_of([&] { dict.set("a.b", a); }), "parameter name can't contain \".\", got: 'a.b'");
  dict.clear();
  EXPECT_EQ(dict.size(), 0u);
}

TEST(ContainerTest, ReprOfAModuleListJoinsEqualNeighbours) {
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

}  // namespace
}  // namespace tapewire
