#include "core/nn/registry.h"

#include <filesystem>
#include <fstream>
#include <regex>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Every class with a kName in core/nn is registered: none was forgotten, or dropped by the linker.
TEST(ModuleRegistryTest, HoldsEveryClassOfTheSources) {
  const std::regex name(R"re(static constexpr auto kName = "(\w+)";)re");
  size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator("core/nn")) {
    if (file.path().extension() != ".h") continue;
    std::ifstream in(file.path());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    for (auto at = std::sregex_iterator(text.begin(), text.end(), name); at != std::sregex_iterator(); ++at) {
      ++count;
      EXPECT_NE(find_module(std::string((*at)[1])), nullptr) << (*at)[1];
    }
  }
  EXPECT_GE(count, 23u);
  EXPECT_EQ(count, all_modules(ModuleKind::kModule).size() + all_modules(ModuleKind::kLoss).size());
}

TEST(ModuleRegistryTest, EveryClassAndAttributeIsDocumented) {
  for (const ModuleKind kind : {ModuleKind::kModule, ModuleKind::kLoss}) {
    for (const ModuleDef* def : all_modules(kind)) {
      EXPECT_FALSE(def->doc.empty()) << def->name;
      for (const AttributeInfo& info : def->attributes())
        EXPECT_FALSE(info.doc.empty()) << def->name << " " << info.name;
    }
  }
}

std::shared_ptr<Module> make(const char* type, const AttributeMap& attributes, ModuleKind kind = ModuleKind::kModule) {
  std::vector<std::string> faults;
  std::shared_ptr<Module> module = require_module(type, kind).make(attributes, faults);
  EXPECT_THAT(faults, IsEmpty());
  return module;
}

std::vector<std::string> faults_of(const char* type, const AttributeMap& attributes) {
  std::vector<std::string> faults;
  EXPECT_EQ(require_module(type, ModuleKind::kModule).make(attributes, faults), nullptr);
  return faults;
}

TEST(ModuleRegistryTest, MakesModulesThatPrintAsInPyTorch) {
  EXPECT_EQ(make("Linear", {{"in_features", 2}, {"out_features", 3}})->repr(),
            "Linear(in_features=2, out_features=3, bias=True)");
  EXPECT_EQ(make("Conv2d", {{"in_channels", 1}, {"out_channels", 10}, {"kernel_size", 5}})->repr(),
            "Conv2d(1, 10, kernel_size=(5, 5), stride=(1, 1))");
  EXPECT_EQ(make("Conv2d", {{"in_channels", 2},
                            {"out_channels", 4},
                            {"kernel_size", Tuple{3, 5}},
                            {"stride", 2},
                            {"padding", Tuple{1, 0}},
                            {"dilation", 2},
                            {"groups", 2},
                            {"bias", false}})
                ->repr(),
            "Conv2d(2, 4, kernel_size=(3, 5), stride=(2, 2), padding=(1, 0), dilation=(2, 2), groups=2, bias=False)");
  EXPECT_EQ(make("Conv1d", {{"in_channels", 1}, {"out_channels", 2}, {"kernel_size", 3}, {"padding", "same"}})->repr(),
            "Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=same)");
  EXPECT_EQ(make("BatchNorm2d", {{"num_features", 3}})->repr(),
            "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)");
  EXPECT_EQ(make("BatchNorm1d", {{"num_features", 3}, {"momentum", Value()}})->repr(),
            "BatchNorm1d(3, eps=1e-05, momentum=None, affine=True, track_running_stats=True)");
  EXPECT_EQ(make("ReLU", {})->repr(), "ReLU()");
  EXPECT_EQ(make("ReLU", {{"inplace", true}})->repr(), "ReLU(inplace=True)");
  EXPECT_EQ(make("Softmax", {})->repr(), "Softmax(dim=None)");
  EXPECT_EQ(make("LogSoftmax", {{"dim", 1}})->repr(), "LogSoftmax(dim=1)");
  EXPECT_EQ(make("Dropout", {})->repr(), "Dropout(p=0.5, inplace=False)");
  EXPECT_EQ(make("MaxPool2d", {{"kernel_size", 2}})->repr(),
            "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)");
  EXPECT_EQ(make("MaxPool2d", {{"kernel_size", Tuple{2, 3}}, {"stride", 1}})->repr(),
            "MaxPool2d(kernel_size=(2, 3), stride=1, padding=0, dilation=1, ceil_mode=False)");
  EXPECT_EQ(make("Flatten", {})->repr(), "Flatten(start_dim=1, end_dim=-1)");
  EXPECT_EQ(make("Identity", {})->repr(), "Identity()");
  EXPECT_EQ(make("Sequential", {})->repr(), "Sequential()");
  EXPECT_EQ(make("CrossEntropyLoss", {{"label_smoothing", 0.1}}, ModuleKind::kLoss)->repr(), "CrossEntropyLoss()");
}

TEST(ModuleRegistryTest, MadeModulesTellTheirType) {
  for (const ModuleDef* def : all_modules(ModuleKind::kLoss))
    EXPECT_EQ(make(std::string(def->name).c_str(), {}, ModuleKind::kLoss)->type(), def->name);
  for (const char* type : {"Sequential", "ModuleList", "ModuleDict"}) {
    EXPECT_TRUE(require_module(type, ModuleKind::kModule).container);
    EXPECT_EQ(make(type, {})->type(), type);
  }
  EXPECT_FALSE(require_module("ReLU", ModuleKind::kModule).container);
}

TEST(ModuleRegistryTest, ReportsEveryFault) {
  EXPECT_THAT(faults_of("Conv2d", {{"in_channels", 1}, {"kernal_size", 3}, {"bias", 1}, {"padding", "sane"}}),
              ElementsAre("attribute 'bias': expected a bool, got int 1",
                          "unknown attribute 'kernal_size'; did you mean 'kernel_size'?",
                          "attribute 'padding': Invalid padding string 'sane', should be one of 'valid', 'same'",
                          "missing attribute 'out_channels'", "missing attribute 'kernel_size'"));
  EXPECT_THAT(faults_of("ReLU", {{"inplace", "yes"}}),
              ElementsAre("attribute 'inplace': expected a bool, got string 'yes'"));
}

TEST(ModuleRegistryTest, SuggestsANameForAnUnknownOne) {
  EXPECT_EQ(error_of([] { require_module("Conv2D", ModuleKind::kModule); }),
            "unknown module type 'Conv2D'; did you mean 'Conv2d'?");
  EXPECT_EQ(error_of([] { require_module("MSELos", ModuleKind::kLoss); }),
            "unknown loss type 'MSELos'; did you mean 'MSELoss'?");
  EXPECT_NE(error_of([] { require_module("MSELoss", ModuleKind::kModule); }), "");
}

}  // namespace
}  // namespace tapewire
