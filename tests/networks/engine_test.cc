// The networks' definitions, trained in the engine beside PyTorch.

#include <iostream>

#include <gtest/gtest.h>

#include "client/cpp/definition.h"
#include "core/autograd/engine.h"
#include "core/base/random.h"
#include "server/model/build.h"
#include "tests/networks/data.h"
#include "tests/networks/recorded.h"

namespace tapewire::networks {
namespace {

class EngineNetwork : public testing::TestWithParam<RecordedNetwork> {
 protected:
  // The model as CreateModel makes it, its numbers then converted.
  ModelParts build(DType dtype) {
    const auto spec = client::read_definition(TAPEWIRE_SOURCE_DIR "/" + GetParam().definition);
    EXPECT_TRUE(spec.ok()) << spec.status();
    ModelParts parts = build_model(*spec, {});
    parts.root->to(dtype);
    return parts;
  }

  // The losses of the steps, as LiveModel makes them.
  std::vector<double> train(ModelParts& parts, DType dtype) {
    std::vector<double> losses;
    for (size_t step = 0; step < steps_of(GetParam()); ++step) {
      const Batch batch = make_batch(GetParam().data, GetParam().batch, static_cast<int64_t>(step), dtype);
      Args args;
      args.positional.assign(batch.inputs.begin(), batch.inputs.end());
      parts.root->zero_grad();
      const Tensor output = (*parts.root)(args).tensor();
      const Tensor loss = compute_loss(parts.loss, {{"output", output}}, {{"", batch.target}});
      backward(loss);
      parts.optimizer->step();
      if (parts.scheduler) parts.scheduler->step();
      losses.push_back(loss.item<double>());
    }
    std::cout << summary(GetParam(), losses, dtype) << '\n';
    return losses;
  }

 private:
  Generator generator_{GetParam().seed};
  GeneratorScope random_{generator_};
};

TEST_P(EngineNetwork, FollowsPyTorchInFloat64) {
  ModelParts parts = build(DType::kFloat64);
  const std::vector<double> losses = train(parts, DType::kFloat64);
  EXPECT_EQ(difference(GetParam(), losses, DType::kFloat64), "");
  if (losses.size() < GetParam().float64.size()) return;
  EXPECT_EQ(difference(GetParam(), parts.root->state_dict()), "");
}

TEST_P(EngineNetwork, FollowsPyTorchInFloat32) {
  ModelParts parts = build(DType::kFloat32);
  EXPECT_EQ(difference(GetParam(), train(parts, DType::kFloat32), DType::kFloat32), "");
}

TEST_P(EngineNetwork, HasAsManyParameters) {
  int64_t count = 0;
  for (const NamedTensor& p : build(DType::kFloat32).root->named_parameters()) count += p.tensor.numel();
  EXPECT_EQ(count, GetParam().parameters);
}

INSTANTIATE_TEST_SUITE_P(Networks, EngineNetwork, testing::ValuesIn(recorded_networks()),
                         [](const auto& network) { return network.param.name; });

}  // namespace
}  // namespace tapewire::networks
