#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tapewire {

/// Abseil as packaged has a string_view of its own, which does not take the standard's.
inline absl::string_view to_absl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view to_std(absl::string_view text) { return {text.data(), text.size()}; }

namespace detail {
template <class T>
decltype(auto) alpha_num(const T& part) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return to_absl(part);
  } else {
    return (part);
  }
}
}  // namespace detail

/// absl::StrCat that takes std::string_view too.
template <class... Parts>
std::string str_cat(const Parts&... parts) {
  return absl::StrCat(detail::alpha_num(parts)...);
}

}  // namespace tapewire
