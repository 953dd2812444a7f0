#include "server/rpc/request_id.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>

namespace tapewire::rpc {
namespace {

constexpr size_t kMaxBytes = 64;

bool is_sane(std::string_view id) {
  return !id.empty() && id.size() <= kMaxBytes && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == ':' || c == '-';
  });
}

uint64_t random_start() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// A bijection (SplitMix64), so that different counts have different ids.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

std::string request_id(std::string_view from_client) {
  if (is_sane(from_client)) return std::string(from_client);
  static std::atomic<uint64_t> count{random_start()};
  uint64_t value = mix(count.fetch_add(1, std::memory_order_relaxed));
  std::string id(16, '0');
  for (auto digit = id.rbegin(); digit != id.rend(); ++digit, value >>= 4) *digit = "0123456789abcdef"[value & 15];
  return id;
}

}  // namespace tapewire::rpc
