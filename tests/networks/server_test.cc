// The networks' definitions, created and trained over gRPC beside PyTorch.

#include "server/codec/tensor_codec.h"
#include "tests/e2e/server_fixture.h"
#include "tests/networks/data.h"
#include "tests/networks/recorded.h"

namespace tapewire::networks {
namespace {

class ServerNetwork : public ServerTest, public testing::WithParamInterface<RecordedNetwork> {
 protected:
  static constexpr char kModel[] = "network";

  v1::TrainStepRequest request(size_t step) const {
    const Batch batch = make_batch(GetParam().data, GetParam().batch, static_cast<int64_t>(step), DType::kFloat32);
    v1::TrainStepRequest out;
    out.set_model(kModel);
    for (size_t i = 0; i < batch.inputs.size(); ++i) {
      v1::NamedTensor& input = *out.add_inputs();
      if (batch.inputs.size() > 1) input.set_name(spec_.inputs(static_cast<int>(i)).name());
      codec::encode_tensor(batch.inputs[i], *input.mutable_tensor());
    }
    codec::encode_tensor(batch.target, *out.add_targets()->mutable_tensor());
    return out;
  }

  v1::ModelSpec spec_;
};

TEST_P(ServerNetwork, FollowsPyTorchInFloat32) {
  const auto spec = client::read_definition(TAPEWIRE_SOURCE_DIR "/" + GetParam().definition);
  ASSERT_TRUE(spec.ok()) << spec.status();
  spec_ = *spec;
  const client::Client client = connect();
  const auto model = client.create_model(kModel, spec_, {.seed = static_cast<int64_t>(GetParam().seed)});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->parameter_count(), GetParam().parameters);
  std::vector<double> losses;
  for (size_t step = 0; step < steps_of(GetParam()); ++step) {
    const auto answer = client.train_step(request(step));
    ASSERT_TRUE(answer.ok()) << answer.status();
    losses.push_back(answer->info().loss());
  }
  EXPECT_EQ(difference(GetParam(), losses, DType::kFloat32), "");
}

INSTANTIATE_TEST_SUITE_P(Networks, ServerNetwork, testing::ValuesIn(recorded_networks()),
                         [](const auto& network) { return network.param.name; });

}  // namespace
}  // namespace tapewire::networks
