#include "server/model/captures.h"

#include "core/base/error.h"

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

}  // namespace tapewire
