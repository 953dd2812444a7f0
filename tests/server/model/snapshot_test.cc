#include "server/model/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/tensor/allocator.h"
#include "tests/server/model/model_fixture.h"
#include "tests/wait.h"

namespace tapewire {
namespace {

const char* const kWide = R"pb(
  modules {
    path: ""
    type: "Linear"
    attributes {
      key: "in_features"
      value { int_value: 1000 }
    }
    attributes {
      key: "out_features"
      value { int_value: 500 }
    }
  }
  loss { type: "MSELoss" }
  optimizer { type: "SGD" }
)pb";
constexpr int64_t kWeightBytes = 4 * 1000 * 500;

class SnapshotTest : public ModelTest {
 protected:
  static const void* weight_bytes(ModelState& m) { return m.require_parameter("weight", "").storage().data(); }
  const void* where(const std::shared_ptr<LiveModel>& model) { return in_turn(model, &weight_bytes).value(); }
  void step(const std::shared_ptr<LiveModel>& model) {
    in_turn(model, [](ModelState& m) {
      return m.train_step({.inputs = {{"", ramp({1, 1000})}}, .targets = {{"", ramp({1, 500})}}}).step;
    }).value();
  }
  static ForwardArgs input() { return {.inputs = {{"", ramp({1, 1000})}}, .training = false}; }
};

TEST_F(SnapshotTest, ReadersShareTheBytesOfTheModel) {
  const auto model = create(kWide);
  const int64_t before = tensor_allocator().stats().live;
  const auto snapshot = snapshot_of(model);
  EXPECT_TRUE(read(model, snapshot, input()).ok());
  EXPECT_TRUE(read(model, snapshot, input()).ok());
  EXPECT_LT(tensor_allocator().stats().live - before, kWeightBytes / 10);
}

TEST_F(SnapshotTest, AModelThatFitsInTrainingFitsInInference) {
  const auto model = create(kWide);
  step(model);
  step(model);
  auto& allocator = tensor_allocator();
  const int64_t limit = allocator.limit();
  allocator.set_limit(allocator.stats().live + kWeightBytes / 2, "the test's limit");
  const auto result = read(model, snapshot_of(model), input());
  allocator.set_limit(limit, "--tensor_memory_limit");
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST_F(SnapshotTest, StepsCopyWhileSomebodyReadsAndWriteInPlaceAgainAfter) {
  const auto model = create(kWide);
  step(model);
  const void* const at_first = where(model);
  step(model);
  EXPECT_EQ(where(model), at_first) << "nobody reads";
  EXPECT_TRUE(read(model, snapshot_of(model), input()).ok());
  step(model);
  EXPECT_NE(where(model), at_first) << "a reader may hold them";
  model->expire(Snapshots::Clock::now() + 2 * Snapshots::kIdle);
  const void* const later = where(model);
  step(model);
  EXPECT_EQ(where(model), later) << "readers are gone";
}

TEST_F(SnapshotTest, ASnapshotThatIsHeldOutlivesTheOnesThatAreNot) {
  const auto model = create(kWide);
  const auto held = snapshot_of(model);
  const auto seen = [&] { return read(model, held, input()).value().outputs[0].tensor.to_vector<float>(); };
  const auto before = seen();
  model->expire(Snapshots::Clock::now() + 2 * Snapshots::kIdle);
  step(model);
  EXPECT_EQ(seen(), before) << "of an Evaluate, between two batches";
  EXPECT_EQ(snapshot_of(model)->parameter_version, 1);
}

TEST_F(SnapshotTest, ReadsRunBesideEachOtherInTreesOfTheirOwn) {
  const auto model = create(kWide);
  const auto snapshot = snapshot_of(model);
  std::promise<Module*> first, second;
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  std::promise<void> done[2];
  std::promise<Module*>* roots[2] = {&first, &second};
  for (int i = 0; i < 2; ++i) {
    model->read(
        nullptr, snapshot,
        [&, i](SnapshotReader& reader) {
          roots[i]->set_value(&reader.root());
          gone.wait();
        },
        [&done, i](const absl::Status& status) {
          EXPECT_TRUE(status.ok()) << status;
          done[i].set_value();
        });
  }
  EXPECT_NE(first.get_future().get(), second.get_future().get());
  go.set_value();
  for (auto& end : done) end.get_future().wait();
}

TEST_F(SnapshotTest, NothingOfADeletedModelStays) {
  const int64_t before = tensor_allocator().stats().live;
  auto model = create(kWide);
  EXPECT_TRUE(read(model, snapshot_of(model), input()).ok());
  std::promise<void> ended;
  registry_.remove("net", {}, [&](bool) { ended.set_value(); });
  ended.get_future().wait();
  // The handle may be kept, by a stream that idles. The worker that answered may not have let go yet.
  const auto held = [&] { return tensor_allocator().stats().live - before; };
  EXPECT_TRUE(wait_until([&] { return held() < kWeightBytes / 10; })) << held();
}

}  // namespace
}  // namespace tapewire
