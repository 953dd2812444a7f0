#include "core/base/suggest.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/cancel.h"
#include "core/base/error.h"

namespace tapewire {
namespace {

constexpr std::array<std::string_view, 4> kNames{"kernel_size", "stride", "padding", "dilation"};

TEST(SuggestTest, FindsTheNearestName) {
  EXPECT_EQ(nearest_name("kernal_size", kNames), "kernel_size");
  EXPECT_EQ(nearest_name("stirde", kNames), "stride");
  EXPECT_EQ(nearest_name("Padding", kNames), "padding");
}

TEST(SuggestTest, FindsNothingFarAway) {
  EXPECT_EQ(nearest_name("momentum", kNames), "");
  EXPECT_EQ(nearest_name("", kNames), "");
  EXPECT_EQ(nearest_name(std::string(1000, 'x'), kNames), "");
  EXPECT_EQ(nearest_name("stride", {}), "");
}

TEST(SuggestTest, TakesTheNearerAndOfEqualsTheFirst) {
  constexpr std::array<std::string_view, 4> kLike{"weight_ab", "weights", "weighty", "weight"};
  EXPECT_EQ(nearest_name("weight", kLike), "weight");
  EXPECT_EQ(nearest_name("weightz", kLike), "weights");
  EXPECT_EQ(nearest_name("WEIGHT", kLike), "weight");
  EXPECT_EQ(nearest_name("ewihgt", kLike), "weight");
  EXPECT_EQ(nearest_name("ab", std::array<std::string_view, 2>{"b", "abcd"}), "b");
  EXPECT_EQ(nearest_name("a", std::array<std::string_view, 2>{"abc", ""}), "");
}

// What a name costs is bounded, however many candidates there are.
TEST(SuggestTest, LooksAtTheFirstCandidatesOfLikeLengthOnly) {
  std::vector<std::string_view> many(100'000, "zzzzzzzzzz");
  many.insert(many.begin() + 1000, "kernel_size");
  EXPECT_EQ(nearest_name("kernal_size", many), "kernel_size");
  many[1000] = many[0];
  many.push_back("kernel_size");
  EXPECT_EQ(nearest_name("kernal_size", many), "");
  // Those of other lengths cost and count nothing.
  many.assign(100'000, std::string_view("zz"));
  many.push_back("kernel_size");
  EXPECT_EQ(nearest_name("kernal_size", many), "kernel_size");
}

TEST(SuggestTest, TheSearchCanBeCancelled) {
  const std::vector<std::string_view> many(1000, "weight_a_weight_b_weight_c");
  CancelToken token;
  token.cancel();
  const CancelScope scope(&token);
  EXPECT_THROW(
      {
        for (int i = 0; i < 1000; ++i) nearest_name("weight_d_weight_e_weight_f", many);
      },
      Error);
}

TEST(SuggestTest, WordsTheSuggestion) {
  EXPECT_EQ(did_you_mean("kernal_size", kNames), "; did you mean 'kernel_size'?");
  EXPECT_EQ(did_you_mean("momentum", kNames), "");
}

TEST(QuotedTest, EscapesAndCutsWhatCameFromOutside) {
  EXPECT_EQ(tapewire::quoted("relu"), "'relu'");
  EXPECT_EQ(tapewire::quoted(std::string("a\n\x01", 3)), "'a\\n\\x01'");
  EXPECT_EQ(tapewire::quoted("abcdef", 3), "'abc...'");
  EXPECT_EQ(tapewire::quoted("abc", 3), "'abc'");
}

}  // namespace
}  // namespace tapewire
