// A server whose models share a counter that nobody guards, and two clients that train on it at once. It shows that
// ThreadSanitizer sees through the whole server, gRPC's threads included: see planted_race_test.sh. With --guarded the
// counter has its lock, and there is no race.

#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/definition.h"
#include "client/cpp/tensor.h"
#include "core/base/mutex.h"
#include "server/rpc/backend.h"
#include "server/rpc/rpc_server.h"
#include "tests/server/simplenet.h"

namespace tapewire {
namespace {

struct Planted {
  Mutex mutex;
  int64_t forwards = 0;  // what the race is about
};

bool train(const std::string& address, const std::string& name, int steps) {
  const auto client = client::Client::connect(address);
  if (!client.ok()) return false;
  v1::TrainStepRequest request;
  request.set_model(name);
  *request.add_inputs() = client::named("x", client::make_tensor<float>({2, 10}, std::vector<float>(20, 0.5f)));
  *request.add_targets() = client::named("", client::make_tensor<float>({2, 1}, std::vector<float>(2, 1.0f)));
  for (int i = 0; i < steps; ++i) {
    if (!client->train_step(request).ok()) return false;
  }
  return true;
}

int run(bool guarded) {
  constexpr int kSteps = 200;
  Metrics metrics(BuildInfo{});
  Logger logger(LogFormat::kText, LogLevel::kError);
  Planted planted;
  ComputePool pool({.permits = 2});
  ModelRegistry models({}, pool, metrics);
  rpc::CallGate gate;
  const rpc::Environment environment{metrics, logger, gate, {}};
  const rpc::Backend backend{.models = models, .tensors = {}, .facts = {}};
  const auto server = rpc::RpcServer::start({"127.0.0.1", 0}, environment, backend);
  if (!server.ok()) return 2;

  const auto spec = client::parse_definition(kSimpleNet, client::DefinitionFormat::kText, "simplenet");
  std::vector<HookHandle> handles;
  for (const char* name : {"a", "b"}) {
    std::promise<std::shared_ptr<LiveModel>> created;
    models.create({.name = name, .spec = *spec}, nullptr,
                  [&created](auto model) { created.set_value(*std::move(model)); });
    std::promise<void> hooked;
    created.get_future().get()->submit(
        nullptr,
        [&](ModelState& m) {
          handles.push_back(m.root().register_forward_hook([&](Module&, const Args&, const Value&) {
            std::optional<MutexLock> lock;
            if (guarded) lock.emplace(planted.mutex);
            ++planted.forwards;
            return std::optional<Value>();
          }));
        },
        [&hooked](const absl::Status&) { hooked.set_value(); });
    hooked.get_future().wait();
  }
  const std::string address = to_string((*server)->address());
  bool trained[2] = {};
  std::thread other([&] { trained[1] = train(address, "b", kSteps); });
  trained[0] = train(address, "a", kSteps);
  other.join();
  MutexLock lock(planted.mutex);
  const bool counted = planted.forwards == 2 * kSteps;
  return trained[0] && trained[1] && (counted || !guarded) ? 0 : 2;
}

}  // namespace
}  // namespace tapewire

int main(int argc, char** argv) { return tapewire::run(argc > 1 && std::string_view(argv[1]) == "--guarded"); }
