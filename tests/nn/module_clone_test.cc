#include <memory>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/nn/container.h"
#include "core/nn/linear.h"
#include "core/nn/normalization.h"
#include "core/nn/parameter_container.h"
#include "core/nn/registry.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/module_support.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

template <class M>
std::shared_ptr<M> clone_of(const std::shared_ptr<M>& module) {
  return std::dynamic_pointer_cast<M>(module->clone());
}

TEST(CloneTest, HasTensorsOfItsOwn) {
  const auto fc = std::make_shared<Linear>(2, 2);
  const auto copy = clone_of(fc);
  const std::vector<float> before = fc->weight().to_vector<float>();
  EXPECT_EQ(copy->weight().to_vector<float>(), before);
  EXPECT_TRUE(copy->weight().is_same(copy->own_parameters()[0].tensor));
  EXPECT_TRUE(is_leaf(copy->weight()));
  copy->load_state_dict({{"weight", Tensor::zeros({2, 2})}, {"bias", Tensor::zeros({2})}});
  EXPECT_EQ(fc->weight().to_vector<float>(), before);
  EXPECT_THAT((*copy)(Tensor::full({2}, 1.0)).to_vector<float>(), ElementsAre(0, 0));
}

TEST(CloneTest, KeepsFlagsAndDropsGradients) {
  const auto fc = std::make_shared<Linear>(1, 1);
  set_requires_grad(fc->bias(), false);
  fc->double_();
  fc->eval();
  backward(sum((*fc)(Tensor::full({1}, 1.0, DType::kFloat64))));
  const auto copy = clone_of(fc);
  EXPECT_FALSE(copy->training());
  EXPECT_EQ(copy->weight().dtype(), DType::kFloat64);
  EXPECT_TRUE(copy->weight().requires_grad());
  EXPECT_FALSE(copy->bias().requires_grad());
  EXPECT_TRUE(gradient(fc->weight()).defined());
  EXPECT_FALSE(gradient(copy->weight()).defined());
}

TEST(CloneTest, TiedParametersAndSharedModulesStayShared) {
  const auto fc = std::make_shared<Linear>(2, 2);
  const auto net = std::make_shared<Sequential>(Modules{fc, std::make_shared<Sequential>(Modules{fc})});
  const auto tied = std::make_shared<ParameterDict>();
  tied->set("weight", fc->weight());
  net->append(tied);
  const auto copy = clone_of(net);
  const auto copied_fc = std::static_pointer_cast<Linear>(copy->get_submodule("0"));
  EXPECT_NE(copied_fc, fc);
  EXPECT_EQ(copy->get_submodule("1.0"), copied_fc);
  EXPECT_TRUE(copy->get_parameter("2.weight").is_same(copied_fc->weight()));
  EXPECT_FALSE(copied_fc->weight().is_same(fc->weight()));
  EXPECT_EQ(names(copy->named_parameters()), names(net->named_parameters()));
}

TEST(CloneTest, HooksStayWithTheOriginal) {
  const auto fc = std::make_shared<Linear>(1, 1);
  int calls = 0;
  fc->register_forward_pre_hook([&](Module&, const Args&) -> std::optional<Args> {
    ++calls;
    return {};
  });
  (*fc->clone())(Tensor::zeros({1}));
  EXPECT_EQ(calls, 0);
}

TEST(CloneTest, IsRefusedForATensorWithHistoryAndAnUnknownClass) {
  const auto fc = std::make_shared<Linear>(1, 1);
  fc->register_buffer("scaled", mul(fc->weight(), 2.0));
  EXPECT_EQ(error_of([&] { fc->clone(); }),
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.");
  EXPECT_EQ(error_of([] { std::make_shared<Box>()->clone(); }),
            "clone() has not been implemented for Box. Register the class, or override copy().");
}

TEST(CloneTest, ACopyOutsideOfCloneIsRefused) {
  const auto fc = std::make_shared<Linear>(1, 1);
  EXPECT_EQ(error_of([&] { std::make_shared<Linear>(*fc); }), "a module was copied outside of clone()");
}

// Attributes that a class can be made with: small numbers for what is required, and what few classes want beyond.
AttributeMap some_attributes(const ModuleDef& def) {
  if (def.name.starts_with("Upsampl")) return {{"scale_factor", 2.0}};
  if (def.name == "Transformer") return {{"d_model", 4}, {"nhead", 2}, {"dim_feedforward", 4}};
  AttributeMap out;
  for (const AttributeInfo& info : def.attributes()) {
    if (!info.required) continue;
    if (info.type == "int" || info.type == "ints" || info.type == "any") out.emplace(info.name, 4);
    if (info.type == "float" || info.type == "number") out.emplace(info.name, 0.5);
    if (info.type == "bool") out.emplace(info.name, true);
  }
  return out;
}

void expect_own_copy(const ModuleDef& def) {
  std::vector<std::string> faults;
  std::shared_ptr<Module> module = def.make(some_attributes(def), faults);
  ASSERT_THAT(faults, testing::IsEmpty());
  const std::vector<NamedTensor> parameters = module->named_parameters();
  const std::vector<NamedTensor> buffers = module->named_buffers();
  std::vector<std::weak_ptr<Module>> parts;
  for (const std::shared_ptr<Module>& part : module->modules()) parts.push_back(part);
  const std::string repr = module->repr();
  const std::shared_ptr<Module> copy = module->clone();
  EXPECT_EQ(copy->type(), def.name);
  EXPECT_EQ(copy->repr(), repr);
  EXPECT_EQ(names(copy->named_parameters()), names(parameters));
  module.reset();
  for (const NamedTensor& p : parameters) EXPECT_TRUE(p.tensor.impl()->unique()) << p.name;
  for (const NamedTensor& b : buffers) EXPECT_TRUE(b.tensor.impl()->unique()) << b.name;
  for (const std::weak_ptr<Module>& part : parts) EXPECT_TRUE(part.expired());
}

// A layer that keeps a tensor or a child as a plain member, and not as a Member, would share it with its copy.
TEST(CloneTest, NoRegisteredClassSharesAnythingWithItsCopy) {
  for (const ModuleKind kind : {ModuleKind::kModule, ModuleKind::kLoss}) {
    for (const ModuleDef* def : all_modules(kind)) {
      SCOPED_TRACE(def->name);
      EXPECT_EQ(error_of([&] { expect_own_copy(*def); }), "");
    }
  }
}

}  // namespace
}  // namespace tapewire
