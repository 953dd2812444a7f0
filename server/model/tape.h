#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor/tensor.h"
#include "server/observe/model_metrics.h"

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

/// What is told of a tape to those who are not in the model's turn.
struct TapeInfo {
  std::string id;
  int64_t bytes = 0;
  int64_t parameter_version = 0;
  std::vector<std::pair<std::string, TensorSpec>> tensors;  // what calls can name; of list() the first kListed
  int64_t tensor_count = 0;
  std::chrono::system_clock::time_point expire_time;  // as of now
};

/// The tapes of one model, with their leases. The store is thread-safe; a Tape itself is used in the model's turn.
/// Leases run on the monotonic clock: setting the machine's time lets none go.
class TapeStore {
 public:
  using Clock = std::chrono::steady_clock;

  /// `expires_at` hears, from any thread and outside of locks, when the store should be asked to expire() next.
  TapeStore(int64_t max_tapes, std::shared_ptr<ModelMetrics> metrics,
            std::function<void(Clock::time_point)> expires_at = nullptr);

  /// Keeps a tape and starts its lease. What its tensors take beside their data counts as tensor memory as long as it
  /// is kept. RESOURCE_EXHAUSTED when there are max_tapes already, or no memory.
  void add(const std::shared_ptr<Tape>& tape);
  /// For a call that will use it: the lease does not run out while what this returns is held, and begins anew when it
  /// is let go. FAILED_PRECONDITION when the tape was used up, NOT_FOUND when there is none.
  std::shared_ptr<Tape> pin(const std::string& id);
  /// A backward used the tape up. False when it was let go meanwhile.
  bool use_up(const std::string& id);
  /// The tape holds `bytes` now, and maybe other tensors. False when it was let go meanwhile.
  bool changed(Tape& tape, int64_t bytes);
  /// Lets the tape go; does nothing for one that was used up. NOT_FOUND when there is none.
  void release(const std::string& id);
  /// Lets go all whose lease ran out, unless pinned.
  void expire(Clock::time_point now);
  /// Lets all go.
  void clear();
  /// When the next lease runs out; none without a tape that is not pinned.
  std::optional<Clock::time_point> next_expiry() const;
  /// Oldest first, each with kListed of its tensors at most: it takes little whatever the tapes captured.
  std::vector<TapeInfo> list() const;
  static constexpr size_t kListed = 100;
  /// About what list() and a message of it take, in bytes.
  size_t listed_bytes() const;
  /// None when there is no such tape.
  std::optional<TapeInfo> find(const std::string& id) const;
  size_t size() const;
  /// Throws when another tape would pass the limit: before the work is done.
  void check_room() const;

 private:
  struct State;
  const int64_t max_tapes_;
  std::shared_ptr<State> state_;  // pins outlive the store
};

/// Bytes of the storages that the graph behind the tape's tensors saved, each once, without those in `known`.
int64_t tape_bytes(const Tape& tape, const std::vector<const Storage*>& known);

}  // namespace tapewire
