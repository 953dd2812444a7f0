#include <filesystem>
#include <fstream>
#include <regex>

#include "core/optim/optimizer.h"
#include "core/optim/scheduler.h"
#include "gtest/gtest.h"

namespace tapewire {
namespace {

// Every class with a kName in core/optim is registered: none was forgotten, or dropped by the linker.
TEST(OptimRegistryTest, HoldsEveryClassOfTheSources) {
  const std::regex name(R"re(static constexpr auto kName = "(\w+)";)re");
  size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator("core/optim")) {
    if (file.path().extension() != ".h") continue;
    std::ifstream in(file.path());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    for (auto at = std::sregex_iterator(text.begin(), text.end(), name); at != std::sregex_iterator(); ++at) {
      const std::string found = (*at)[1];
      ++count;
      EXPECT_TRUE(find_optimizer(found) != nullptr || find_scheduler(found) != nullptr) << found;
    }
  }
  EXPECT_GE(count, 22u);
  EXPECT_EQ(count, all_optimizers().size() + all_schedulers().size());
}

TEST(OptimRegistryTest, EveryAttributeIsDocumented) {
  for (const OptimizerDef* def : all_optimizers()) {
    EXPECT_FALSE(def->doc.empty()) << def->name;
    for (const AttributeInfo& info : def->attributes()) EXPECT_FALSE(info.doc.empty()) << def->name << " " << info.name;
  }
  for (const SchedulerDef* def : all_schedulers()) {
    EXPECT_FALSE(def->doc.empty()) << def->name;
    for (const AttributeInfo& info : def->attributes()) EXPECT_FALSE(info.doc.empty()) << def->name << " " << info.name;
  }
}

}  // namespace
}  // namespace tapewire
