// Runs a fuzz target on its corpus, without a fuzzer. A target that finds a fault traps.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);  // NOLINT: libFuzzer's name

namespace tapewire {
namespace {

TEST(Replay, Corpus) {
  size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(TAPEWIRE_CORPUS_DIR)) {
    SCOPED_TRACE(file.path().filename());
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(content.data()), content.size()), 0);
    ++count;
  }
  EXPECT_GE(count, 20u);
}

}  // namespace
}  // namespace tapewire
