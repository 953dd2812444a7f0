#include "server/model/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace tapewire {
namespace {

TEST(GlobTest, StarCrossesDotsAndQuestionMarkIsOneCharacter) {
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("*.weight", "layer1.0.conv1.weight"));
  EXPECT_TRUE(glob_match("fc?.bias", "fc1.bias"));
  EXPECT_FALSE(glob_match("fc?.bias", "fc10.bias"));
  EXPECT_FALSE(glob_match("fc1", "fc1.weight"));
  EXPECT_TRUE(glob_match("a*b*c", "a--b-b--c"));
}

TEST(GlobTest, ManyStarsAreNotExponential) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  EXPECT_FALSE(glob_match(pattern, std::string(5000, 'a') + "b"));
}

}  // namespace
}  // namespace tapewire
