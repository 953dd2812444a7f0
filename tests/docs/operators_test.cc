#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "core/graph/catalogue.h"

namespace tapewire {
namespace {

// With TAPEWIRE_WRITE_DOCS set (./dev docs) the page is written instead of compared.
TEST(OperatorsPageTest, IsWhatTheRegistriesSay) {
  const char* path = "docs/operators.md";
  if (std::getenv("TAPEWIRE_WRITE_DOCS") != nullptr) std::ofstream(path) << catalogue_markdown();
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; run ./dev docs";
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), catalogue_markdown()) << path << " is stale; run ./dev docs";
}

}  // namespace
}  // namespace tapewire
