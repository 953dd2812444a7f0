#pragma once

#include <string>
#include <string_view>

#include "google/protobuf/descriptor.h"

namespace tapewire::rpc {

/// Where and why protobuf does not parse `bytes` as a `type`:
///   "spec.modules[0].forward.calls[2].args[0].list.items[0]: nested deeper than 100 levels"
/// Long paths are shortened in the middle. "" when there is nothing wrong with them. Walks the bytes with a stack of
/// its own that `max_depth` bounds, so no input is too deep for it.
std::string describe_parse_failure(std::string_view bytes, const google::protobuf::Descriptor& type, int max_depth);

}  // namespace tapewire::rpc
