#include "server/model/captures.h"

#include <string_view>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {

Captures::~Captures() {
  for (HookHandle& handle : handles_) handle.remove();
}

void Captures::watch(Module& module, const std::string& path) {
  handles_.push_back(module.register_forward_hook([this, path](Module&, const Args&, const Value& output) {
    std::vector<Tensor> tensors;
    flatten_tensors(output, tensors);
    for (size_t i = 0; i < tensors.size(); ++i) taken_.push_back({i == 0 ? path : str_cat(path, "_", i), tensors[i]});
    return std::optional<Value>();
  }));
}

void Captures::watch_all(const std::vector<std::string>& paths,
                         absl::FunctionRef<Module&(const std::string&)> module_at) {
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (!seen.insert(paths[i]).second) fail("capture[", i, "]: ", quoted(paths[i]), " is named twice");
    watch(module_at(paths[i]), paths[i]);
  }
}

}  // namespace tapewire
