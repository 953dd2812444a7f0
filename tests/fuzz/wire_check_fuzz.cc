// Any bytes, taken for a CreateModelRequest that comes in pieces. What the walk over them finds good, protobuf parses,
// and it takes no more memory than the walk says; what it refuses has a short reason.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/rpc/wire_check.h"
#include "tapewire/v1/model_service.pb.h"

namespace tapewire::rpc {
namespace {

void require(bool condition) {
  if (!condition) __builtin_trap();
}

void check(const uint8_t* data, int size, int block) {
  const WireLimits limits;
  google::protobuf::io::ArrayInputStream pieces(data, size, block);
  const WireCheck checked = check_wire(pieces, size, *v1::CreateModelRequest::descriptor(), limits);
  if (!checked.fault.empty()) {
    require(checked.fault.size() < 1000);
    return;
  }
  v1::CreateModelRequest request;
  google::protobuf::io::ArrayInputStream whole(data, size);
  google::protobuf::io::CodedInputStream input(&whole);
  input.SetRecursionLimit(limits.max_depth);
  require(request.ParseFromCodedStream(&input) && input.ConsumedEntireMessage());
  // Data of tensors is all that may be more, and there is no more of it than bytes came.
  require(static_cast<int64_t>(request.SpaceUsedLong()) <=
          checked.memory + 2 * size + static_cast<int64_t>(sizeof(request)));
}

}  // namespace
}  // namespace tapewire::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {  // NOLINT: libFuzzer's name
  if (size == 0) return 0;
  tapewire::rpc::check(data + 1, static_cast<int>(size) - 1, std::max<int>(1, data[0]));
  return 0;
}
