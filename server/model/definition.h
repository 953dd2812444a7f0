#pragma once

#include <string>
#include <vector>

#include "core/graph/definition.h"
#include "core/tensor/value.h"
#include "google/protobuf/map.h"
#include "tapewire/v1/definition.pb.h"

namespace tapewire {

/// From the contract's definition messages to the engine's own types. Each fault is added to `faults` as one line that
/// begins with `path`; what is returned then is not to be used.

/// What a definition may hold at the most; beyond it a fault.
struct DefinitionLimits {
  int64_t max_tensor_bytes = int64_t{1} << 30;
  int max_modules = 20'000;
  int max_calls = 100'000;  // of one graph
  int max_path_segments = 64;
  int max_argument_depth = 32;  // lists in lists
};

DType dtype_of(v1::DataType type, const std::string& path, std::vector<std::string>& faults);
Value to_value(const v1::Literal& literal, const DefinitionLimits& limits, const std::string& path,
               std::vector<std::string>& faults);
AttributeMap to_attributes(const google::protobuf::Map<std::string, v1::Literal>& attributes,
                           const DefinitionLimits& limits, const std::string& path, std::vector<std::string>& faults);
GraphDef to_graph(const v1::Graph& graph, const DefinitionLimits& limits, const std::string& path,
                  std::vector<std::string>& faults);
/// The reverse of to_value, for catalogues: a value that no literal stands for gives an empty one.
v1::Literal to_literal(const Value& value);

/// Throws INVALID_ARGUMENT with all faults, the first few hundred at most, when there are any.
void throw_faults(const std::vector<std::string>& faults);

}  // namespace tapewire
