#pragma once

#include <string_view>

namespace tapewire {

/// Shell-style match of a whole path: '*' stands for any run of characters (dots too), '?' for one. Linear in time for
/// each '*'.
bool glob_match(std::string_view pattern, std::string_view text);
/// Whether the text is a pattern at all.
bool is_glob(std::string_view text);

}  // namespace tapewire
