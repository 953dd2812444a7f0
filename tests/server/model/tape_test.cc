#include "server/model/tape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/server/model/model_fixture.h"
#include "tests/wait.h"

namespace tapewire {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr seconds kLease{30};

class TapeStoreTest : public testing::Test {
 protected:
  std::shared_ptr<Tape> tape(const std::string& id, int64_t bytes = 100) {
    auto made = std::make_shared<Tape>();
    made->id = id;
    made->bytes = bytes;
    made->lease = kLease;
    made->outputs.push_back({"y", Tensor::zeros({2})});
    return made;
  }
  static TapeStore::Clock::time_point later(seconds by) { return TapeStore::Clock::now() + by; }
  std::vector<std::string> ids() const {
    std::vector<std::string> out;
    for (const TapeInfo& info : store_.list()) out.push_back(info.id);
    return out;
  }
  static absl::StatusCode code_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    return absl::StatusCode::kOk;
  }

  std::vector<TapeStore::Clock::time_point> told_;
  std::shared_ptr<ModelMetrics> metrics_ = std::make_shared<ModelMetrics>("net");
  TapeStore store_{3, metrics_, [this](TapeStore::Clock::time_point time) { told_.push_back(time); }};
};

TEST_F(TapeStoreTest, ATapeLivesAsLongAsItsLease) {
  store_.add(tape("a"));
  store_.expire(later(kLease - seconds(1)));
  EXPECT_THAT(ids(), ElementsAre("a"));
  store_.expire(later(kLease + seconds(1)));
  EXPECT_EQ(store_.size(), 0u);
  EXPECT_EQ(code_of([&] { store_.pin("a"); }), absl::StatusCode::kNotFound);
}

TEST_F(TapeStoreTest, ALeaseDoesNotRunOutWhileACallUsesTheTapeAndBeginsAnewAfter) {
  store_.add(tape("a"));
  std::shared_ptr<Tape> first = store_.pin("a");
  const std::shared_ptr<Tape> second = store_.pin("a");
  EXPECT_FALSE(store_.next_expiry());
  store_.expire(later(2 * kLease));
  EXPECT_THAT(ids(), ElementsAre("a"));
  first = nullptr;
  store_.expire(later(2 * kLease));
  EXPECT_THAT(ids(), ElementsAre("a")) << "the second call still uses it";
}

TEST_F(TapeStoreTest, AUseRenewsTheLeaseAndTellsWhenItEnds) {
  store_.add(tape("a"));
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(store_.next_expiry(), told_[0]);
  {
    const std::shared_ptr<Tape> used = store_.pin("a");
  }
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_GT(told_[1], told_[0]);
  EXPECT_EQ(store_.next_expiry(), told_[1]);
}

TEST_F(TapeStoreTest, APinOutlivesItsStore) {
  std::shared_ptr<Tape> pinned;
  {
    TapeStore other(1, metrics_);
    other.add(tape("a"));
    pinned = other.pin("a");
    other.clear();
  }
  EXPECT_EQ(pinned->id, "a");
  pinned = nullptr;
}

TEST_F(TapeStoreTest, ListsTheOldestFirstWithWhatTheyHoldNow) {
  for (const char* id : {"c", "a", "b"}) store_.add(tape(id));
  EXPECT_THAT(ids(), ElementsAre("c", "a", "b"));
  const auto changed = tape("a");
  changed->grads.push_back({"grad:x", Tensor::zeros({3})});
  EXPECT_TRUE(store_.changed(*changed, 250));
  const TapeInfo info = store_.find("a").value();
  EXPECT_EQ(info.bytes, 250);
  ASSERT_EQ(info.tensors.size(), 2u);
  EXPECT_EQ(info.tensors[1].first, "grad:x");
}

TEST_F(TapeStoreTest, TooManyAreRefusedAndAUsedUpOneMakesRoom) {
  for (const char* id : {"a", "b", "c"}) store_.add(tape(id));
  EXPECT_EQ(code_of([&] { store_.check_room(); }), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(store_.use_up("b"));
  store_.check_room();
  EXPECT_EQ(code_of([&] { store_.pin("b"); }), absl::StatusCode::kFailedPrecondition);
  store_.release("b");  // tidying up is no error, once
  EXPECT_EQ(code_of([&] { store_.release("b"); }), absl::StatusCode::kNotFound);
}

class TapeMetricsTest : public ModelTest {};

TEST_F(TapeStoreTest, NamesOfTensorsCountAsMemoryWhileTheTapeIsKept) {
  const auto many = tape("a");
  for (int i = 0; i < 1000; ++i) many->captured.push_back({std::to_string(i), many->outputs[0].tensor});
  const int64_t before = tensor_allocator().stats().live;
  store_.add(many);
  EXPECT_GE(tensor_allocator().stats().live - before, 300'000);
  many->grads = many->captured;
  EXPECT_TRUE(store_.changed(*many, 100));
  EXPECT_GE(tensor_allocator().stats().live - before, 600'000);
  store_.release("a");
  EXPECT_EQ(tensor_allocator().stats().live, before);
}

TEST_F(TapeStoreTest, AListTellsTheFirstTensorsOfEachTapeAndHowManyThereAre) {
  const auto many = tape("a");
  for (int i = 0; i < 1000; ++i) many->captured.push_back({std::to_string(i), many->outputs[0].tensor});
  store_.add(many);
  store_.add(tape("b"));
  const std::vector<TapeInfo> list = store_.list();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].tensors.size(), TapeStore::kListed);
  EXPECT_EQ(list[0].tensors[1].first, "0");
  EXPECT_EQ(list[0].tensor_count, 1001);
  EXPECT_EQ(list[1].tensor_count, 1);
  EXPECT_EQ(store_.find("a")->tensors.size(), 1001u);
  EXPECT_LT(store_.listed_bytes(), 200'000u);
}

TEST_F(TapeStoreTest, ATapeWhoseNamesPassTheMemoryLimitIsNotKept) {
  const auto many = tape("a");
  for (int i = 0; i < 1000; ++i) many->captured.push_back({std::to_string(i), many->outputs[0].tensor});
  const int64_t before = tensor_allocator().stats().live;
  const int64_t limit = tensor_allocator().limit();
  tensor_allocator().set_limit(before + 100'000, "--tensor_memory_limit");
  EXPECT_EQ(code_of([&] { store_.add(many); }), absl::StatusCode::kResourceExhausted);
  tensor_allocator().set_limit(limit, "--tensor_memory_limit");
  EXPECT_EQ(store_.size(), 0u);
  EXPECT_EQ(tensor_allocator().stats().live, before);
}

TEST_F(TapeMetricsTest, TheGaugesFallWithWhatExpires) {
  const auto model = create(kSimpleNet);
  in_turn(model, [](ModelState& m) {
    for (const int lease : {10, 1000}) {
      m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true, .lease = seconds(lease)});
    }
    return 0;
  }).value();
  const int64_t each = model->tapes().list()[0].bytes;
  EXPECT_GT(each, 0);
  EXPECT_THAT(metrics_.text(), HasSubstr(str_cat("tapewire_tape_bytes{model=\"net\"} ", 2 * each, "\n")));
  model->expire(TapeStore::Clock::now() + seconds(11));
  EXPECT_THAT(metrics_.text(), HasSubstr("tapewire_tapes{model=\"net\"} 1\n"));
  EXPECT_THAT(metrics_.text(), HasSubstr(str_cat("tapewire_tape_bytes{model=\"net\"} ", each, "\n")));
}

TEST_F(TapeMetricsTest, LeasesEndByThemselves) {
  const auto model = create(kSimpleNet);
  in_turn(model, [](ModelState& m) {
    return m.forward({.inputs = {{"x", ramp({4, 10})}}, .keep_tape = true, .lease = seconds(1)}).tape->id;
  }).value();
  EXPECT_EQ(model->tapes().size(), 1u);
  EXPECT_TRUE(wait_until([&] { return model->tapes().size() == 0; }));
}

}  // namespace
}  // namespace tapewire
