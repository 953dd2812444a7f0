#include "tests/conformance/cases.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <lzma.h>

#include "core/base/strings.h"

namespace tapewire::conformance {
namespace {

constexpr int kFormatVersion = 2;

std::string decompress(const std::string& packed, const std::string& path) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, UINT64_MAX, 0) != LZMA_OK) throw std::runtime_error("lzma: no decoder");
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> guard(&stream, &lzma_end);
  stream.next_in = reinterpret_cast<const uint8_t*>(packed.data());
  stream.avail_in = packed.size();
  std::string out;
  std::array<char, 1 << 16> block{};
  for (lzma_ret status = LZMA_OK; status != LZMA_STREAM_END;) {
    stream.next_out = reinterpret_cast<uint8_t*>(block.data());
    stream.avail_out = block.size();
    status = lzma_code(&stream, LZMA_FINISH);
    if (status != LZMA_OK && status != LZMA_STREAM_END) {
      throw std::runtime_error(str_cat(path, ": damaged (lzma ", static_cast<int>(status), ")"));
    }
    out.append(block.data(), block.size() - stream.avail_out);
  }
  return out;
}

}  // namespace

std::vector<Case> read_cases(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(str_cat(path, ": cannot be read"));
  const std::string data = decompress({std::istreambuf_iterator<char>(file), {}}, path);
  google::protobuf::io::ArrayInputStream bytes(data.data(), static_cast<int>(data.size()));
  google::protobuf::io::CodedInputStream in(&bytes);
  bool end = false;
  Header header;
  if (!google::protobuf::util::ParseDelimitedFromCodedStream(&header, &in, &end)) {
    throw std::runtime_error(str_cat(path, ": no header"));
  }
  if (header.version() != kFormatVersion) {
    throw std::runtime_error(str_cat(path, ": format ", header.version(), ", expected ", kFormatVersion));
  }
  std::vector<Case> cases(static_cast<size_t>(header.cases()));
  for (size_t i = 0; i < cases.size(); ++i) {
    if (!google::protobuf::util::ParseDelimitedFromCodedStream(&cases[i], &in, &end)) {
      throw std::runtime_error(str_cat(path, ": ends at case ", i, " of ", cases.size()));
    }
  }
  return cases;
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> out = read_cases(TAPEWIRE_CONFORMANCE_DIR "/ops.cases.xz");
    std::ranges::move(read_cases(TAPEWIRE_CONFORMANCE_DIR "/modules.cases.xz"), std::back_inserter(out));
    return out;
  }();
  return cases;
}

std::string full_name(const Case& c) { return c.variant().empty() ? c.name() : str_cat(c.name(), "/", c.variant()); }

std::string test_name(const Case& c) {
  std::string out = str_cat(full_name(c), "_", c.sample());
  std::ranges::replace_if(out, [](unsigned char ch) { return std::isalnum(ch) == 0; }, '_');
  return out;
}

}  // namespace tapewire::conformance
