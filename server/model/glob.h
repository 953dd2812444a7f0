#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/glob.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Those of `tensors` whose names a glob matches, all when there are no globs, in order. Throws INVALID_ARGUMENT for a
/// glob that matches none: "parameters: no parameter 'fc1.wieght'; did you mean 'fc1.weight'?", where "parameters" is
/// the `field` that the globs stand in and "parameter" what a tensor of these is `called`.
std::vector<NamedTensor> select_by_globs(const std::vector<std::string>& globs, const std::vector<NamedTensor>& tensors,
                                         std::string_view field, std::string_view called);

}  // namespace tapewire
