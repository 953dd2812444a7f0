#include "server/rpc/fixed_limits.h"

#include "core/tensor/shape.h"
#include "server/model/definition.h"
#include "server/model/faults.h"
#include "server/model/glob.h"
#include "server/model/once.h"
#include "server/rpc/wire_limits.h"

namespace tapewire::rpc {

std::span<const FixedLimit> fixed_limits() {
  static constexpr WireLimits wire;
  static constexpr DefinitionLimits definition;
  static constexpr std::string_view kInvalid = "INVALID_ARGUMENT";
  static constexpr FixedLimit limits[] = {
      {"message_depth", wire.max_depth, kInvalid, "messages within messages"},
      {"message_memory", wire.max_memory, kInvalid,
       "bytes of memory that a parsed message takes, without the data of its tensors"},
      {"message_memory_per_byte", wire.memory_per_byte, kInvalid,
       "the same for each byte of the message, beside 1 MiB that any may take"},
      {"definition_paths", definition.max_paths, kInvalid, "modules, those that same_as repeats counted each time"},
      {"path_segments", definition.max_path_segments, kInvalid, "names in a module's path"},
      {"path_bytes", definition.max_path_bytes, kInvalid, "bytes of a module's path, also where same_as repeats it"},
      {"globs", kMaxGlobs, kInvalid, "patterns with wildcards in a request's list, or in all groups of an optimizer"},
      {"tensor_dimensions", kMaxDims, kInvalid, "dimensions of a tensor"},
      {"faults", static_cast<int64_t>(Faults::kMost), "none",
       "faults of a definition that are collected; what comes behind is not looked at"},
      {"remembered_clients", static_cast<int64_t>(OnceGuard::kMaxClients), "RESOURCE_EXHAUSTED",
       "clients whose last numbered change a model remembers, each for an hour"},
      {"remembered_answer_bytes", static_cast<int64_t>(OnceGuard::kMaxAnswerBytes), "FAILED_PRECONDITION",
       "bytes of an answer that is remembered for a retry"},
  };
  return limits;
}

}  // namespace tapewire::rpc
