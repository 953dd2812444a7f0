#include "server/model/strand.h"

namespace tapewire {

Strand::Strand(ComputePool& pool, Options options) : pool_(pool), state_(std::make_shared<detail::StrandState>()) {
  state_->line = {std::move(options.name), options.max_queue, std::move(options.observer)};
}

}  // namespace tapewire
