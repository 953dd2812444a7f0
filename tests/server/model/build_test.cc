#include "server/model/build.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
      parameters { name: "v" same_as: "w" dtype: DATA_TYPE_FLOAT32 shape: 2 }
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

}  // namespace
}  // namespace tapewire
