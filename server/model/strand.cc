#include "server/model/strand.h"

namespace tapewire {

Strand::Strand(ComputePool& pool, Options options) : pool_(pool), state_(std::make_shared<detail::StrandState>()) {
  state_->name = std::move(options.name);
  state_->max_waiting = options.max_queue;
  state_->observer = std::move(options.observer);
}

}  // namespace tapewire
