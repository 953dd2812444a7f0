#pragma once

#include <string>
#include <vector>

#include "core/base/field_path.h"
#include "core/graph/definition.h"
#include "core/tensor/value.h"
#include "google/protobuf/map.h"
#include "server/model/faults.h"
#include "tapewire/v1/definition.pb.h"

namespace tapewire {

/// From the contract's definition messages to the engine's own types. Each fault is added to `faults` as one line that
/// begins with `path`; what is returned then is not to be used.

/// What a definition may hold at the most, besides what the contract says of each field.
struct DefinitionLimits {
  int64_t max_tensor_bytes = int64_t{1} << 30;
  int max_paths = 20'000;  // modules, those that same_as repeats counted each time
  int max_path_segments = 64;
  int max_path_bytes = 1024;
};

DType dtype_of(v1::DataType type, const FieldPath& path, Faults& faults);
Value to_value(const v1::Literal& literal, const DefinitionLimits& limits, const FieldPath& path, Faults& faults);
AttributeMap to_attributes(const google::protobuf::Map<std::string, v1::Literal>& attributes,
                           const DefinitionLimits& limits, const FieldPath& path, Faults& faults);
GraphDef to_graph(const v1::Graph& graph, const DefinitionLimits& limits, const FieldPath& path, Faults& faults);
/// The reverse of to_value, for catalogues: a value that no literal stands for gives an empty one.
v1::Literal to_literal(const Value& value);

}  // namespace tapewire
