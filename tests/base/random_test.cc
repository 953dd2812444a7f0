#include "core/base/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tapewire {
namespace {

using testing::ElementsAre;

// Expected values were printed by PyTorch 1.13 after torch.manual_seed(seed): torch.rand(3), torch.empty(3,
// dtype=int64).random_(0, 2**31), torch.rand(2, dtype=float64), torch.empty(2, dtype=int64).random_(-2**63, None), in
// this order; and torch.randn(5, dtype=float64).

std::vector<float> floats(Generator& g, int count) {
  std::vector<float> out;
  for (int i = 0; i < count; ++i) out.push_back(g.uniform_float());
  return out;
}
std::vector<double> doubles(Generator& g, int count) {
  std::vector<double> out;
  for (int i = 0; i < count; ++i) out.push_back(g.uniform_double());
  return out;
}
std::vector<uint32_t> words31(Generator& g, int count) {
  std::vector<uint32_t> out;
  for (int i = 0; i < count; ++i) out.push_back(g.random() % 0x80000000u);
  return out;
}
std::vector<int64_t> words64(Generator& g, int count) {
  std::vector<int64_t> out;
  for (int i = 0; i < count; ++i) out.push_back(static_cast<int64_t>(g.random64()));
  return out;
}
std::vector<double> normals(uint64_t seed, int count) {
  Generator g(seed);
  std::vector<double> out;
  for (int i = 0; i < count; ++i) out.push_back(g.normal_double());
  return out;
}

TEST(GeneratorTest, DrawsPyTorchsStreamForSeedZero) {
  Generator g(0);
  EXPECT_THAT(floats(g, 3), ElementsAre(0x1.fc2ab00000000p-2f, 0x1.89545e0000000p-1f, 0x1.6a67500000000p-4f));
  EXPECT_THAT(words31(g, 3), ElementsAre(1478610112u, 441365315u, 1537364731u));
  EXPECT_THAT(doubles(g, 2), ElementsAre(0x1.d76c3d8e57d67p-1, 0x1.4a4099fa1ded3p-1));
  EXPECT_THAT(words64(g, 2), ElementsAre(-6532100632237123854, 8072059273656089175));
}

TEST(GeneratorTest, DrawsPyTorchsStreamForSeed42) {
  Generator g(42);
  EXPECT_THAT(floats(g, 3), ElementsAre(0x1.c3b8cc0000000p-1f, 0x1.d47b660000000p-1f, 0x1.880d700000000p-2f));
  EXPECT_THAT(words31(g, 3), ElementsAre(787846414u, 996406378u, 1201263687u));
  EXPECT_THAT(doubles(g, 2), ElementsAre(0x1.aebc98cb2c140p-5, 0x1.0d66672221879p-1));
  EXPECT_THAT(words64(g, 2), ElementsAre(2877591057541362902, 1071453510346823114));
}

TEST(GeneratorTest, SeedsWithTheLow32Bits) {
  Generator g((uint64_t{1} << 32) + 5);
  EXPECT_THAT(floats(g, 3), ElementsAre(0x1.a916c60000000p-1f, 0x1.0246700000000p-3f, 0x1.d09fde0000000p-1f));
  EXPECT_EQ(g.seed(), (uint64_t{1} << 32) + 5);
}

// torch.manual_seed(3); torch.empty(2000, dtype=int64).random_(0, 2**31)[[0, 623, 624, 1247, 1999]]
TEST(GeneratorTest, RefillsItsStateAsPyTorchDoes) {
  Generator g(3);
  const std::vector<uint32_t> all = words31(g, 2000);
  EXPECT_EQ(all[0], 218175338u);
  EXPECT_EQ(all[623], 1771377942u);
  EXPECT_EQ(all[624], 1855105112u);
  EXPECT_EQ(all[1247], 987354557u);
  EXPECT_EQ(all[1999], 573529798u);
}

// torch.rand(2, generator=torch.Generator())
TEST(GeneratorTest, DefaultSeedIsPyTorchs) {
  Generator g;
  EXPECT_THAT(floats(g, 2), ElementsAre(0.267295241355896f, 0.8725283145904541f));
}

TEST(GeneratorTest, NormalsArePyTorchsBoxMuller) {
  const std::vector<double> zero{0x1.8a7eb8902be3ap+0, -0x1.2c78a087c6feap-2, -0x1.16e2920a70ee5p+1,
                                 0x1.23096ca3e350dp-1, -0x1.15a341987e136p+0};
  const std::vector<double> forty_two{0x1.58c55b33d44ccp-2, 0x1.07cd39b3d4b85p-3, 0x1.e02dcdb63ec41p-3,
                                      0x1.d7b8d7b0a7c22p-3, -0x1.1f7383f8320c1p+0};
  // Within the libm's last bit.
  EXPECT_THAT(normals(0, 5), testing::Pointwise(testing::DoubleNear(1e-15), zero));
  EXPECT_THAT(normals(42, 5), testing::Pointwise(testing::DoubleNear(1e-15), forty_two));
}

TEST(GeneratorTest, StatePutBackRepeatsTheStream) {
  Generator g(11);
  g.normal_double();  // the second of the pair is part of the state
  const Generator::State state = g.state();
  const std::vector<double> first{g.normal_double(), g.uniform_double(), g.normal_double()};
  EXPECT_NE(g.state(), state);
  g.set_state(state);
  EXPECT_EQ((std::vector<double>{g.normal_double(), g.uniform_double(), g.normal_double()}), first);
}

TEST(GeneratorTest, ReseedingForgetsTheSpareNormal) {
  Generator g(5);
  g.normal_double();
  g.set_seed(5);
  EXPECT_EQ(g.state(), Generator(5).state());
}

TEST(GeneratorScopeTest, NestsAndEnds) {
  Generator outer(1);
  Generator inner(2);
  {
    const GeneratorScope a(outer);
    EXPECT_EQ(&current_generator(), &outer);
    {
      const GeneratorScope b(inner);
      EXPECT_EQ(&current_generator(), &inner);
      manual_seed(9);
    }
    EXPECT_EQ(&current_generator(), &outer);
  }
  EXPECT_NE(&current_generator(), &outer);
  EXPECT_EQ(inner.seed(), 9u);
  EXPECT_EQ(outer.seed(), 1u);
}

}  // namespace
}  // namespace tapewire
