#include "server/model/glob.h"

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {

std::vector<NamedTensor> select_by_globs(const std::vector<std::string>& globs, const std::vector<NamedTensor>& tensors,
                                         std::string_view field, std::string_view called) {
  if (globs.empty()) return tensors;
  std::vector<bool> wanted(tensors.size());
  for (const std::string& glob : globs) {
    check_cancelled();
    bool any = false;
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!glob_match(glob, tensors[i].name)) continue;
      wanted[i] = true;
      any = true;
    }
    if (any) continue;
    if (is_glob(glob)) fail(field, ": ", quoted(glob), " matches no ", called);
    std::vector<std::string_view> known;
    for (const NamedTensor& t : tensors) known.push_back(t.name);
    fail(field, ": no ", called, " ", quoted(glob), did_you_mean(glob, known));
  }
  std::vector<NamedTensor> out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (wanted[i]) out.push_back(tensors[i]);
  }
  return out;
}

}  // namespace tapewire
