#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/glob.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Finds tensors by name or by glob: a name in constant time, a glob among those that begin as it does up to its first
/// wildcard.
class GlobMatcher {
 public:
  /// REQUIRES: the tensors outlive it.
  explicit GlobMatcher(const std::vector<NamedTensor>& tensors);

  /// Calls found(index) for each tensor whose name matches, in order. Looks at the cancel token.
  void match(std::string_view glob, const std::function<void(size_t)>& found) const;

 private:
  const std::vector<NamedTensor>& tensors_;
  std::vector<size_t> by_name_;  // their order by name
};

/// The most globs with wildcards in one list.
inline constexpr int kMaxGlobs = 1000;

/// Those of `tensors` whose names a glob matches, all when there are no globs, in order. Throws INVALID_ARGUMENT for a
/// glob that matches none: "parameters: no parameter 'fc1.wieght'; did you mean 'fc1.weight'?", where "parameters" is
/// the `field` that the globs stand in and "parameter" what a tensor of these is `called`.
std::vector<NamedTensor> select_by_globs(const std::vector<std::string>& globs, const std::vector<NamedTensor>& tensors,
                                         std::string_view field, std::string_view called);

}  // namespace tapewire
