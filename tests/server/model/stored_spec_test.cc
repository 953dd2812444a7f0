#include "server/model/stored_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/model/build.h"
#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

int64_t live() { return tensor_allocator().stats().live; }

v1::ModelSpec chain(int calls) {
  v1::ModelSpec spec;
  v1::ModuleSpec* root = spec.add_modules();
  root->set_type("Graph");
  root->mutable_forward()->add_inputs()->set_name("v0");
  for (int i = 0; i < calls; ++i) {
    v1::Call* call = root->mutable_forward()->add_calls();
    call->set_op("neg");
    call->add_args()->set_ref(str_cat("v", i));
    call->add_results(str_cat("v", i + 1));
  }
  root->mutable_forward()->add_outputs(str_cat("v", calls));
  return spec;
}

TEST(StoredSpecTest, GivesTheDefinitionBack) {
  const v1::ModelSpec spec = spec_of(kSimpleNet);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(StoredSpec(spec).load(), spec));
}

TEST(StoredSpecTest, CountsAsLongAsItLivesAndMoreWhileTheModelIsBuilt) {
  const v1::ModelSpec spec = chain(1000);
  const int64_t before = live();
  {
    StoredSpec stored(spec);
    const int64_t building = live() - before;
    stored.built();
    EXPECT_EQ(live() - before, static_cast<int64_t>(stored.counted()));
    EXPECT_GT(stored.counted(), spec.ByteSizeLong() * 2);
    EXPECT_GT(building, static_cast<int64_t>(stored.counted() + spec.SpaceUsedLong() / 2));
  }
  EXPECT_EQ(live(), before);
}

TEST(StoredSpecTest, TensorsAmongTheLiteralsCountOnce) {
  v1::ModelSpec spec = chain(1);
  v1::ParameterSpec* parameter = spec.mutable_modules(0)->add_parameters();
  parameter->mutable_init()->mutable_value()->set_data(std::string(1 << 20, '\0'));
  EXPECT_LT(StoredSpec(spec).counted(), (1 << 20) + 10'000);
}

TEST(StoredSpecTest, RefusesWhatThereIsNoRoomFor) {
  const v1::ModelSpec spec = chain(10'000);
  const int64_t limit = tensor_allocator().limit();
  tensor_allocator().set_limit(live() + 100'000, "--tensor_memory_limit");
  const int64_t before = live();
  try {
    const StoredSpec stored(spec);
    ADD_FAILURE() << "there is no room for it";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(error.message(), HasSubstr("spec: out of tensor memory"));
  }
  EXPECT_EQ(live(), before);
  tensor_allocator().set_limit(limit, "tensor memory limit");
}

// A child of a Graph that calls what must not be called: nothing may stay of it.
class CallOfOwnerTest : public testing::TestWithParam<std::string> {};

TEST_P(CallOfOwnerTest, LeavesNothing) {
  v1::ModelSpec spec;
  v1::ModuleSpec* root = spec.add_modules();
  root->set_type("Graph");
  const auto add_graph = [&](v1::ModuleSpec* module, const std::string& callee) {
    module->mutable_forward()->add_inputs()->set_name("x");
    v1::Call* call = module->mutable_forward()->add_calls();
    call->set_module(callee);
    call->add_args()->set_ref("x");
    call->add_results("y");
    module->mutable_forward()->add_outputs("y");
    v1::ParameterSpec* weight = module->add_parameters();
    weight->set_name("weight");
    weight->add_shape(1 << 16);
  };
  add_graph(root, "");
  v1::ModuleSpec* child = spec.add_modules();
  child->set_path("child");
  child->set_type("Graph");
  add_graph(child, GetParam());
  v1::ModuleSpec* again = spec.add_modules();
  again->set_path("again");
  again->set_same_as("child");
  const int64_t before = live();
  EXPECT_THROW(build_model(spec, {}), Error);
  EXPECT_EQ(live(), before);
}

INSTANTIATE_TEST_SUITE_P(Callees, CallOfOwnerTest, testing::Values("", ".", "child", "..", "again", "child.again"));

TEST(CallOfOwnerTest, ADescendantThatIsItsAncestorLeavesNothing) {
  v1::ModelSpec spec;
  spec.add_modules()->set_type("Sequential");
  for (const auto& [path, same_as] : {std::pair{"a", ""}, {"a.b", ""}, {"a.b.c", "a"}}) {
    v1::ModuleSpec* module = spec.add_modules();
    module->set_path(path);
    if (*same_as == '\0') module->set_type("Sequential");
    module->set_same_as(same_as);
  }
  v1::ModuleSpec* linear = spec.add_modules();
  linear->set_path("a.linear");
  linear->set_type("Linear");
  (*linear->mutable_attributes())["in_features"].set_int_value(256);
  (*linear->mutable_attributes())["out_features"].set_int_value(256);
  const int64_t before = live();
  EXPECT_THROW(build_model(spec, {}), Error);
  EXPECT_EQ(live(), before);
}

TEST(BuiltModelTest, ASharedChildThatTwoGraphsCallGoesWithTheModel) {
  v1::ModelSpec spec;
  v1::ModuleSpec* root = spec.add_modules();
  root->set_type("Graph");
  root->mutable_forward()->add_inputs()->set_name("x");
  for (const auto& [callee, from, to] : {std::tuple{"one", "x", "h"}, {"two", "h", "y"}, {"two.inner", "y", "z"}}) {
    v1::Call* call = root->mutable_forward()->add_calls();
    call->set_module(callee);
    call->add_args()->set_ref(from);
    call->add_results(to);
  }
  root->mutable_forward()->add_outputs("z");
  v1::ModuleSpec* one = spec.add_modules();
  one->set_path("one");
  one->set_type("Linear");
  (*one->mutable_attributes())["in_features"].set_int_value(64);
  (*one->mutable_attributes())["out_features"].set_int_value(64);
  v1::ModuleSpec* two = spec.add_modules();
  two->set_path("two");
  two->set_type("Sequential");
  v1::ModuleSpec* inner = spec.add_modules();
  inner->set_path("two.inner");
  inner->set_same_as("one");
  const int64_t before = live();
  std::weak_ptr<Module> linear;
  {
    const ModelParts parts = build_model(spec, {});
    linear = parts.root->find("one");
    EXPECT_FALSE(linear.expired());
    EXPECT_EQ((*parts.root)(Tensor::zeros({2, 64})).size(1), 64);
    const std::shared_ptr<Module> clone = parts.root->clone();
    EXPECT_EQ((*clone)(Tensor::zeros({2, 64})).size(1), 64);
  }
  EXPECT_TRUE(linear.expired());
  EXPECT_EQ(live(), before);
}

}  // namespace
}  // namespace tapewire
