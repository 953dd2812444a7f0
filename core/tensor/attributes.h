#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fields.h"
#include "core/base/suggest.h"
#include "core/tensor/value.h"

namespace tapewire {

/// Between described attribute structs (base/fields.h) and Values: parsing with errors that name the attribute, the
/// catalogue's rows, and repr.

/// A list of ints that a single int may stand for (kernel_size=3).
template <class T>
struct AttributeType;  // kName; from(Value) -> T, throwing; to(T) -> Value

template <>
struct AttributeType<bool> {
  static constexpr std::string_view kName = "bool";
  static bool from(const Value& v) { return v.boolean(); }
  static Value to(bool v) { return v; }
};
template <>
struct AttributeType<int64_t> {
  static constexpr std::string_view kName = "int";
  static int64_t from(const Value& v) { return v.integer(); }
  static Value to(int64_t v) { return v; }
};
template <>
struct AttributeType<double> {
  static constexpr std::string_view kName = "float";
  static double from(const Value& v) { return v.real(); }
  static Value to(double v) { return v; }
};
template <>
struct AttributeType<std::string> {
  static constexpr std::string_view kName = "string";
  static std::string from(const Value& v) { return v.string(); }
  static Value to(const std::string& v) { return v; }
};
template <>
struct AttributeType<DType> {
  static constexpr std::string_view kName = "dtype";
  static DType from(const Value& v) { return v.dtype(); }
  static Value to(DType v) { return v; }
};
template <>
struct AttributeType<Scalar> {
  static constexpr std::string_view kName = "number";
  static Scalar from(const Value& v) { return v.number(); }
  static Value to(const Scalar& v) { return v; }
};
template <>
struct AttributeType<Shape> {
  static constexpr std::string_view kName = "ints";
  static Shape from(const Value& v);
  static Value to(const Shape& v);
};
template <>
struct AttributeType<std::vector<double>> {
  static constexpr std::string_view kName = "floats";
  static std::vector<double> from(const Value& v);
  static Value to(const std::vector<double>& v);
};
/// Of several kinds, for ops that tell their overloads apart by it.
template <>
struct AttributeType<Value> {
  static constexpr std::string_view kName = "any";
  static Value from(const Value& v) { return v; }
  static Value to(const Value& v) { return v; }
};
template <class T>
struct AttributeType<std::optional<T>> {
  static constexpr std::string_view kName = AttributeType<T>::kName;
  static std::optional<T> from(const Value& v) {
    if (v.is_none()) return std::nullopt;
    return AttributeType<T>::from(v);
  }
  static Value to(const std::optional<T>& v) { return v ? AttributeType<T>::to(*v) : Value(); }
};
template <class E>
  requires std::is_enum_v<E> && (!std::is_same_v<E, DType>)
struct AttributeType<E> {
  static constexpr std::string_view kName = "string";
  static E from(const Value& v) {
    const std::string& name = v.string();
    for (size_t i = 0; i < EnumNames<E>::names.size(); ++i) {
      if (name == EnumNames<E>::names[i]) return static_cast<E>(i);
    }
    std::string known;
    for (std::string_view n : EnumNames<E>::names) known += str_cat(known.empty() ? "" : ", ", "'", n, "'");
    fail("expected one of ", known, ", got ", tapewire::quoted(name));
  }
  static Value to(E v) { return std::string(EnumNames<E>::names[static_cast<size_t>(v)]); }
};

/// One row of the catalogue.
struct AttributeInfo {
  std::string_view name;
  std::string_view type;  // "int", "ints", "float", "floats", "number", "bool", "string", "dtype", "any"
  Value default_value;
  bool required = false;
  bool optional = false;  // none is a value
  std::string_view doc;
};

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

/// The rows of a described struct.
template <Described T>
std::vector<AttributeInfo> attribute_infos() {
  std::vector<AttributeInfo> rows;
  const T defaults{};
  for_each_field<T>([&](const auto& f) {
    using Type = typename std::remove_cvref_t<decltype(f)>::Type;
    rows.push_back({f.name, AttributeType<Type>::kName,
                    f.required ? Value() : AttributeType<Type>::to(defaults.*f.member), f.required, kIsOptional<Type>,
                    f.doc});
  });
  return rows;
}

/// Sets the fields of `out` that `attributes` name. Every fault (an unknown name with a suggestion, a value of the
/// wrong kind, a required one that is missing) is added to `faults` as one line; fields without fault are set all the
/// same.
template <Described T>
void parse_attributes(const AttributeMap& attributes, T& out, std::vector<std::string>& faults) {
  constexpr size_t kCount = std::tuple_size_v<decltype(T::fields())>;
  std::array<std::string_view, kCount> names;
  size_t at = 0;
  for_each_field<T>([&](const auto& f) { names[at++] = f.name; });
  for (const auto& [name, value] : attributes) {
    bool known = false;
    for_each_field<T>([&](const auto& f) {
      if (name != f.name) return;
      known = true;
      try {
        out.*f.member = AttributeType<typename std::remove_cvref_t<decltype(f)>::Type>::from(value);
      } catch (const Error& error) {
        faults.push_back(str_cat("attribute '", name, "': ", error.message()));
      }
    });
    if (!known) faults.push_back(str_cat("unknown attribute ", tapewire::quoted(name), did_you_mean(name, names)));
  }
  for_each_field<T>([&](const auto& f) {
    if (f.required && !attributes.contains(f.name)) faults.push_back(str_cat("missing attribute '", f.name, "'"));
  });
}

/// The same for one caller: throws all faults in one message, after `what` and ": ".
template <Described T>
T parse_attributes(std::string_view what, const AttributeMap& attributes) {
  T out{};
  std::vector<std::string> faults;
  parse_attributes(attributes, out, faults);
  if (!faults.empty()) {
    std::string all;
    for (const std::string& fault : faults) all += str_cat(all.empty() ? "" : "; ", fault);
    fail(what, ": ", all);
  }
  return out;
}

/// "in_features=2, out_features=3, bias=True".
template <Described T>
std::string attributes_repr(const T& attributes) {
  std::string out;
  for_each_field<T>([&](const auto& f) {
    using Type = typename std::remove_cvref_t<decltype(f)>::Type;
    out += str_cat(out.empty() ? "" : ", ", f.name, "=", AttributeType<Type>::to(attributes.*f.member).repr());
  });
  return out;
}

}  // namespace tapewire
