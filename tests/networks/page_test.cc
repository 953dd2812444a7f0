// docs/networks.md tells of every network what record.py wrote of it.

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>

#include "absl/strings/str_format.h"
#include "client/cpp/definition.h"
#include "tests/networks/recorded.h"

namespace tapewire::networks {
namespace {

std::string with_thousands(int64_t count) {
  std::string out = std::to_string(count);
  for (size_t i = out.size(); i > 3;) out.insert(i -= 3, ",");
  return out;
}

// Its line of the page's table: name, parameters, what it learns by, and its losses.
std::string row(const RecordedNetwork& network) {
  const auto spec = client::read_definition(TAPEWIRE_SOURCE_DIR "/" + network.definition);
  if (!spec.ok()) return spec.status().ToString();
  std::string learns = str_cat(spec->loss().type(), ", ", spec->optimizer().type());
  if (spec->has_scheduler()) learns += str_cat(", ", spec->scheduler().type());
  return absl::StrFormat("| [%s](../%s) | %s | %s | %d | %.4f | %.4f | %.0e |\n", network.name, network.definition,
                         with_thousands(network.parameters), learns, network.batch, network.float64.front(),
                         network.float64.back(), network.spread.back());
}

TEST(NetworksPageTest, HasARowOfEachNetwork) {
  std::ifstream file(TAPEWIRE_SOURCE_DIR "/docs/networks.md");
  ASSERT_TRUE(file);
  const std::string page(std::istreambuf_iterator<char>(file), {});
  for (const RecordedNetwork& network : recorded_networks()) EXPECT_THAT(page, testing::HasSubstr(row(network)));
}

}  // namespace
}  // namespace tapewire::networks
