#include "server/model/glob.h"

#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/cancel.h"
#include "core/base/error.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

TEST(GlobTest, StarCrossesDotsAndQuestionMarkIsOneCharacter) {
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("*.weight", "layer1.0.conv1.weight"));
  EXPECT_TRUE(glob_match("fc?.bias", "fc1.bias"));
  EXPECT_FALSE(glob_match("fc?.bias", "fc10.bias"));
  EXPECT_FALSE(glob_match("fc1", "fc1.weight"));
  EXPECT_TRUE(glob_match("a*b*c", "a--b-b--c"));
}

// By the definition, a character at a time.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    return matches(pattern.substr(1), text) || (!text.empty() && matches(pattern, text.substr(1)));
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) && matches(pattern.substr(1), text.substr(1));
}

TEST(GlobTest, IsWhatTheDefinitionSays) {
  std::mt19937 random(1);  // NOLINT: the same texts each time
  const auto draw = [&](std::string_view letters, size_t most) {
    std::string out(random() % (most + 1), ' ');
    for (char& c : out) c = letters[random() % letters.size()];
    return out;
  };
  int hits = 0;
  for (int i = 0; i < 50'000; ++i) {
    const std::string pattern = draw("ab*?", 7);
    const std::string text = draw("ab", 8);
    ASSERT_EQ(glob_match(pattern, text), matches(pattern, text)) << pattern << " " << text;
    hits += glob_match(pattern, text);
  }
  EXPECT_GT(hits, 2000);
}

std::vector<NamedTensor> named(const std::vector<std::string>& names) {
  std::vector<NamedTensor> out;
  for (const std::string& name : names) out.push_back({name, Tensor()});
  return out;
}

std::vector<std::string> selected(const std::vector<std::string>& globs, const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> out;
  for (const NamedTensor& t : select_by_globs(globs, tensors, "keys", "key")) out.push_back(t.name);
  return out;
}

TEST(GlobTest, SelectsInTheTensorsOrderWhateverTheirNames) {
  const auto tensors = named({"fc2.weight", "fc1.weight", "fc1", "fc1.weight.x", "fc10.weight", "a"});
  EXPECT_THAT(selected({"fc1*"}, tensors), ElementsAre("fc1.weight", "fc1", "fc1.weight.x", "fc10.weight"));
  EXPECT_THAT(selected({"fc1.weight"}, tensors), ElementsAre("fc1.weight"));
  EXPECT_THAT(selected({"*.weight", "a"}, tensors), ElementsAre("fc2.weight", "fc1.weight", "fc10.weight", "a"));
  EXPECT_THAT(selected({"fc?.weight"}, tensors), ElementsAre("fc2.weight", "fc1.weight"));
  EXPECT_THROW(selected({"fc"}, tensors), Error);
}

TEST(GlobTest, ManyNamesAreFoundWithoutLookingAtEachForEach) {
  std::vector<std::string> names;
  for (int i = 0; i < 100'000; ++i) names.push_back("layer" + std::to_string(i) + ".weight");
  EXPECT_EQ(selected(names, named(names)).size(), names.size());
}

TEST(GlobTest, GlobsAreCounted) {
  const auto tensors = named({"fc1"});
  EXPECT_EQ(selected(std::vector<std::string>(kMaxGlobs, "fc*"), tensors).size(), 1u);
  EXPECT_THROW(selected(std::vector<std::string>(kMaxGlobs + 1, "fc*"), tensors), Error);
}

TEST(GlobTest, ACancelledSearchStops) {
  const auto tensors = named(std::vector<std::string>(2000, "layer"));
  CancelToken token;
  token.cancel();
  const CancelScope scope(&token);
  EXPECT_THROW(selected({"*a*"}, tensors), Error);
}

TEST(GlobTest, ManyStarsAreNotExponential) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  EXPECT_FALSE(glob_match(pattern, std::string(5000, 'a') + "b"));
}

}  // namespace
}  // namespace tapewire
