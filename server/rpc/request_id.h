#pragma once

#include <string>
#include <string_view>

namespace tapewire::rpc {

/// The metadata that carries a call's id, from the client and back to it.
inline constexpr const char* kRequestIdKey = "x-request-id";

/// What the client sent, if it is 1 to 64 of [A-Za-z0-9._:-]; otherwise a new one of 16 hexadecimal digits, which no
/// other call of this process has. Thread-safe.
std::string request_id(std::string_view from_client);

}  // namespace tapewire::rpc
