#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/tensor/tensor.h"

namespace tapewire {

class Value;

/// start:stop:step as an index.
struct Slice {
  std::optional<int64_t> start;
  std::optional<int64_t> stop;
  std::optional<int64_t> step;
  friend bool operator==(const Slice&, const Slice&) = default;
};

using Tuple = std::vector<Value>;
using Dict = std::vector<std::pair<std::string, Value>>;

/// What a module's argument, a call's result or an attribute may be. Tuples and dicts are shared and immutable.
class Value {
 public:
  Value() = default;
  Value(Tensor tensor) {
    if (tensor.defined()) kind_ = std::move(tensor);
  }
  Value(bool v) : kind_(v) {}
  Value(int v) : kind_(int64_t{v}) {}
  Value(int64_t v) : kind_(v) {}
  Value(double v) : kind_(v) {}
  Value(const char* v) : kind_(std::string(v)) {}
  Value(std::string v) : kind_(std::move(v)) {}
  Value(DType v) : kind_(v) {}
  Value(Slice v) : kind_(v) {}
  Value(Tuple v) : kind_(std::make_shared<const Tuple>(std::move(v))) {}
  Value(Dict v) : kind_(std::make_shared<const Dict>(std::move(v))) {}
  Value(const Scalar& v);
  /// A tuple that Python would write with brackets: as an index, [0, 2] picks two rows and (0, 2) one element.
  static Value list(Tuple v) {
    Value out(std::move(v));
    out.is_list_ = true;
    return out;
  }

  bool is_none() const { return std::holds_alternative<std::monostate>(kind_); }
  bool is_tensor() const { return std::holds_alternative<Tensor>(kind_); }
  bool is_bool() const { return std::holds_alternative<bool>(kind_); }
  bool is_int() const { return std::holds_alternative<int64_t>(kind_); }
  bool is_double() const { return std::holds_alternative<double>(kind_); }
  bool is_number() const { return is_bool() || is_int() || is_double(); }
  bool is_string() const { return std::holds_alternative<std::string>(kind_); }
  bool is_dtype() const { return std::holds_alternative<DType>(kind_); }
  bool is_slice() const { return std::holds_alternative<Slice>(kind_); }
  bool is_tuple() const { return std::holds_alternative<std::shared_ptr<const Tuple>>(kind_); }
  bool is_list() const { return is_list_; }  // a tuple, too
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<const Dict>>(kind_); }

  /// Each throws "expected a tensor, got int 3" and the like when the value is of another kind.
  const Tensor& tensor() const;
  bool boolean() const;
  int64_t integer() const;
  double real() const;  // of a double or an int
  Scalar number() const;
  const std::string& string() const;
  DType dtype() const;
  const Slice& slice() const;
  const Tuple& tuple() const;
  const Dict& dict() const;

  /// "int 3", "tensor float32[2, 3]": for messages.
  std::string describe() const;
  /// As Python prints it: "True", "3", "0.1", "(1, 2)", "'mean'", "None".
  std::string repr() const;

 private:
  template <class T>
  const T& get(const char* expected) const;

  std::variant<std::monostate, Tensor, bool, int64_t, double, std::string, DType, Slice, std::shared_ptr<const Tuple>,
               std::shared_ptr<const Dict>>
      kind_;
  bool is_list_ = false;
};

/// What a module or an op is called with: positional values, then named ones.
struct Args {
  absl::InlinedVector<Value, 4> positional;
  std::vector<std::pair<std::string, Value>> named;

  Args() = default;
  Args(std::initializer_list<Value> values) : positional(values) {}
};

/// Attributes by name, as a definition gives them.
using AttributeMap = std::map<std::string, Value, std::less<>>;

/// Collects the tensors of a value, depth first.
void flatten_tensors(const Value& value, std::vector<Tensor>& out);

}  // namespace tapewire
