#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/mutex.h"
#include "core/nn/module.h"

namespace tapewire {

class ReaderPrototype;

/// A model's parameters and buffers as of the end of one call: shares of their bytes, which later changes do not reach.
struct Snapshot {
  int64_t parameter_version = 0;
  std::vector<Ref<Buffer>> bytes;  // parameters, then buffers, in the order of named_parameters and named_buffers
  std::shared_ptr<ReaderPrototype> prototype;  // what its readers are cloned from
};

/// A tree of modules of a model's shape in eval mode, without gradients, that stands for one snapshot. One thread at a
/// time. What a read writes to its buffers is lost with it.
class SnapshotReader {
 public:
  /// Takes the tree over.
  explicit SnapshotReader(std::shared_ptr<Module> root);

  Module& root() { return *root_; }
  std::shared_ptr<Module> clone() const { return root_->clone(); }
  int64_t parameter_version() const { return parameter_version_; }

  /// Puts the snapshot's bytes in place. REQUIRES: of a model of the same shape.
  void read(const Snapshot& snapshot);
  /// Lets the bytes go. The tree must not run before the next read().
  void let_go();

 private:
  std::shared_ptr<Module> root_;
  std::vector<Tensor> tensors_;  // in Snapshot's order
  int64_t parameter_version_ = 0;
};

/// A tree that further readers are cloned from. It runs nothing itself. Thread-safe.
class ReaderPrototype {
 public:
  explicit ReaderPrototype(std::shared_ptr<Module> root) : reader_(std::move(root)) {}
  std::unique_ptr<SnapshotReader> make_reader(const Snapshot& snapshot) TW_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  SnapshotReader reader_ TW_GUARDED_BY(mutex_);
};

/// The snapshot that reads of one model see, and the trees that they run in, kept while somebody reads: from the first
/// read until none came for kIdle. In between every change ends with a new snapshot, and copies the bytes that it
/// writes; otherwise changes are in place. Thread-safe.
class Snapshots {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kIdle{1};

  /// The committed snapshot, for a read that begins; null when none is kept: then start() one in the model's turn.
  std::shared_ptr<const Snapshot> current() TW_EXCLUDES(mutex_);
  /// In the model's turn: keeps this snapshot from now on. `root` is the model, for the trees of reads.
  std::shared_ptr<const Snapshot> start(Snapshot snapshot, const Module& root) TW_EXCLUDES(mutex_);
  /// In the model's turn, before a change's snapshot is made: whether anybody is to see it. Lets all go when nobody is.
  bool wanted() TW_EXCLUDES(mutex_);
  void replace(Snapshot snapshot) TW_EXCLUDES(mutex_);
  /// Lets all go if no read came for kIdle.
  void expire(Clock::time_point now) TW_EXCLUDES(mutex_);
  std::optional<Clock::time_point> next_expiry() const TW_EXCLUDES(mutex_);
  /// The model ends: lets all go that nobody reads, now and from now on.
  void close() TW_EXCLUDES(mutex_);

  /// A reader for a scope, set to a snapshot.
  class Lease {
   public:
    Lease(Snapshots& snapshots, const Snapshot& snapshot);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    SnapshotReader& reader() { return *reader_; }

   private:
    Snapshots& snapshots_;
    std::unique_ptr<SnapshotReader> reader_;
  };

 private:
  bool idle(Clock::time_point now) const TW_REQUIRES(mutex_);
  std::unique_ptr<SnapshotReader> take(const Snapshot& snapshot) TW_EXCLUDES(mutex_);
  void give(std::unique_ptr<SnapshotReader> reader) TW_EXCLUDES(mutex_);

  mutable Mutex mutex_;
  std::shared_ptr<const Snapshot> current_ TW_GUARDED_BY(mutex_);
  Clock::time_point last_read_ TW_GUARDED_BY(mutex_);
  int reading_ TW_GUARDED_BY(mutex_) = 0;
  bool closed_ TW_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<SnapshotReader>> idle_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
