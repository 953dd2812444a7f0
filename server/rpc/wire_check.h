#pragma once

#include <cstdint>
#include <string>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "server/rpc/wire_limits.h"

namespace tapewire::rpc {

struct WireCheck {
  /// The first thing wrong, behind the path of the field; long paths are shortened in the middle. "" when protobuf may
  /// parse the bytes.
  ///   "spec.modules[0].forward.calls[2].args: 70000 items; at most 1000"
  std::string fault;
  /// Bytes that the parsed message will take, without the data of its tensors; estimated, rather too many.
  int64_t memory = 0;
};

/// Walks over the `size` bytes of a message before it is parsed: they are well formed, UTF-8 where they are text, and
/// within the limits of the contract and of `limits`. A message within a message must not come twice: merged, the two
/// would pass limits that each keeps. Takes one pass, skips the data of tensors, and needs no more memory than `limits`
/// and the longest string have; so no input is too deep or too large for it.
WireCheck check_wire(google::protobuf::io::ZeroCopyInputStream& bytes, int64_t size,
                     const google::protobuf::Descriptor& type, const WireLimits& limits);

}  // namespace tapewire::rpc
