#pragma once

#include <memory>
#include <vector>

#include "core/base/mutex.h"
#include "core/nn/module.h"
#include "server/model/build.h"

namespace tapewire {

/// A model's parameters and buffers as of the end of one call: shares of their bytes, which later changes do not reach.
struct Committed {
  int64_t parameter_version = 0;
  std::vector<Ref<Buffer>> bytes;  // parameters, then buffers, in the order of named_parameters and named_buffers
};

/// Module trees of a model's shape in eval mode, without gradients, for reads of snapshots. A tree serves one read at a
/// time; as many are made as ever read at once. Thread-safe.
class ReaderPool {
 public:
  struct Reader {
    std::shared_ptr<Module> root;
    std::vector<Tensor> tensors;  // in Committed's order
  };

  std::unique_ptr<Reader> take(const v1::ModelSpec& spec, const DefinitionLimits& limits) TW_EXCLUDES(mutex_);
  void give(std::unique_ptr<Reader> reader) TW_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::vector<std::unique_ptr<Reader>> idle_ TW_GUARDED_BY(mutex_);
};

/// A reader for a scope, set to one committed state.
class ReaderLease {
 public:
  ReaderLease(ReaderPool& pool, const Committed& committed, const v1::ModelSpec& spec, const DefinitionLimits& limits);
  ~ReaderLease();
  ReaderLease(const ReaderLease&) = delete;
  ReaderLease& operator=(const ReaderLease&) = delete;

  Module& root() { return *reader_->root; }

 private:
  ReaderPool& pool_;
  std::unique_ptr<ReaderPool::Reader> reader_;
};

}  // namespace tapewire
