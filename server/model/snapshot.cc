#include "server/model/snapshot.h"

#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace tapewire {

std::unique_ptr<ReaderPool::Reader> ReaderPool::take(const v1::ModelSpec& spec, const DefinitionLimits& limits) {
  {
    MutexLock lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Reader> reader = std::move(idle_.back());
      idle_.pop_back();
      return reader;
    }
  }
  // The weights drawn here are replaced before anybody sees them; the model's own random state is not touched.
  Generator scratch;
  GeneratorScope random(scratch);
  auto reader = std::make_unique<Reader>();
  reader->root = build_modules(spec, limits);
  reader->root->eval();
  for (const NamedTensor& p : reader->root->named_parameters()) {
    set_requires_grad(p.tensor, false);
    reader->tensors.push_back(p.tensor);
  }
  for (const NamedTensor& b : reader->root->named_buffers()) reader->tensors.push_back(b.tensor);
  return reader;
}

void ReaderPool::give(std::unique_ptr<Reader> reader) {
  MutexLock lock(mutex_);
  idle_.push_back(std::move(reader));
}

ReaderLease::ReaderLease(ReaderPool& pool, const Committed& committed, const v1::ModelSpec& spec,
                         const DefinitionLimits& limits)
    : pool_(pool), reader_(pool.take(spec, limits)) {
  if (reader_->tensors.size() != committed.bytes.size()) {
    fail_internal("a reader has ", reader_->tensors.size(), " tensors, the snapshot ", committed.bytes.size());
  }
  for (size_t i = 0; i < committed.bytes.size(); ++i) reader_->tensors[i].storage().replace_buffer(committed.bytes[i]);
}

ReaderLease::~ReaderLease() { pool_.give(std::move(reader_)); }

}  // namespace tapewire
