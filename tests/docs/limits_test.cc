#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "core/base/strings.h"
#include "server/codec/field_limits.h"
#include "server/flags.h"
#include "server/rpc/fixed_limits.h"
#include "tapewire/v1/autograd_service.pb.h"
#include "tapewire/v1/hook_service.pb.h"
#include "tapewire/v1/model_service.pb.h"
#include "tapewire/v1/server_service.pb.h"

namespace tapewire {
namespace {

// What is beyond a flag's limit, where that is no RESOURCE_EXHAUSTED.
std::string error_of(const std::string& flag) {
  static const std::map<std::string, std::string> others{{"tape_lease_seconds", "NOT_FOUND"},
                                                         {"max_call_seconds", "DEADLINE_EXCEEDED"}};
  const auto found = others.find(flag);
  return found == others.end() ? "RESOURCE_EXHAUSTED" : found->second;
}

std::string flags_table() {
  std::string out = "| limit | default | error | of |\n|---|---|---|---|\n";
  for (const auto& [name, value] : ServerOptions().limits()) {
    const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
    if (flag == nullptr) return str_cat("no flag ", name);
    out += str_cat("| `--", name, "` | ", flag->DefaultValue(), " | ", error_of(name), " | ", flag->Help(), " |\n");
  }
  return out;
}

std::string fixed_table() {
  std::string out = "| limit | value | error | of |\n|---|---|---|---|\n";
  for (const rpc::FixedLimit& limit : rpc::fixed_limits()) {
    out += str_cat("| `", limit.name, "` | ", limit.value, " | ", limit.error, " | ", limit.doc, " |\n");
  }
  return out;
}

std::string number(int32_t limit) { return limit == 0 ? "" : str_cat(limit); }

std::string fields_table() {
  std::string out = "| field | items | bytes | depth |\n|---|---|---|---|\n";
  for (const auto* file :
       {v1::CallId::descriptor()->file(), v1::Tensor::descriptor()->file(), v1::ModelSpec::descriptor()->file(),
        v1::CreateModelRequest::descriptor()->file(), v1::ForwardRequest::descriptor()->file(),
        v1::Hook::descriptor()->file(), v1::GetServerInfoRequest::descriptor()->file()}) {
    for (int m = 0; m < file->message_type_count(); ++m) {
      const auto& message = *file->message_type(m);
      for (int f = 0; f < message.field_count(); ++f) {
        const v1::FieldLimits& limits = codec::limits_of(*message.field(f));
        if (limits.ByteSizeLong() == 0) continue;
        out += str_cat("| `", message.name(), ".", message.field(f)->name(), "` | ", number(limits.max_items()), " | ",
                       number(limits.max_bytes()), " | ", number(limits.max_depth()), " |\n");
      }
    }
  }
  return out;
}

// The page with the tables of today between its markers.
std::string renewed(std::string page) {
  const std::pair<std::string, std::string> tables[] = {
      {"flags", flags_table()}, {"fixed", fixed_table()}, {"fields", fields_table()}};
  for (const auto& [name, table] : tables) {
    const std::string begin = str_cat("<!-- begin ", name, " -->\n");
    const std::string end = str_cat("<!-- end ", name, " -->");
    const size_t from = page.find(begin);
    const size_t to = page.find(end);
    if (from == std::string::npos || to == std::string::npos) return str_cat("the page has no place for ", name);
    page.replace(from + begin.size(), to - from - begin.size(), table);
  }
  return page;
}

// With TAPEWIRE_WRITE_DOCS set (./dev docs) the tables are written instead of compared.
TEST(LimitsPageTest, HasTheLimitsOfFlagsAndContract) {
  const char* path = "docs/limits.md";
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  if (std::getenv("TAPEWIRE_WRITE_DOCS") != nullptr) {
    std::ofstream(path) << renewed(text.str());
    return;
  }
  EXPECT_TRUE(text.str() == renewed(text.str())) << path << " is stale; run ./dev docs";
}

}  // namespace
}  // namespace tapewire
