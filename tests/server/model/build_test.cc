#include "server/model/build.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

std::string error_of(const v1::ModelSpec& spec) {
  try {
    build_model(spec, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument) << error.message();
    return error.message();
  }
  return "no error";
}

TEST(BuildTest, BuildsTheTreeInOrder) {
  const ModelParts parts = build_model(spec_of(kSimpleNet), {});
  std::vector<std::string> names;
  for (const NamedTensor& p : parts.root->named_parameters()) names.push_back(p.name);
  EXPECT_THAT(names, testing::ElementsAre("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"));
  EXPECT_EQ(parts.loss.module->type(), "MSELoss");
  EXPECT_EQ(parts.optimizer->type(), "SGD");
}

TEST(BuildTest, ReportsEveryFaultWithItsPath) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  auto& attributes = *spec.mutable_modules(1)->mutable_attributes();
  attributes["in_featurs"] = attributes["in_features"];
  attributes.erase("in_features");
  spec.mutable_modules(2)->set_type("Linaer");
  spec.mutable_loss()->set_type("MSE");
  const std::string message = error_of(spec);
  EXPECT_THAT(message, HasSubstr("fc1: Linear: unknown attribute 'in_featurs'; did you mean 'in_features'?"));
  EXPECT_THAT(message, HasSubstr("fc1: Linear: missing attribute 'in_features'"));
  EXPECT_THAT(message, HasSubstr("fc2: unknown module type 'Linaer'; did you mean 'Linear'?"));
  EXPECT_THAT(message, HasSubstr("loss: unknown loss type 'MSE'"));
}

v1::ModelSpec lone(const char* type) {
  v1::ModelSpec spec;
  spec.add_modules()->set_type(type);
  return spec;
}

TEST(BuildTest, TakesNoneForAnOptionalAttributeAlone) {
  v1::ModelSpec spec = lone("BatchNorm1d");
  auto& attributes = *spec.mutable_modules(0)->mutable_attributes();
  attributes["num_features"].set_int_value(3);
  attributes["momentum"].set_symbol(v1::SYMBOL_NONE);
  EXPECT_THAT(build_model(spec, {}).root->repr(), HasSubstr("momentum=None"));
  attributes["eps"].set_symbol(v1::SYMBOL_NONE);
  EXPECT_THAT(error_of(spec), HasSubstr("attribute 'eps'"));
  attributes["eps"].set_symbol(v1::SYMBOL_TRAINING);
  EXPECT_THAT(error_of(spec), HasSubstr("the only one that is a constant is SYMBOL_NONE"));
}

TEST(BuildTest, TakesAListWithNoneButNoListWithin) {
  v1::ModelSpec spec = lone("AdaptiveAvgPool2d");
  v1::LiteralList& sizes = *(*spec.mutable_modules(0)->mutable_attributes())["output_size"].mutable_list();
  sizes.add_items()->set_int_value(3);
  sizes.add_items()->set_symbol(v1::SYMBOL_NONE);
  EXPECT_EQ(build_model(spec, {}).root->repr(), "AdaptiveAvgPool2d(output_size=(3, None))");
  sizes.mutable_items(1)->mutable_list();
  EXPECT_THAT(error_of(spec), HasSubstr("attribute 'output_size'[1]: a list within a list"));
}

TEST(BuildTest, TakesALossAsAModule) { EXPECT_EQ(build_model(lone("MSELoss"), {}).root->type(), "MSELoss"); }

TEST(BuildTest, RefusesAPathOfTenThousandSegments) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  std::string path = "a";
  for (int i = 1; i < 10'000; ++i) path += ".a";
  spec.mutable_modules(1)->set_path(path);
  EXPECT_THAT(error_of(spec), HasSubstr("modules[1].path 'a.a.a.a"));
  EXPECT_THAT(error_of(spec), HasSubstr("10000 segments; at most 64"));
}

TEST(BuildTest, RefusesNamesBoundTwice) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  spec.mutable_modules(0)->mutable_forward()->mutable_calls(1)->set_results(0, "h");
  EXPECT_THAT(error_of(spec), HasSubstr("model: forward.calls[1].results: name 'h' is bound twice"));
}

TEST(BuildTest, RefusesAnArgumentNestedTooDeep) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  v1::Argument* at = spec.mutable_modules(0)->mutable_forward()->mutable_calls(1)->mutable_args(0);
  for (int i = 0; i < 40; ++i) at = at->mutable_list()->add_items();
  at->set_ref("h");
  EXPECT_THAT(error_of(spec), HasSubstr("nested deeper than 32 levels"));
}

TEST(BuildTest, RefusesAChildBeforeItsParentAndAPathGivenTwice) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  spec.mutable_modules(2)->set_path("fc1");
  EXPECT_THAT(error_of(spec), HasSubstr("fc1: modules[2]: path is given twice"));
  spec.mutable_modules(2)->set_path("layer.fc2");
  EXPECT_THAT(error_of(spec), HasSubstr("modules[2] 'layer.fc2': its parent 'layer' is not listed before it"));
  spec.mutable_modules(2)->set_path("fc1.inner");
  EXPECT_THAT(error_of(spec), HasSubstr("fc1.inner: its parent is a Linear, which takes no children"));
}

v1::ModuleSpec* add(v1::ModelSpec& spec, const std::string& path, const std::string& type,
                    const std::string& same_as = "") {
  v1::ModuleSpec* m = spec.add_modules();
  m->set_path(path);
  m->set_type(type);
  m->set_same_as(same_as);
  return m;
}

TEST(BuildTest, RefusesCircles) {
  v1::ModelSpec spec;
  for (const char* path : {"", "a", "b"}) add(spec, path, "Sequential");
  add(spec, "b.x", "", "a");
  EXPECT_EQ(build_modules(spec, {})->repr(), build_modules(spec, {})->repr());
  add(spec, "a.y", "", "b");
  EXPECT_THAT(error_of(spec), HasSubstr("same_as makes a module its own descendant"));
  v1::ModelSpec own;
  for (const char* path : {"", "a"}) add(own, path, "Sequential");
  add(own, "x", "", "a");
  add(own, "x.c", "", "a");
  EXPECT_THAT(error_of(own), HasSubstr("same_as makes a module its own descendant"));
}

TEST(BuildTest, RefusesSharingThatMultipliesPathsOrDepth) {
  v1::ModelSpec spec;
  add(spec, "", "Sequential");
  add(spec, "m0", "Sequential");
  for (int i = 1; i < 30; ++i) {
    add(spec, str_cat("m", i), "Sequential");
    for (const char* child : {"a", "b"}) add(spec, str_cat("m", i, ".", child), "", str_cat("m", i - 1));
  }
  EXPECT_THAT(error_of(spec), HasSubstr("more than 20000 paths"));
  v1::ModelSpec deep;
  add(deep, "", "Sequential");
  add(deep, "m0", "Sequential");
  for (int i = 1; i < 70; ++i) {
    add(deep, str_cat("m", i), "Sequential");
    add(deep, str_cat("m", i, ".a"), "", str_cat("m", i - 1));
  }
  EXPECT_THAT(error_of(deep), HasSubstr("more than 64 segments"));
}

TEST(BuildTest, TiesTheParametersOfLayersToo) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  v1::ModuleSpec* tied = add(spec, "tied", "Graph");
  tied->mutable_forward()->add_inputs()->set_name("x");
  tied->mutable_forward()->add_outputs("x");
  v1::ParameterSpec* w = tied->add_parameters();
  w->set_name("w");
  w->set_same_as("fc1.weight");
  EXPECT_EQ(build_model(spec, {}).root->named_parameters().size(), 4);
  w->set_same_as("fc1.wight");
  EXPECT_THAT(error_of(spec), HasSubstr("tied.w: same_as 'fc1.wight' names no earlier parameter"));
  w->set_same_as("fc1.weight");
  w->add_shape(3);
  EXPECT_THAT(error_of(spec), HasSubstr("tied.w: same_as stands alone"));
}

TEST(BuildTest, ReportsFaultsOfTreeLossAndOptimizerTogether) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  (*spec.mutable_modules(1)->mutable_attributes())["in_features"].set_int_value(-1);
  (*spec.mutable_optimizer()->mutable_attributes())["momentom"].set_double_value(1);
  (*spec.mutable_loss()->mutable_attributes())["reductoin"].set_string_value("sum");
  spec.mutable_scheduler()->set_type("StepLRR");
  const std::string message = error_of(spec);
  EXPECT_THAT(message, HasSubstr("fc1: Linear: "));
  EXPECT_THAT(message, HasSubstr("\n  loss: MSELoss: unknown attribute 'reductoin'"));
  EXPECT_THAT(message, HasSubstr("optimizer: SGD: unknown attribute 'momentom'"));
  EXPECT_THAT(message, HasSubstr("unknown scheduler type 'StepLRR'; did you mean 'StepLR'?"));
}

TEST(BuildTest, AnInitIsARuleOrATensor) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  v1::ParameterSpec* p = spec.mutable_modules(0)->add_parameters();
  p->set_name("w");
  p->mutable_init()->set_type("ones");
  p->mutable_init()->mutable_value()->set_dtype(v1::DATA_TYPE_FLOAT32);
  p->mutable_init()->mutable_value()->set_data(std::string(4, '\0'));
  EXPECT_THAT(error_of(spec), HasSubstr("w: init: a rule or a tensor, not both"));
  p->mutable_init()->clear_type();
  EXPECT_EQ(build_model(spec, {}).root->named_parameters()[0].tensor.item<double>(), 0);
}

TEST(BuildTest, RefusesParametersOfHostileShapes) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  v1::ParameterSpec* p = spec.mutable_modules(0)->add_parameters();
  p->set_name("w");
  p->set_dtype(v1::DATA_TYPE_FLOAT32);
  p->add_shape(-3);
  EXPECT_THAT(error_of(spec), HasSubstr("w: negative dimension -3 in shape [-3]"));
  p->set_shape(0, int64_t{1} << 40);
  p->add_shape(int64_t{1} << 40);
  EXPECT_THAT(error_of(spec), HasSubstr("w: shape [1099511627776, 1099511627776] overflows the count of elements"));
}

TEST(BuildTest, ATensorOverTheLimitIsResourceExhausted) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  v1::ParameterSpec* p = spec.mutable_modules(0)->add_parameters();
  p->set_name("w");
  p->set_dtype(v1::DATA_TYPE_FLOAT32);
  p->add_shape(1000);
  DefinitionLimits limits;
  limits.max_tensor_bytes = 1000;
  try {
    build_model(spec, limits);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(error.message(), HasSubstr("w: float32[1000] is over the limit of 1000 bytes"));
  }
}

TEST(BuildTest, ParametersOfAGraphAreInitialisedAndTied) {
  v1::ModelSpec spec = spec_of(R"pb(
    modules {
      path: ""
      type: "Graph"
      parameters {
        name: "w"
        dtype: DATA_TYPE_FLOAT32
        shape: 2
        init {
          type: "constant"
          attributes {
            key: "val"
            value { double_value: 3 }
          }
        }
      }
      parameters { name: "v" same_as: "w" }
      buffers { name: "b" shape: 1 }
      forward {
        inputs { name: "x" }
        calls {
          op: "mul"
          args { ref: "x" }
          args { ref: "v" }
          results: "y"
        }
        outputs: "y"
      }
    }
  )pb");
  const ModelParts parts = build_model(spec, {});
  ASSERT_EQ(parts.root->named_parameters().size(), 1);
  EXPECT_EQ(parts.root->named_buffers()[0].tensor.dtype(), DType::kFloat32) << "the default";
  EXPECT_THAT((*parts.root)(Tensor::of<float>({1, 2})).to_vector<float>(), testing::ElementsAre(3, 6));
  spec.mutable_modules(0)->mutable_parameters(0)->mutable_init()->set_type("constnt");
  EXPECT_THAT(error_of(spec), HasSubstr("did you mean 'constant'?"));
}

TEST(BuildTest, ParameterGroupsAreGlobs) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  v1::ParameterGroup* group = spec.mutable_optimizer()->add_groups();
  group->add_parameters("*.bias");
  (*group->mutable_attributes())["lr"].set_double_value(0.5);
  const ModelParts parts = build_model(spec, {});
  ASSERT_EQ(parts.optimizer->group_count(), 2);
  EXPECT_EQ(parts.optimizer->learning_rate(0), 0.1);
  EXPECT_EQ(parts.optimizer->learning_rate(1), 0.5);
  spec.mutable_optimizer()->mutable_groups(0)->add_parameters("fc9.*");
  EXPECT_THAT(error_of(spec), HasSubstr("optimizer.groups[0]: 'fc9.*' matches no parameter"));
}

// A Graph of one input whose calls the test adds.
v1::ModelSpec graph() {
  v1::ModelSpec spec = lone("Graph");
  spec.mutable_modules(0)->mutable_forward()->add_inputs()->set_name("x");
  spec.mutable_modules(0)->mutable_forward()->add_outputs("x");
  return spec;
}

TEST(BuildTest, FaultsAreBoundedInNumberAndBytes) {
  v1::ModelSpec spec = graph();
  v1::ModuleSpec* child = add(spec, std::string(1000, 'p'), "Graph");
  *child->mutable_forward() = spec.modules(0).forward();
  for (int i = 0; i < 50'000; ++i) child->mutable_forward()->add_calls();
  const std::string message = error_of(spec);
  EXPECT_THAT(message, testing::StartsWith("at least 100 faults:\n"));
  EXPECT_THAT(message, testing::EndsWith("\n  and 50 more"));
  EXPECT_LT(message.size(), 20'000u);
}

TEST(BuildTest, ALongTextIsNotRepeatedInItsFault) {
  v1::ModelSpec spec = lone("Linear");
  auto& attributes = *spec.mutable_modules(0)->mutable_attributes();
  attributes["in_features"].mutable_ints()->mutable_values()->Resize(60'000, 1234567);
  attributes["out_features"].set_string_value(std::string(1 << 20, 'o'));
  EXPECT_LT(error_of(spec).size(), 3000u);
}

TEST(BuildTest, UnknownNamesByTheThousandGetAFewSuggestions) {
  v1::ModelSpec spec = graph();
  v1::Graph& forward = *spec.mutable_modules(0)->mutable_forward();
  for (const char* prefix : {"name", "nmae"}) {
    for (int i = 0; i < 20'000; ++i) {
      v1::Call& call = *forward.add_calls();
      call.set_op("relu");
      call.add_args()->set_ref(forward.calls_size() <= 20'000 ? "x" : std::string(prefix) + std::to_string(i));
      call.add_results((forward.calls_size() <= 20'000 ? "name" : "other") + std::to_string(i));
    }
  }
  const std::string message = error_of(spec);
  EXPECT_THAT(message, HasSubstr("forward.calls[20000].args[0]: unknown name 'nmae0'; did you mean 'name0'?"));
  EXPECT_THAT(message, HasSubstr("forward.calls[20030].args[0]: unknown name 'nmae30'\n"));
}

TEST(BuildTest, AGraphCallsItsChildrenAndNeverItself) {
  v1::ModelSpec spec = graph();
  add(spec, "a", "Sequential");
  add(spec, "a.b", "ReLU");
  v1::Call& call = *spec.mutable_modules(0)->mutable_forward()->add_calls();
  call.set_module("a.b");
  call.add_args()->set_ref("x");
  EXPECT_NE(build_model(spec, {}).root, nullptr);
  call.set_module("a.c");
  EXPECT_THAT(error_of(spec), HasSubstr("forward.calls[0]: unknown module 'a.c'"));
  call.set_module("");
  EXPECT_THAT(error_of(spec), HasSubstr("forward.calls[0]: unknown module ''"));
}

TEST(BuildTest, PathsThatSameAsRepeatAreBoundedInBytes) {
  v1::ModelSpec spec = lone("Sequential");
  add(spec, "a", "Sequential");
  add(spec, "a." + std::string(600, 'b'), "ReLU");
  spec.add_modules()->set_path(std::string(600, 'c'));
  spec.mutable_modules(3)->set_same_as("a");
  EXPECT_THAT(error_of(spec), HasSubstr("a path has more than 1024 bytes"));
}

TEST(BuildTest, ACancelledBuildStops) {
  CancelToken token;
  token.cancel();
  const CancelScope scope(&token);
  try {
    build_model(spec_of(kSimpleNet), {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kCancelled);
  }
}

TEST(BuildTest, NamesOfPortsAreGivenOnce) {
  v1::ModelSpec spec = spec_of(kSimpleNet);
  for (const char* name : {"x", "y", "x", ""}) spec.add_inputs()->set_name(name);
  EXPECT_THAT(error_of(spec), HasSubstr("inputs[2]: name 'x' is given twice"));
}

TEST(BuildTest, ManyParameterGroupsOfNamesAreFound) {
  v1::ModelSpec spec = graph();
  for (int i = 0; i < 2000; ++i) {
    v1::ParameterSpec& p = *spec.mutable_modules(0)->add_parameters();
    p.set_name("p" + std::to_string(i));
    p.add_shape(1);
    spec.mutable_optimizer()->add_groups()->add_parameters(p.name());
  }
  spec.mutable_optimizer()->set_type("SGD");
  (*spec.mutable_optimizer()->mutable_attributes())["lr"].set_double_value(0.1);
  EXPECT_EQ(build_model(spec, {}).optimizer->group_count(), 2000u);
  spec.mutable_optimizer()->mutable_groups(1999)->add_parameters("p7");
  EXPECT_THAT(error_of(spec),
              HasSubstr("optimizer.groups[1999]: parameter 'p7' appears in more than one parameter group"));
}

TEST(BuildTest, AGroupHasItsParametersInTheModelsOrder) {
  v1::ModelSpec spec = graph();
  for (const char* name : {"c", "a", "b"}) {
    v1::ParameterSpec& p = *spec.mutable_modules(0)->add_parameters();
    p.set_name(name);
    p.add_shape(1);
  }
  spec.mutable_optimizer()->set_type("SGD");
  (*spec.mutable_optimizer()->mutable_attributes())["lr"].set_double_value(0.1);
  spec.mutable_optimizer()->add_groups()->add_parameters("*");
  std::vector<std::string> names;
  for (const NamedTensor& p : build_model(spec, {}).optimizer->parameters()) names.push_back(p.name);
  EXPECT_THAT(names, testing::ElementsAre("c", "a", "b"));
}

}  // namespace
}  // namespace tapewire
