#include "server/hook/event_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/util/message_differencer.h"
#include "server/codec/tensor_codec.h"
#include "server/hook/event.h"
#include "tapewire/v1/hook_service.pb.h"

namespace tapewire {
namespace {

std::string joined(const EventWire& wire) {
  std::string out;
  for (const std::string_view piece : wire.pieces) out += piece;
  EXPECT_EQ(out.size(), wire.size);
  return out;
}

// An event with a large tensor, a small one with a histogram, one without data and none at all.
std::shared_ptr<HookEvent> sample() {
  auto event = std::make_shared<HookEvent>();
  event->hook_id = "0123";
  event->path = "features.0";
  event->kind = HookKind::kBackward;
  event->step = 300;
  event->time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'123));
  const Tensor large = Tensor::full({30, 50}, 2.5);
  const Tensor small = Tensor::of<double>({1, 2, 3});
  event->tensors.push_back({.name = "grad_input", .none = true});
  event->tensors.push_back({.name = "grad_output", .spec = large.spec(), .tensor = large});
  event->tensors.push_back(
      {.name = "grad_output_1", .spec = small.spec(), .stats = kernels::stats(small, 5), .tensor = small});
  event->tensors.push_back({.name = "grad_output_2", .spec = large.spec(), .omitted = DataOmitted::kEventTooLarge});
  return event;
}

TEST(EventWireTest, ItsPiecesAreTheMessage) {
  const auto event = sample();
  v1::HookEvent got;
  ASSERT_TRUE(got.ParseFromString(joined(event->wire())));

  v1::HookEvent want;
  want.set_hook_id("0123");
  want.set_path("features.0");
  want.set_kind(v1::HOOK_KIND_BACKWARD);
  want.set_step(300);
  want.mutable_time()->set_seconds(1'700'000'000);
  want.mutable_time()->set_nanos(123'000'000);
  for (const ObservedTensor& seen : event->tensors) {
    v1::ObservedTensor& out = *want.add_tensors();
    out.set_name(seen.name);
    if (seen.none) {
      out.set_none(true);
      continue;
    }
    codec::encode_spec(seen.name, seen.spec, *out.mutable_spec());
    if (seen.tensor.defined()) codec::encode_tensor(seen.tensor, *out.mutable_tensor());
  }
  want.mutable_tensors(3)->set_omitted(v1::DATA_OMITTED_EVENT_TOO_LARGE);
  v1::TensorStats& stats = *want.mutable_tensors(2)->mutable_stats();
  stats = got.tensors(2).stats();
  EXPECT_EQ(stats.mean(), 2);
  EXPECT_THAT(stats.histogram().counts(), testing::ElementsAre(1, 0, 1, 0, 1));
  EXPECT_EQ(stats.histogram().edges_size(), 6);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(got, want)) << got.ShortDebugString();
}

TEST(EventWireTest, ItIsEncodedOnceAndCopiesNoLargeTensor) {
  const auto event = sample();
  const EventWire& wire = event->wire();
  EXPECT_EQ(&wire, &event->wire());
  const std::string_view first = wire.pieces[0];
  EXPECT_EQ(event->wire().pieces[0].data(), first.data());
  const auto* data = static_cast<const char*>(event->tensors[1].tensor.raw_data());
  EXPECT_TRUE(std::ranges::any_of(wire.pieces, [&](std::string_view piece) { return piece.data() == data; }));
}

TEST(EventWireTest, TheBoundHolds) {
  const auto event = sample();
  int64_t data = 0;
  for (const ObservedTensor& seen : event->tensors) {
    if (seen.tensor.defined()) data += static_cast<int64_t>(seen.tensor.nbytes());
  }
  const int64_t bound = wire_bound(event->hook_id, event->path, event->tensors) + data;
  EXPECT_LE(static_cast<int64_t>(event->wire().size), bound);
}

TEST(EventWireTest, TheBoundHoldsForNumbersOfManyDigits) {
  HookEvent event;
  event.step = std::numeric_limits<int64_t>::max();
  kernels::Stats stats;
  stats.count = stats.zeros = stats.nans = stats.infs = event.step;
  stats.mean = stats.std = stats.min = stats.max = stats.l2_norm = -1e300;
  stats.counts.assign(100, event.step);
  stats.edges.assign(101, -1e300);
  for (int i = 0; i < 50; ++i) {
    event.tensors.push_back({.name = "output", .spec = {DType::kFloat32, Shape(12, int64_t{1} << 60)}, .stats = stats});
  }
  EXPECT_LE(static_cast<int64_t>(event.wire().size), wire_bound("", "", event.tensors));
}

}  // namespace
}  // namespace tapewire
