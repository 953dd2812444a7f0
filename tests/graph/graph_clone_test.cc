#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/graph/graph_module.h"
#include "core/nn/linear.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

// y = fc(x) + shift, with the child called fc and the parameter shift.
std::shared_ptr<GraphModule> shifted_linear() {
  CallDef fc{.target = CallDef::Target::kModule, .name = "fc", .args = {{ArgumentDef::Ref{"x"}}}, .results = {"h"}};
  CallDef add{.name = "add", .args = {{ArgumentDef::Ref{"h"}}, {ArgumentDef::Ref{"shift"}}}, .results = {"y"}};
  auto graph = std::make_shared<GraphModule>(GraphDef{{{"x", false, {}}}, {std::move(fc), std::move(add)}, {"y"}});
  graph->register_new<Linear>("fc", 1, 1);
  graph->register_parameter("shift", Tensor::zeros({1}));
  std::vector<std::string> faults;
  graph->compile(faults);
  EXPECT_THAT(faults, testing::IsEmpty());
  return graph;
}

TEST(GraphCloneTest, RunsOnTensorsAndChildrenOfItsOwn) {
  std::shared_ptr<GraphModule> graph = shifted_linear();
  const std::shared_ptr<Module> copy = graph->clone();
  const auto set_all = [](Module& module, double value) {
    StateDict state;
    for (const NamedTensor& own : module.state_dict()) {
      state.push_back({own.name, Tensor::full(own.tensor.sizes(), value)});
    }
    module.load_state_dict(state);
  };
  set_all(*graph, 1);
  set_all(*copy, 2);
  const Tensor x = Tensor::of<float>({10}, {1, 1});
  EXPECT_THAT((*graph)(x).to_vector<float>(), ElementsAre(12));
  graph.reset();
  EXPECT_THAT((*copy)(x).to_vector<float>(), ElementsAre(24));
}

}  // namespace
}  // namespace tapewire
