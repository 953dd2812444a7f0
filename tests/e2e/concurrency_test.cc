#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "client/cpp/hook_watcher.h"
#include "client/cpp/train_stream.h"
#include "core/base/strings.h"
#include "tests/e2e/server_fixture.h"

namespace tapewire {
namespace {

using testing::IsEmpty;
using testing::Not;

// Convolution, batch statistics, dropout: everything that keeps state or draws numbers.
const char* const kConvNet = R"pb(
  modules { path: "" type: "Sequential" }
  modules {
    path: "conv"
    type: "Conv2d"
    attributes {
      key: "in_channels"
      value { int_value: 1 }
    }
    attributes {
      key: "out_channels"
      value { int_value: 6 }
    }
    attributes {
      key: "kernel_size"
      value { int_value: 3 }
    }
  }
  modules {
    path: "norm"
    type: "BatchNorm2d"
    attributes {
      key: "num_features"
      value { int_value: 6 }
    }
  }
  modules { path: "relu" type: "ReLU" }
  modules {
    path: "pool"
    type: "MaxPool2d"
    attributes {
      key: "kernel_size"
      value { int_value: 2 }
    }
  }
  modules { path: "flat" type: "Flatten" }
  modules {
    path: "drop"
    type: "Dropout"
    attributes {
      key: "p"
      value { double_value: 0.3 }
    }
  }
  modules {
    path: "fc"
    type: "Linear"
    attributes {
      key: "in_features"
      value { int_value: 54 }
    }
    attributes {
      key: "out_features"
      value { int_value: 4 }
    }
  }
  loss { type: "CrossEntropyLoss" }
  optimizer {
    type: "Adam"
    attributes {
      key: "lr"
      value { double_value: 0.01 }
    }
  }
)pb";

struct Network {
  const char* definition;
  client::Shape input;
  bool classes;  // targets are class numbers
};
const Network kNetworks[] = {{kSimpleNet, {16, 10}, false}, {kConvNet, {16, 1, 8, 8}, true}};

// Distinct for each model and step, and the same in each run.
client::Batch batch_of(const Network& network, int model, int step) {
  uint32_t state = static_cast<uint32_t>(model * 1000 + step + 1);
  const auto next = [&state] { return (state = state * 1664525u + 1013904223u) >> 8; };
  std::vector<float> x(static_cast<size_t>(*client::element_count(network.input)));
  for (float& v : x) v = static_cast<float>(next() % 2001) / 1000.0f - 1.0f;
  client::Batch batch;
  batch.inputs.push_back(client::named("", client::make_tensor<float>(network.input, x)));
  if (network.classes) {
    std::vector<int64_t> y(16);
    for (int64_t& v : y) v = next() % 4;
    batch.targets.push_back(client::named("", client::make_tensor<int64_t>({16}, y)));
  } else {
    std::vector<float> y(16);
    for (float& v : y) v = static_cast<float>(next() % 1000) / 500.0f;
    batch.targets.push_back(client::named("", client::make_tensor<float>({16, 1}, y)));
  }
  return batch;
}

template <class Request>
void fill(Request& request, const client::Batch& batch) {
  request.mutable_inputs()->Assign(batch.inputs.begin(), batch.inputs.end());
  request.mutable_targets()->Assign(batch.targets.begin(), batch.targets.end());
}

// Everything that a client hears while it trains: each loss, and at the end gradients and an output, as bytes.
struct Heard {
  std::vector<double> losses;
  std::map<std::string, std::string> gradients;
  std::string output;
  bool operator==(const Heard&) const = default;
};

constexpr int kSteps = 12;

class ConcurrencyTest : public ServerTest {
 protected:
  // Trains a new model by whole steps, by a stream, or call by call, as `way` says.
  Heard train(const std::string& name, int number, int way) const {
    const Network& network = kNetworks[number % 2];
    const client::Client client = connect();
    EXPECT_TRUE(client.create_model(name, definition(network.definition), {.seed = number}).ok());
    return run(client, name, number, way);
  }

  static Heard run(const client::Client& client, const std::string& name, int number, int way) {
    const Network& network = kNetworks[number % 2];
    Heard heard;
    client::TrainStream stream = client.train(name);
    for (int step = 0; step < kSteps; ++step) {
      const client::Batch batch = batch_of(network, number, step);
      if (way == 0) {
        v1::TrainStepRequest request;
        request.set_model(name);
        fill(request, batch);
        const auto answer = client.train_step(request);
        EXPECT_TRUE(answer.ok()) << answer.status();
        if (answer.ok()) heard.losses.push_back(answer->info().loss());
      } else if (way == 1) {
        v1::TrainStepRequest request;
        fill(request, batch);
        EXPECT_TRUE(stream.write(request).ok());
      } else {
        heard.losses.push_back(step_call_by_call(client, name, batch));
      }
    }
    EXPECT_TRUE(stream.finish().ok());
    if (way == 1) {
      while (auto answer = stream.try_read()) heard.losses.push_back(answer->info().loss());
    }
    // The gradients of one more batch; the model in eval mode shows its weights in an output.
    step_call_by_call(client, name, batch_of(network, number, kSteps), /*apply=*/false);
    const auto gradients = client.read_gradients(name);
    EXPECT_TRUE(gradients.ok()) << gradients.status();
    for (const auto& [path, tensor] : *gradients) heard.gradients[path] = tensor.data();
    const auto output = client.infer(name, batch_of(network, number, 0).inputs[0]);
    EXPECT_TRUE(output.ok()) << output.status();
    if (output.ok()) heard.output = output->outputs(0).tensor().data();
    return heard;
  }

  static double step_call_by_call(const client::Client& client, const std::string& name, const client::Batch& batch,
                                  bool apply = true) {
    v1::ForwardRequest forward;
    forward.set_model(name);
    forward.mutable_inputs()->Assign(batch.inputs.begin(), batch.inputs.end());
    forward.set_training(true);
    forward.set_keep_tape(true);
    const auto tape = client.forward(forward);
    EXPECT_TRUE(tape.ok()) << tape.status();
    if (!tape.ok()) return 0;
    EXPECT_TRUE(client.zero_grad(name).ok());
    v1::BackwardRequest backward;
    backward.set_model(name);
    backward.set_tape_id(tape->tape().id());
    backward.mutable_targets()->Assign(batch.targets.begin(), batch.targets.end());
    const auto walked = client.backward(backward);
    EXPECT_TRUE(walked.ok()) << walked.status();
    v1::StepRequest step;
    step.set_model(name);
    if (apply) {
      EXPECT_TRUE(client.step(step).ok());
    }
    EXPECT_TRUE(client.release_tape(name, tape->tape().id()).ok());
    return walked.ok() ? walked->info().loss() : 0;
  }
};

TEST_F(ConcurrencyTest, EightModelsTrainAtOnceAsTheyDoAloneWhileOneIsWatched) {
  constexpr int kModels = 8;
  std::vector<Heard> alone;
  for (int i = 0; i < kModels; ++i) alone.push_back(train(str_cat("alone", i), i, i % 3));

  // Model 1, a convolutional one, is watched.
  const client::Client watching = connect();
  ASSERT_TRUE(watching.create_model("at-once1", definition(kNetworks[1].definition), {.seed = 1}).ok());
  for (const char* target : {"conv", "fc"}) {
    v1::Hook hook;
    hook.set_target(target);
    hook.set_kind(v1::HOOK_KIND_BACKWARD);
    hook.mutable_observe()->set_stats(true);
    ASSERT_TRUE(watching.register_hook("at-once1", hook).ok());
  }
  v1::WatchHooksRequest request;
  request.set_model("at-once1");
  client::HookWatcher watcher = watching.watch_hooks(request);
  std::atomic<int64_t> events{0};
  std::thread reader([&] {
    for (auto event = watcher.next(); event.ok() && *event; event = watcher.next()) {
      events.fetch_add(1 + (*event)->dropped());
    }
  });

  std::vector<Heard> at_once(kModels);
  std::vector<std::thread> clients;
  for (int i = 0; i < kModels; ++i) {
    clients.emplace_back([this, i, &at_once, &watching] {
      at_once[i] = i == 1 ? run(watching, "at-once1", i, i % 3) : train(str_cat("at-once", i), i, i % 3);
    });
  }
  for (std::thread& thread : clients) thread.join();
  EXPECT_TRUE(watching.delete_model("at-once1").ok());
  reader.join();

  // Two hooks, one more batch than steps.
  EXPECT_EQ(events, 2 * (kSteps + 1));
  for (int i = 0; i < kModels; ++i) {
    EXPECT_EQ(alone[i].losses.size(), static_cast<size_t>(kSteps));
    EXPECT_THAT(alone[i].gradients, Not(IsEmpty()));
    EXPECT_EQ(alone[i].losses, at_once[i].losses) << i;
    EXPECT_TRUE(alone[i] == at_once[i]) << i << ": gradients or output differ";
  }
  EXPECT_FALSE(alone[0] == alone[2]) << "different seeds and data";
}

TEST_F(ConcurrencyTest, ManyClientsOfOneModelLoseNoStep) {
  const client::Client first = connect();
  ASSERT_TRUE(first.create_model("shared", definition(kSimpleNet)).ok());
  constexpr int kClients = 6;
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      const client::Client client = connect();
      for (int step = 0; step < kSteps; ++step) {
        const client::Batch batch = batch_of(kNetworks[0], c, step);
        if (c % 3 == 2) {
          EXPECT_TRUE(client.infer("shared", batch.inputs[0]).ok());
          EXPECT_TRUE(client.list_models().ok());
          continue;
        }
        v1::TrainStepRequest request;
        request.set_model("shared");
        fill(request, batch);
        const auto answer = client.train_step(request);
        EXPECT_TRUE(answer.ok()) << answer.status();
        answered.fetch_add(answer.ok() ? 1 : 0);
      }
    });
  }
  for (std::thread& thread : clients) thread.join();
  EXPECT_EQ(answered, 4 * kSteps);
  EXPECT_EQ(first.get_model("shared")->step(), 4 * kSteps);
}

TEST_F(ConcurrencyTest, ModelsComeAndGoUnderTraffic) {
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([this, c] {
      const client::Client client = connect();
      const std::string name = str_cat("m", c % 2);
      for (int round = 0; round < 10; ++round) {
        const absl::StatusCode created = client.create_model(name, definition(kSimpleNet)).status().code();
        EXPECT_THAT(created, testing::AnyOf(absl::StatusCode::kOk, absl::StatusCode::kAlreadyExists));
        v1::TrainStepRequest request;
        request.set_model(name);
        fill(request, batch_of(kNetworks[0], c, round));
        const absl::StatusCode stepped = client.train_step(request).status().code();
        EXPECT_THAT(stepped, testing::AnyOf(absl::StatusCode::kOk, absl::StatusCode::kNotFound));
        const absl::StatusCode deleted = client.delete_model(name).code();
        EXPECT_THAT(deleted, testing::AnyOf(absl::StatusCode::kOk, absl::StatusCode::kNotFound));
      }
    });
  }
  for (std::thread& thread : clients) thread.join();
  EXPECT_EQ(connect().list_models()->size(), 0);
}

}  // namespace
}  // namespace tapewire
