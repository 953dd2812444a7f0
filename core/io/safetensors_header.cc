#include "core/io/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/io/safetensors_sax.h"

namespace tapewire {
namespace {

// From the shortest type to the longest, and among equal ones as the reference implementation counts them.
constexpr std::array<std::pair<std::string_view, DType>, kDTypeCount> kNames{{{"BOOL", DType::kBool},
                                                                              {"U8", DType::kUInt8},
                                                                              {"I32", DType::kInt32},
                                                                              {"F32", DType::kFloat32},
                                                                              {"F64", DType::kFloat64},
                                                                              {"I64", DType::kInt64}}};

size_t rank_of(DType dtype) {
  return static_cast<size_t>(std::ranges::find(kNames, dtype, &std::pair<std::string_view, DType>::second) -
                             kNames.begin());
}

int64_t nbytes_of(const TensorSpec& spec) { return numel_of(spec.shape) * static_cast<int64_t>(size_of(spec.dtype)); }

std::string tensor_name(std::string_view name) { return str_cat("tensor ", quoted(name)); }

template <class Offset>
std::string offsets_of(std::string_view name, Offset begin, Offset end) {
  return str_cat(tensor_name(name), ": data_offsets [", begin, ", ", end, "]");
}

DType parse_dtype_of(const RawSafetensorsEntry& raw) {
  const auto* found = std::ranges::find(kNames, raw.dtype, &std::pair<std::string_view, DType>::first);
  if (found != kNames.end()) return found->second;
  const bool half = raw.dtype == "F16" || raw.dtype == "BF16";
  fail(tensor_name(raw.name), ": dtype: expects one of F32, F64, I64, I32, U8 and BOOL, got ",
       quoted(std::string_view(raw.dtype)), half ? "; convert the file to F32" : "");
}

constexpr auto kMostBytes = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

TensorSpec to_spec(const RawSafetensorsEntry& raw) {
  TensorSpec out{.dtype = parse_dtype_of(raw), .shape = {}};
  if (raw.shape.size() > static_cast<size_t>(kMaxDims)) {
    fail(tensor_name(raw.name), ": shape: expects at most ", kMaxDims, " dimensions, got ", raw.shape.size());
  }
  for (const uint64_t size : raw.shape) {
    if (size > kMostBytes) fail(tensor_name(raw.name), ": shape: the size ", size, " overflows");
    out.shape.push_back(static_cast<int64_t>(size));
  }
  return out;
}

SafetensorsEntry to_entry(const RawSafetensorsEntry& raw) {
  SafetensorsEntry out{.name = raw.name, .spec = to_spec(raw)};
  try {
    out.nbytes = nbytes_of(out.spec);
  } catch (const Error& error) {
    throw error.within(str_cat(tensor_name(raw.name), ": shape"));
  }
  const auto [begin, end] = raw.data_offsets;
  if (begin > end) fail(offsets_of(raw.name, begin, end), " end before they begin");
  if (end > kMostBytes) fail(offsets_of(raw.name, begin, end), " overflow");
  if (end - begin != static_cast<uint64_t>(out.nbytes)) {
    fail(offsets_of(raw.name, begin, end), " hold ", end - begin, " bytes; ", to_string(out.spec), " expects ",
         out.nbytes);
  }
  out.begin = static_cast<int64_t>(begin);
  return out;
}

// Entries in the order of their data: each must begin where the last one ended, and the last end with the data.
void check_order(const std::vector<SafetensorsEntry>& tensors, int64_t data_bytes) {
  int64_t at = 0;
  const SafetensorsEntry* last = nullptr;
  for (const SafetensorsEntry& entry : tensors) {
    const auto offsets = [&entry] { return offsets_of(entry.name, entry.begin, entry.end()); };
    if (entry.end() > data_bytes) fail(offsets(), " pass the end of the data, which has ", data_bytes, " bytes");
    if (entry.begin > at) fail(offsets(), " leave a hole: no tensor has the bytes from ", at, " to ", entry.begin);
    if (entry.begin < at)
      fail(offsets(), " overlap those of tensor ", quoted(std::string_view(last->name)), ", which end at ", at);
    at = entry.end();
    last = &entry;
  }
  if (at != data_bytes) fail("the tensors end at byte ", at, " of the data, which has ", data_bytes, " bytes");
}

// Text as JSON. Throws when it is not UTF-8.
std::string json_text(std::string_view what, std::string_view text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    fail(what, " ", quoted(text), ": expects UTF-8");
  }
}

std::string json_entry(const SafetensorsEntry& entry) {
  std::string shape;
  for (const int64_t size : entry.spec.shape) shape += str_cat(shape.empty() ? "" : ",", size);
  return str_cat(json_text("tensor", entry.name), R"(:{"dtype":")", safetensors_name(entry.spec.dtype),
                 R"(","shape":[)", shape, R"(],"data_offsets":[)", entry.begin, ",", entry.end(), "]}");
}

}  // namespace

std::string_view safetensors_name(DType dtype) { return kNames[rank_of(dtype)].first; }

int64_t safetensors_header_length(std::string_view start, int64_t file_bytes) {
  if (start.size() < kSafetensorsPrefix || file_bytes < kSafetensorsPrefix) {
    fail("expects ", kSafetensorsPrefix, " bytes of header length, and has ", file_bytes, " bytes in all");
  }
  uint64_t length = 0;
  for (size_t i = kSafetensorsPrefix; i-- > 0;) length = length << 8 | static_cast<unsigned char>(start[i]);
  if (length > static_cast<uint64_t>(kMaxSafetensorsHeader)) {
    fail("the header's length is ", length, " bytes; ", kMaxSafetensorsHeader, " is the most");
  }
  if (length > static_cast<uint64_t>(file_bytes - kSafetensorsPrefix)) {
    fail("the header's length is ", length, " bytes, but only ", file_bytes - kSafetensorsPrefix, " follow");
  }
  return static_cast<int64_t>(length);
}

SafetensorsHeader parse_safetensors_header(std::string_view json, int64_t data_bytes) {
  RawSafetensorsHeader raw = read_safetensors_json(json);
  SafetensorsHeader out{.tensors = {}, .metadata = std::move(raw.metadata)};
  out.tensors.reserve(raw.tensors.size());
  for (const RawSafetensorsEntry& entry : raw.tensors) out.tensors.push_back(to_entry(entry));
  std::ranges::sort(out.tensors, {},
                    [](const SafetensorsEntry& e) { return std::tuple(e.begin, e.end(), std::string_view(e.name)); });
  check_order(out.tensors, data_bytes);
  return out;
}

SafetensorsHeader layout_safetensors(const std::vector<SafetensorsItem>& items,
                                     std::map<std::string, std::string> metadata) {
  std::unordered_set<std::string_view> names;
  SafetensorsHeader out{.tensors = {}, .metadata = std::move(metadata)};
  for (const SafetensorsItem& item : items) {
    if (item.name == kSafetensorsMetadata) fail(tensor_name(item.name), ": this name is the metadata's");
    if (!names.insert(item.name).second) fail(tensor_name(item.name), " is given twice");
    out.tensors.push_back({.name = std::string(item.name), .spec = item.spec, .nbytes = nbytes_of(item.spec)});
  }
  std::ranges::sort(out.tensors, [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    const size_t a_rank = rank_of(a.spec.dtype);
    const size_t b_rank = rank_of(b.spec.dtype);
    return a_rank != b_rank ? a_rank > b_rank : a.name < b.name;
  });
  int64_t at = 0;
  for (SafetensorsEntry& entry : out.tensors) {
    entry.begin = at;
    at = entry.end();
  }
  return out;
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
  std::string json = "{";
  const auto separate = [&json] {
    if (json.size() > 1) json += ',';
  };
  if (!header.metadata.empty()) {
    json += str_cat("\"", kSafetensorsMetadata, "\":{");
    const char* between = "";
    for (const auto& [key, value] : header.metadata) {
      json += str_cat(between, json_text("metadata key", key), ":", json_text("metadata value", value));
      between = ",";
    }
    json += '}';
  }
  for (const SafetensorsEntry& entry : header.tensors) {
    separate();
    json += json_entry(entry);
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');
  if (json.size() > static_cast<size_t>(kMaxSafetensorsHeader)) {
    fail("the header would have ", json.size(), " bytes; ", kMaxSafetensorsHeader, " is the most");
  }
  std::string out(kSafetensorsPrefix, '\0');
  for (size_t i = 0; i < kSafetensorsPrefix; ++i) out[i] = static_cast<char>(json.size() >> (8 * i) & 0xff);
  return out + json;
}

}  // namespace tapewire
