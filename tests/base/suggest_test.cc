#include "core/base/suggest.h"

#include <array>

#include <gtest/gtest.h>

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
