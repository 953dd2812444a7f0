#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

namespace tapewire {

/// One named, documented member of an attribute struct. The default is what a default-constructed struct holds.
template <class Owner, class T>
struct Field {
  using Type = T;
  const char* name;
  T Owner::* member;
  const char* doc;
  bool required;
};

/// A field that may be left out.
template <class Owner, class T>
constexpr Field<Owner, T> field(const char* name, T Owner::* member, const char* doc) {
  return {name, member, doc, false};
}

/// A field that has no default.
template <class Owner, class T>
constexpr Field<Owner, T> required_field(const char* name, T Owner::* member, const char* doc) {
  return {name, member, doc, true};
}

/// A struct whose attributes are described: `static constexpr auto fields()` returns a std::tuple of Field. The same
/// description serves ops, modules, losses, optimizers and schedulers: it gives the parsing of a definition, the error
/// messages, extra_repr and the catalogue.
template <class T>
concept Described = requires { std::tuple_size<decltype(T::fields())>::value; } && std::is_default_constructible_v<T>;

/// The attributes of what has none.
struct NoAttrs {
  static constexpr auto fields() { return std::tuple<>{}; }
};

/// Calls f(field) for each field of T in order.
template <Described T, class F>
constexpr void for_each_field(F&& f) {
  std::apply([&](const auto&... fields) { (f(fields), ...); }, T::fields());
}

/// Names of an enum's values in order, for enums that stand in attribute structs:
///   template <> struct EnumNames<Reduction> { static constexpr std::array names{"none", "mean", "sum"}; };
template <class E>
struct EnumNames;

}  // namespace tapewire
