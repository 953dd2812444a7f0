#include "core/base/suggest.h"

#include <algorithm>
#include <array>
#include <random>
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

// As nearest_name, by the whole table of distances.
std::string_view nearest_by_table(std::string_view name, std::span<const std::string_view> candidates) {
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) {
      for (size_t j = 0; j <= b.size(); ++j) {
        if (i == 0 || j == 0) {
          d[i][j] = i + j;
          continue;
        }
        d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
          d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
      }
    }
    return d[a.size()][b.size()];
  };
  std::string_view best;
  size_t least = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    if (distance(name, candidate) >= least) continue;
    least = distance(name, candidate);
    best = candidate;
  }
  return best;
}

TEST(SuggestTest, LooksNoFurtherThanItMust) {
  std::mt19937 random(1);  // NOLINT: the same names each time
  const auto word = [&] {
    std::string out(1 + random() % 12, 'a');
    for (char& c : out) c = static_cast<char>('a' + random() % 3);
    return out;
  };
  int found = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string name = word();
    const std::array<std::string, 3> words{word(), word(), word()};
    const std::array<std::string_view, 3> candidates{words[0], words[1], words[2]};
    const std::string_view nearest = nearest_name(name, candidates);
    EXPECT_EQ(nearest, nearest_by_table(name, candidates)) << name;
    found += !nearest.empty();
  }
  EXPECT_GT(found, 100);
}

TEST(QuotedTest, EscapesAndCutsWhatCameFromOutside) {
  EXPECT_EQ(tapewire::quoted("relu"), "'relu'");
  EXPECT_EQ(tapewire::quoted(std::string("a\n\x01", 3)), "'a\\n\\x01'");
  EXPECT_EQ(tapewire::quoted("abcdef", 3), "'abc...'");
  EXPECT_EQ(tapewire::quoted("abc", 3), "'abc'");
}

}  // namespace
}  // namespace tapewire
