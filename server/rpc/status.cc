#include "server/rpc/status.h"

#include <string>

#include "core/base/strings.h"

namespace tapewire::rpc {
namespace {

// Clients take 8 KiB of trailers, in which each byte outside of ASCII stands as three.
constexpr size_t kMaxEncoded = 6000;

size_t encoded_size(std::string_view text) {
  size_t size = 0;
  for (const char c : text) size += c >= ' ' && c <= '~' && c != '%' ? 1 : 3;
  return size;
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::string cut(std::string_view text) {
  if (encoded_size(text) <= kMaxEncoded) return std::string(text);
  size_t head = 0;
  for (size_t room = kMaxEncoded / 2; head < text.size(); ++head) {
    const size_t cost = encoded_size(text.substr(head, 1));
    if (cost > room) break;
    room -= cost;
  }
  size_t tail = text.size();
  for (size_t room = kMaxEncoded / 2; tail > head; --tail) {
    const size_t cost = encoded_size(text.substr(tail - 1, 1));
    if (cost > room) break;
    room -= cost;
  }
  while (head > 0 && continues(text[head])) --head;
  while (tail < text.size() && continues(text[tail])) ++tail;
  return str_cat(text.substr(0, head), " ... ", text.substr(tail));
}

}  // namespace

grpc::Status to_grpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // Abseil's codes are gRPC's, by number and by design.
  return {static_cast<grpc::StatusCode>(status.code()), cut(to_std(status.message()))};
}

}  // namespace tapewire::rpc
