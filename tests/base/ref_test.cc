#include "core/base/ref.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tapewire {
namespace {

struct Counted : RefCounted<Counted> {
  explicit Counted(int& counter) : living(counter) { ++living; }
  ~Counted() { --living; }
  void destroy() { delete this; }
  int& living;
};

TEST(RefTest, TheLastOwnerDestroys) {
  int living = 0;
  {
    const Ref<Counted> a = make_ref<Counted>(living);
    EXPECT_TRUE(a->unique());
    Ref<Counted> b = a;
    EXPECT_EQ(a->use_count(), 2u);
    Ref<Counted> c = std::move(b);
    EXPECT_FALSE(b);  // NOLINT(bugprone-use-after-move): moved from is empty
    EXPECT_EQ(a->use_count(), 2u);
    c = nullptr;
    EXPECT_TRUE(a->unique());
    EXPECT_EQ(living, 1);
  }
  EXPECT_EQ(living, 0);
}

TEST(RefTest, AssigningToItselfKeepsTheObject) {
  int living = 0;
  Ref<Counted> a = make_ref<Counted>(living);
  const Ref<Counted>& same = a;
  a = same;
  EXPECT_EQ(living, 1);
}

TEST(RefTest, DetachAndAdoptMoveOneCount) {
  int living = 0;
  Ref<Counted> a = make_ref<Counted>(living);
  Counted* raw = a.detach();
  EXPECT_EQ(living, 1);
  const Ref<Counted> b = Ref<Counted>::adopt(raw);
  EXPECT_TRUE(b->unique());
}

struct Resting : RefCounted<Resting> {
  void destroy() { dead = true; }  // stays in memory for the test to look at
  bool dead = false;
};

TEST(RefTest, TryRetainFailsOnceTheLastOwnerHasGone) {
  Resting object;
  EXPECT_TRUE(object.try_retain());
  object.release();
  EXPECT_FALSE(object.dead);
  object.release();
  EXPECT_TRUE(object.dead);
  EXPECT_FALSE(object.try_retain());
}

TEST(RefTest, ThreadsMayShareOwners) {
  int living = 0;
  Ref<Counted> shared = make_ref<Counted>(living);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([copy = shared] {
      for (int i = 0; i < 10000; ++i) EXPECT_EQ(Ref<Counted>(copy).get(), copy.get());
    });
  }
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  EXPECT_TRUE(shared->unique());
  shared = nullptr;
  EXPECT_EQ(living, 0);
}

}  // namespace
}  // namespace tapewire
