#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ops/op.h"
#include "core/tensor/value.h"

namespace tapewire {

/// What is known of a positional argument before the call: enough to tell gather(x, dim, index) from
/// gather(x, index, dim).
enum class ArgumentHint : uint8_t { kTensor, kLiteral, kUnknown };
ArgumentHint hint_of(const Value& value);

/// A call of an op by name with its arguments' places worked out once: which value is which tensor or attribute. For
/// callers whose calls are data.
class BoundCall {
 public:
  /// `positional` values come first, then one for each name in `names`. Positional ones stand in PyTorch's order, or
  /// tensors first and then attributes, whichever fits them better. Adds one line to `faults` for every argument that
  /// finds no place, comes twice or is missing. A last list of ints may be given as separate values (view(x, 2, 3)).
  BoundCall(const OpDef& op, bool inplace, std::span<const ArgumentHint> positional, std::span<const std::string> names,
            std::vector<std::string>& faults);

  const OpDef& op() const { return *op_; }
  /// Whether the i-th value is (part of) an attribute.
  bool is_attribute(size_t i) const { return slots_[i].attribute; }
  /// The declared input that the i-th value is (part of). REQUIRES: it is no attribute.
  size_t input_of(size_t i) const { return slots_[i].input; }
  /// The parameter that the i-th value is (part of).
  std::string_view name_of(size_t i) const { return slots_[i].name; }
  bool takes(std::string_view attribute) const;
  /// Whether one of the values is (part of) that attribute.
  bool given(std::string_view attribute) const;

  /// The attributes from the values that are attributes, and from `extra`. Adds faults.
  std::shared_ptr<const void> parse(std::span<const Value> values, const AttributeMap& extra,
                                    std::vector<std::string>& faults) const;
  /// Runs it: `attrs` from parse of the same values.
  Value run(std::span<const Value> values, const void* attrs, const AttributeMap& extra = {}) const;

 private:
  struct Slot {
    bool attribute = false;
    size_t input = 0;
    std::string_view name;
    bool spread = false;  // one of several values that make up a list of ints
  };

  AttributeMap gather(std::span<const Value> values, const AttributeMap& extra) const;

  const OpDef* op_;
  bool inplace_;
  std::vector<Slot> slots_;
};

/// Calls an op with arguments as a definition or a test gives them: binds, parses, runs.
Value call_op(std::string_view name, const Args& args);

}  // namespace tapewire
