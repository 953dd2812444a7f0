#include "client/cpp/definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace tapewire::client {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string error_of(const std::string& text, DefinitionFormat format) {
  const auto spec = parse_definition(text, format, "net");
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(spec.status().message());
}

TEST(DefinitionTest, ReadsText) {
  const auto spec = parse_definition("modules { path: \"fc\" type: \"Linear\" }", DefinitionFormat::kText, "net");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->modules(0).path(), "fc");
}

TEST(DefinitionTest, ReadsJson) {
  const auto spec = parse_definition(
      R"({"modules": [{"path": "fc", "type": "Linear", "attributes": {"in_features": {"int_value": 10}}}]})",
      DefinitionFormat::kJson, "net");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->modules(0).attributes().at("in_features").int_value(), 10);
}

TEST(DefinitionTest, TextErrorsNameLineAndColumn) {
  EXPECT_THAT(error_of("modules {\n  type: 5\n}", DefinitionFormat::kText), StartsWith("net:2:9: "));
  EXPECT_THAT(error_of("modules {\n  tyype: \"Linear\"\n}", DefinitionFormat::kText),
              AllOf(StartsWith("net:2:"), HasSubstr("tyype")));
  EXPECT_THAT(error_of("modules {", DefinitionFormat::kText), StartsWith("net:1:"));
}

TEST(DefinitionTest, JsonSyntaxErrorsNameLineAndColumn) {
  EXPECT_THAT(error_of("{\n  \"modules\": [,]\n}", DefinitionFormat::kJson), StartsWith("net:2:15: "));
  EXPECT_THAT(error_of("{\"modules\": ", DefinitionFormat::kJson), StartsWith("net:1:"));
  EXPECT_THAT(error_of("", DefinitionFormat::kJson), StartsWith("net:1:1: "));
}

TEST(DefinitionTest, JsonFieldsThatDoNotExistAreErrors) {
  EXPECT_THAT(error_of(R"({"modules": [{"tyype": "Linear"}]})", DefinitionFormat::kJson), HasSubstr("tyype"));
  EXPECT_THAT(error_of(R"({"modules": [{"type": 5}]})", DefinitionFormat::kJson), HasSubstr("modules[0].type"));
}

TEST(DefinitionTest, NestingIsLimited) {
  std::string text = "modules { forward { calls { args { ";
  std::string json = R"({"modules": [{"forward": {"calls": [{"args": [)";
  for (int i = 0; i < 5000; ++i) text += "list { items { ";
  for (int i = 0; i < 5000; ++i) json += R"({"list": {"items": [)";
  for (int i = 0; i < 5000; ++i) json += "]}}";
  EXPECT_THAT(error_of(text, DefinitionFormat::kText), HasSubstr("deep"));
  error_of(json + "]}]}}]}", DefinitionFormat::kJson);
}

TEST(DefinitionTest, AFileThatIsNotThereIsNamed) {
  const auto spec = read_definition("/nonexistent/net.txtpb");
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(spec.status().message()), HasSubstr("/nonexistent/net.txtpb"));
  EXPECT_FALSE(read_definition("/tmp").ok());
}

TEST(DefinitionTest, TheContentTellsTheFormat) {
  const std::string path = testing::TempDir() + "definition_test.net";
  std::ofstream(path) << "\n {\"modules\": [{\"type\": \"Linear\"}]}";
  const auto spec = read_definition(path);
  EXPECT_TRUE(spec.ok()) << spec.status();
  std::remove(path.c_str());
}

TEST(DefinitionTest, TextIsReadBack) {
  v1::ModelSpec spec;
  spec.add_modules()->set_type("Linear");
  EXPECT_EQ(parse_definition(definition_text(spec), DefinitionFormat::kText, "net")->SerializeAsString(),
            spec.SerializeAsString());
}

TEST(DefinitionTest, JsonIsReadBack) {
  for (const char* path : {"client/examples/mnist/mnist.txtpb", "client/examples/simplenet/simplenet.txtpb"}) {
    const auto spec = read_definition(path);
    ASSERT_TRUE(spec.ok()) << spec.status();
    const std::string text = definition_json(*spec);
    EXPECT_THAT(text, Not(HasSubstr("\n")));
    const auto again = parse_definition(text, DefinitionFormat::kJson, "net");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(definition_text(*again), definition_text(*spec));
  }
}

TEST(DefinitionTest, TheExamplesAreWellFormed) {
  for (const char* path : {"client/examples/mnist/mnist.txtpb", "client/examples/simplenet/simplenet.txtpb"}) {
    const auto spec = read_definition(path);
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(spec->modules(0).type(), "Graph");
  }
}

}  // namespace
}  // namespace tapewire::client
