#include "server/observe/version.h"

namespace tapewire {

BuildInfo build_info() { return {TAPEWIRE_VERSION, TAPEWIRE_COMMIT}; }

}  // namespace tapewire
