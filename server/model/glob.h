#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/tensor.h"

namespace tapewire {

/// Shell-style match of a whole path: '*' stands for any run of characters (dots too), '?' for one. Linear in time for
/// each '*'.
bool glob_match(std::string_view pattern, std::string_view text);
/// Whether the text is a pattern at all.
bool is_glob(std::string_view text);

/// Those of `tensors` whose names a glob matches, all when there are no globs, in order. Throws INVALID_ARGUMENT for a
/// glob that matches none: "parameters: no parameter 'fc1.wieght'; did you mean 'fc1.weight'?", where "parameters" is
/// the `field` that the globs stand in and "parameter" what a tensor of these is `called`.
std::vector<NamedTensor> select_by_globs(const std::vector<std::string>& globs, const std::vector<NamedTensor>& tensors,
                                         std::string_view field, std::string_view called);

}  // namespace tapewire
