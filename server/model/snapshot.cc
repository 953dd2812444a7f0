#include "server/model/snapshot.h"

#include "core/autograd/meta.h"
#include "core/base/error.h"

namespace tapewire {

SnapshotReader::SnapshotReader(std::shared_ptr<Module> root) : root_(std::move(root)) {
  root_->eval();
  for (const NamedTensor& p : root_->named_parameters()) {
    set_requires_grad(p.tensor, false);
    tensors_.push_back(p.tensor);
  }
  for (const NamedTensor& b : root_->named_buffers()) tensors_.push_back(b.tensor);
  root_->name_tree();
  let_go();
}

void SnapshotReader::read(const Snapshot& snapshot) {
  if (tensors_.size() != snapshot.bytes.size()) {
    fail_internal("a reader has ", tensors_.size(), " tensors, the snapshot ", snapshot.bytes.size());
  }
  for (size_t i = 0; i < tensors_.size(); ++i) tensors_[i].storage().replace_buffer(snapshot.bytes[i]);
  parameter_version_ = snapshot.parameter_version;
}

void SnapshotReader::let_go() {
  const Ref<Buffer> none = Buffer::allocate(0);
  for (const Tensor& x : tensors_) x.storage().replace_buffer(none);
}

bool Snapshots::idle(Clock::time_point now) const { return reading_ == 0 && now - last_read_ >= kIdle; }

std::shared_ptr<const Snapshot> Snapshots::current() {
  MutexLock lock(mutex_);
  if (current_) last_read_ = Clock::now();
  return current_;
}

std::shared_ptr<const Snapshot> Snapshots::start(Snapshot snapshot, const Module& root) {
  if (auto known = current()) return known;
  // The clone shares its bytes with the model, and lets them go at once.
  snapshot.prototype = std::make_shared<ReaderPrototype>(root.clone());
  auto made = std::make_shared<const Snapshot>(std::move(snapshot));
  MutexLock lock(mutex_);
  last_read_ = Clock::now();
  if (!closed_) current_ = made;
  return made;
}

bool Snapshots::wanted() {
  expire(Clock::now());
  MutexLock lock(mutex_);
  return current_ != nullptr;
}

void Snapshots::replace(Snapshot snapshot) {
  std::shared_ptr<const Snapshot> old;  // freed outside of the lock
  MutexLock lock(mutex_);
  if (!current_) return;
  old = std::move(current_);
  snapshot.prototype = old->prototype;
  current_ = std::make_shared<const Snapshot>(std::move(snapshot));
}

void Snapshots::expire(Clock::time_point now) {
  std::shared_ptr<const Snapshot> snapshot;  // freed outside of the lock
  std::vector<std::unique_ptr<SnapshotReader>> readers;
  MutexLock lock(mutex_);
  if (!idle(now)) return;
  snapshot = std::move(current_);
  readers.swap(idle_);
}

std::optional<Snapshots::Clock::time_point> Snapshots::next_expiry() const {
  MutexLock lock(mutex_);
  if (!current_ && idle_.empty()) return std::nullopt;
  return reading_ > 0 ? Clock::now() + kIdle : last_read_ + kIdle;
}

void Snapshots::close() {
  std::shared_ptr<const Snapshot> snapshot;  // freed outside of the lock
  std::vector<std::unique_ptr<SnapshotReader>> readers;
  MutexLock lock(mutex_);
  closed_ = true;
  snapshot = std::move(current_);
  readers.swap(idle_);
}

std::unique_ptr<SnapshotReader> Snapshots::take(const Snapshot& snapshot) {
  std::unique_ptr<SnapshotReader> reader;
  {
    MutexLock lock(mutex_);
    last_read_ = Clock::now();
    ++reading_;
    if (!idle_.empty()) {
      reader = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  try {
    if (!reader) reader = snapshot.prototype->make_reader(snapshot);
    reader->read(snapshot);
  } catch (...) {
    MutexLock lock(mutex_);
    --reading_;
    throw;
  }
  return reader;
}

void Snapshots::give(std::unique_ptr<SnapshotReader> reader) {
  reader->let_go();
  MutexLock lock(mutex_);
  last_read_ = Clock::now();
  --reading_;
  if (!closed_) idle_.push_back(std::move(reader));
}

std::unique_ptr<SnapshotReader> ReaderPrototype::make_reader(const Snapshot& snapshot) {
  MutexLock lock(mutex_);
  struct LetGo {
    SnapshotReader& reader;
    ~LetGo() { reader.let_go(); }
  };
  reader_.read(snapshot);
  const LetGo at_end{reader_};
  return std::make_unique<SnapshotReader>(reader_.clone());
}

Snapshots::Lease::Lease(Snapshots& snapshots, const Snapshot& snapshot)
    : snapshots_(snapshots), reader_(snapshots.take(snapshot)) {}

Snapshots::Lease::~Lease() { snapshots_.give(std::move(reader_)); }

}  // namespace tapewire
