#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/unguessable_id.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// What a Forward left on the server: the graph, held up by its outputs, and the tensors that calls may name.
struct Tape {
  std::string id;
  std::vector<NamedTensor> inputs;  // leaves of this tape
  std::vector<NamedTensor> outputs;
  std::vector<NamedTensor> captured;  // outputs of modules, by path
  std::vector<NamedTensor> grads;     // recorded by Grad: "grad:<name>"
  int64_t parameter_version = 0;
  int64_t bytes = 0;  // that only the tape keeps alive
  std::chrono::seconds lease{600};

  /// The tensor of that name among outputs, captured ones, inputs and gradients; undefined when there is none.
  Tensor find(std::string_view name) const;
  /// The same, throwing "outputs[0]: the tape has no tensor 'lgits'; did you mean 'logits'?".
  Tensor require(std::string_view name, const std::string& where) const;
};

/// The tapes of one model, with their leases. Thread-safe; the tapes themselves are used in the model's turn.
class TapeStore {
 public:
  using Clock = std::chrono::system_clock;

  explicit TapeStore(int64_t max_tapes) : max_tapes_(max_tapes) {}

  /// A row of ListTapes.
  struct Entry {
    std::shared_ptr<Tape> tape;
    Clock::time_point expires;
    int64_t order = 0;  // tapes kept before this one
  };

  /// RESOURCE_EXHAUSTED when there are max_tapes already. Starts the lease.
  void add(const std::shared_ptr<Tape>& tape) TW_EXCLUDES(mutex_);
  /// For a call that will use it: renews the lease, which does not run out before the pin goes. FAILED_PRECONDITION
  /// when it was used up, NOT_FOUND when there is none.
  std::shared_ptr<Tape> pin(const std::string& id) TW_EXCLUDES(mutex_);
  /// A backward used the tape up. False when it was let go meanwhile.
  bool use_up(const std::string& id) TW_EXCLUDES(mutex_);
  /// Notes what the tape holds now. False when it was let go meanwhile.
  bool resize(Tape& tape, int64_t bytes) TW_EXCLUDES(mutex_);
  /// Lets the tape go; null when it was used up, NOT_FOUND when there is none.
  std::shared_ptr<Tape> release(const std::string& id) TW_EXCLUDES(mutex_);
  /// Lets go all whose lease ran out, unless pinned; returns them.
  std::vector<std::shared_ptr<Tape>> expire(Clock::time_point now) TW_EXCLUDES(mutex_);
  /// Oldest first.
  std::vector<Entry> list() const TW_EXCLUDES(mutex_);
  Clock::time_point expires(const std::string& id) const TW_EXCLUDES(mutex_);
  size_t size() const TW_EXCLUDES(mutex_);
  /// Throws when another tape would pass the limit: before the work is done.
  void check_room() const TW_EXCLUDES(mutex_);

 private:
  const int64_t max_tapes_;
  mutable Mutex mutex_;
  std::map<std::string, Entry> tapes_ TW_GUARDED_BY(mutex_);
  int64_t kept_ TW_GUARDED_BY(mutex_) = 0;
  std::deque<std::string> used_up_ TW_GUARDED_BY(mutex_);  // ids of the last ones, to tell them from unknown ones
};

/// Bytes of the storages that the graph behind the tape's tensors saved, each once, without those in `known`.
int64_t tape_bytes(const Tape& tape, const std::vector<const Storage*>& known);

}  // namespace tapewire
