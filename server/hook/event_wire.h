#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace tapewire {

struct HookEvent;

/// The fields of a v1.HookEvent message that do not depend on who watches, as they travel: all but sequence, dropped
/// and drops, which a watcher's stream puts behind (protobuf takes fields in any order). In pieces, so that the data of
/// tensors is not copied.
struct EventWire {
  std::deque<std::string> text;          // what pieces point to, besides the event's tensors
  std::vector<std::string_view> pieces;  // in order
  size_t size = 0;                       // of all pieces
};

/// The pieces point into the event's tensors: it must outlive them.
EventWire encode_event(const HookEvent& event);

}  // namespace tapewire
