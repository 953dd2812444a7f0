#include "core/tensor/value.h"

#include <array>
#include <charconv>
#include <cmath>

#include "core/base/suggest.h"

namespace tapewire {
namespace {

// Python's repr of a float: the shortest text that reads back, always with a point or an exponent.
std::string python_float(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
  std::array<char, 32> text;
  const double size = std::abs(v);
  const auto format =
      size != 0 && (size < 1e-4 || size >= 1e16) ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), v, format).ptr;
  std::string out(text.data(), end);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

}  // namespace

Value::Value(const Scalar& v) {
  if (v.is_bool())
    kind_ = v.to<bool>();
  else if (v.is_int())
    kind_ = v.to<int64_t>();
  else
    kind_ = v.to<double>();
}

template <class T>
const T& Value::get(const char* expected) const {
  if (const T* v = std::get_if<T>(&kind_)) return *v;
  fail("expected ", expected, ", got ", describe());
}

const Tensor& Value::tensor() const { return get<Tensor>("a tensor"); }
bool Value::boolean() const { return get<bool>("a bool"); }
int64_t Value::integer() const { return get<int64_t>("an int"); }
double Value::real() const { return is_int() ? static_cast<double>(integer()) : get<double>("a float"); }
const std::string& Value::string() const { return get<std::string>("a string"); }
const Slice& Value::slice() const { return get<Slice>("a slice"); }
const Tuple& Value::tuple() const { return *get<std::shared_ptr<const Tuple>>("a tuple"); }
const Dict& Value::dict() const { return *get<std::shared_ptr<const Dict>>("a dict"); }

DType Value::dtype() const {
  DType parsed;
  if (is_string() && parse_dtype(string(), parsed)) return parsed;
  return get<DType>("a dtype");
}

Scalar Value::number() const {
  if (is_bool()) return boolean();
  if (is_int()) return integer();
  return get<double>("a number");
}

std::string Value::describe() const {
  if (is_none()) return "none";
  if (is_tensor()) return str_cat("tensor ", to_string(tensor().spec()));
  if (is_bool()) return str_cat("bool ", repr());
  if (is_int()) return str_cat("int ", repr());
  if (is_double()) return str_cat("float ", repr());
  if (is_string()) return str_cat("string ", quoted(string()));
  if (is_dtype()) return str_cat("dtype ", name_of(dtype()));
  if (is_slice()) return str_cat("slice ", repr());
  if (is_tuple()) return str_cat("a tuple of ", tuple().size());
  return str_cat("a dict of ", dict().size());
}

std::string Value::repr() const {
  if (is_none()) return "None";
  if (is_tensor()) return str_cat("tensor ", to_string(tensor().spec()));
  if (is_bool()) return boolean() ? "True" : "False";
  if (is_int()) return str_cat(integer());
  if (is_double()) return python_float(real());
  if (is_string()) return quoted(string(), std::string::npos);
  if (is_dtype()) return str_cat("torch.", name_of(dtype()));
  if (is_slice()) {
    const auto part = [](const std::optional<int64_t>& v) { return v ? str_cat(*v) : std::string(); };
    return str_cat(part(slice().start), ":", part(slice().stop), slice().step ? str_cat(":", *slice().step) : "");
  }
  std::string out = is_list() ? "[" : is_tuple() ? "(" : "{";
  std::string_view separator;
  if (is_tuple()) {
    for (const Value& item : tuple()) {
      out += str_cat(separator, item.repr());
      separator = ", ";
    }
    return out + (is_list() ? "]" : tuple().size() == 1 ? ",)" : ")");
  }
  for (const auto& [key, item] : dict()) {
    out += str_cat(separator, "'", key, "': ", item.repr());
    separator = ", ";
  }
  return out + "}";
}

void flatten_tensors(const Value& value, std::vector<Tensor>& out) {
  if (value.is_tensor()) out.push_back(value.tensor());
  if (value.is_tuple()) {
    for (const Value& item : value.tuple()) flatten_tensors(item, out);
  }
  if (value.is_dict()) {
    for (const auto& [key, item] : value.dict()) flatten_tensors(item, out);
  }
}

}  // namespace tapewire
