#include "core/nn/arguments.h"

#include <gtest/gtest.h>

#include "tests/nn/support.h"

namespace tapewire {
namespace {

Args call(std::initializer_list<Value> positional, std::vector<std::pair<std::string, Value>> named) {
  Args args(positional);
  args.named = std::move(named);
  return args;
}

TEST(ModuleArgumentsTest, PositionalOnesFillTheNamesInOrder) {
  const Args args = call({Value(int64_t{1})}, {{"c", Value(true)}});
  const ModuleArguments arguments("M", {"a", "b", "c"}, args);
  EXPECT_EQ(arguments.value("a").integer(), 1);
  EXPECT_FALSE(arguments.given("b"));
  EXPECT_TRUE(arguments.boolean("c", false));
  EXPECT_TRUE(arguments.boolean("b", true));
  EXPECT_FALSE(arguments.optional_tensor("b").defined());
}

TEST(ModuleArgumentsTest, WhatDoesNotFitIsNamed) {
  const auto bind = [](const Args& args) { return ModuleArguments("M", {"a", "b"}, args); };
  EXPECT_EQ(error_of([&] { bind(call({Value(), Value(), Value(true)}, {})); }),
            "M takes at most 2 arguments (a, b), got (none, none, bool True)");
  EXPECT_EQ(error_of([&] { bind(call({}, {{"x", Value()}})); }), "M has no argument 'x'; it takes a, b");
  EXPECT_EQ(error_of([&] { bind(call({Value()}, {{"a", Value()}})); }), "M got two values for argument 'a'");
}

TEST(ModuleArgumentsTest, KindsAreChecked) {
  const Args args = call({Value(int64_t{3})}, {});
  const ModuleArguments arguments("M", {"a", "b"}, args);
  EXPECT_EQ(error_of([&] { arguments.tensor("a"); }), "M: argument 'a': expected a tensor, got int 3");
  EXPECT_EQ(error_of([&] { arguments.tensor("b"); }), "M: argument 'b' is missing");
  EXPECT_EQ(error_of([&] { (void)arguments.boolean("a", true); }), "M: argument 'a': expected a bool, got int 3");
}

}  // namespace
}  // namespace tapewire
