#include "server/model/tape.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/limit_error.h"
#include "core/base/mutex.h"
#include "core/base/suggest.h"
#include "core/tensor/allocator.h"

namespace tapewire {
namespace {

[[noreturn]] void fail_unknown(const std::string& id) {
  fail_with(absl::StatusCode::kNotFound, "no tape ", quoted(id), "; it was released, or its lease ran out");
}

// Measured: what a tensor with a name takes beside its data, as the tape holds it and as it is told.
constexpr size_t kBytesPerTensor = 512;

size_t beside_data(const TapeInfo& info) { return kBytesPerTensor * info.tensors.size(); }

}  // namespace

Tensor Tape::find(std::string_view name) const {
  for (const auto* list : {&outputs, &captured, &inputs, &grads}) {
    for (const NamedTensor& entry : *list) {
      if (entry.name == name) return entry.tensor;
    }
  }
  return {};
}

Tensor Tape::require(std::string_view name, const std::string& where) const {
  const Tensor found = find(name);
  if (found.defined()) return found;
  std::vector<std::string_view> known;
  for (const auto* list : {&outputs, &captured, &inputs, &grads}) {
    for (const NamedTensor& entry : *list) known.push_back(entry.name);
  }
  fail(where, ": the tape has no tensor ", quoted(name), did_you_mean(name, known));
}

struct TapeStore::State {
  struct Entry {
    std::shared_ptr<Tape> tape;
    TapeInfo info;
    AdoptedCount memory = AdoptedCount();  // beside_data(info)
    std::chrono::seconds lease{0};
    Clock::time_point expires;
    int pins = 0;
    int64_t order = 0;  // tapes kept before this one
  };

  State(std::shared_ptr<ModelMetrics> m, std::function<void(Clock::time_point)> e)
      : metrics(std::move(m)), expires_at(std::move(e)) {}

  /// Takes the entry out. What it returns is destroyed outside of the lock: a tape and its names may be large.
  Entry take(std::map<std::string, Entry>::iterator at) TW_REQUIRES(mutex) {
    metrics->add_tapes(-1);
    metrics->add_tape_bytes(-at->second.info.bytes);
    return std::move(tapes.extract(at).mapped());
  }

  void unpin(const std::string& id) TW_EXCLUDES(mutex) {
    Clock::time_point expires;
    {
      MutexLock lock(mutex);
      const auto found = tapes.find(id);
      if (found == tapes.end()) return;
      Entry& entry = found->second;
      if (--entry.pins > 0) return;
      entry.expires = expires = Clock::now() + entry.lease;
    }
    if (expires_at) expires_at(expires);
  }

  const std::shared_ptr<ModelMetrics> metrics;
  const std::function<void(Clock::time_point)> expires_at;
  mutable Mutex mutex;
  std::map<std::string, Entry> tapes TW_GUARDED_BY(mutex);
  int64_t kept TW_GUARDED_BY(mutex) = 0;
  std::deque<std::string> used_up TW_GUARDED_BY(mutex);  // ids of the last ones, to tell them from unknown ones
};

namespace {

std::vector<std::pair<std::string, TensorSpec>> tensors_of(const Tape& tape) {
  std::vector<std::pair<std::string, TensorSpec>> out;
  for (const auto* list : {&tape.outputs, &tape.captured, &tape.inputs, &tape.grads}) {
    for (const NamedTensor& t : *list) out.emplace_back(t.name, t.tensor.spec());
  }
  return out;
}

TapeInfo told(const TapeInfo& kept, TapeStore::Clock::time_point expires, size_t most = ~size_t{0}) {
  TapeInfo info{.id = kept.id, .bytes = kept.bytes, .parameter_version = kept.parameter_version};
  const size_t count = std::min(most, kept.tensors.size());
  info.tensors.assign(kept.tensors.begin(), kept.tensors.begin() + static_cast<ptrdiff_t>(count));
  info.tensor_count = static_cast<int64_t>(kept.tensors.size());
  const auto left = expires - TapeStore::Clock::now();
  info.expire_time =
      std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(left);
  return info;
}

}  // namespace

TapeStore::TapeStore(int64_t max_tapes, std::shared_ptr<ModelMetrics> metrics,
                     std::function<void(Clock::time_point)> expires_at)
    : max_tapes_(max_tapes), state_(std::make_shared<State>(std::move(metrics), std::move(expires_at))) {}

void TapeStore::check_room() const {
  const auto count = static_cast<int64_t>(size());
  if (count >= max_tapes_) {
    fail_limit("max_tapes", "the model holds ", count, " tapes already; release one, or raise --max_tapes (",
               max_tapes_, ")");
  }
}

void TapeStore::add(const std::shared_ptr<Tape>& tape) {
  check_room();
  State::Entry entry{.tape = tape,
                     .info = {.id = tape->id,
                              .bytes = tape->bytes,
                              .parameter_version = tape->parameter_version,
                              .tensors = tensors_of(*tape)},
                     .lease = tape->lease,
                     .expires = Clock::now() + tape->lease};
  entry.memory.add(beside_data(entry.info));
  const Clock::time_point expires = entry.expires;
  {
    MutexLock lock(state_->mutex);
    entry.order = state_->kept++;
    state_->tapes.insert_or_assign(tape->id, std::move(entry));
    state_->metrics->add_tapes(1);
    state_->metrics->add_tape_bytes(tape->bytes);
  }
  if (state_->expires_at) state_->expires_at(expires);
}

std::shared_ptr<Tape> TapeStore::pin(const std::string& id) {
  MutexLock lock(state_->mutex);
  const auto found = state_->tapes.find(id);
  if (found == state_->tapes.end()) {
    if (std::ranges::find(state_->used_up, id) != state_->used_up.end()) fail_second_backward();
    fail_unknown(id);
  }
  ++found->second.pins;
  std::shared_ptr<Tape> tape = found->second.tape;
  Tape* const raw = tape.get();
  return {raw, [tape = std::move(tape), state = state_, id](Tape*) { state->unpin(id); }};
}

bool TapeStore::use_up(const std::string& id) {
  constexpr size_t kRemembered = 1024;
  State::Entry gone;
  MutexLock lock(state_->mutex);
  const auto found = state_->tapes.find(id);
  if (found == state_->tapes.end()) return false;
  gone = state_->take(found);
  state_->used_up.push_back(id);
  if (state_->used_up.size() > kRemembered) state_->used_up.pop_front();
  return true;
}

bool TapeStore::changed(Tape& tape, int64_t bytes) {
  MutexLock lock(state_->mutex);
  const auto found = state_->tapes.find(tape.id);
  if (found == state_->tapes.end()) return false;
  TapeInfo& info = found->second.info;
  state_->metrics->add_tape_bytes(bytes - info.bytes);
  tape.bytes = info.bytes = bytes;
  info.tensors = tensors_of(tape);
  AdoptedCount& memory = found->second.memory;
  memory.clear();
  memory.add_unchecked(beside_data(info));
  return true;
}

void TapeStore::release(const std::string& id) {
  State::Entry gone;
  MutexLock lock(state_->mutex);
  const auto found = state_->tapes.find(id);
  if (found != state_->tapes.end()) {
    gone = state_->take(found);
  } else if (std::erase(state_->used_up, id) == 0) {
    fail_unknown(id);
  }
}

void TapeStore::expire(Clock::time_point now) {
  std::vector<State::Entry> gone;
  MutexLock lock(state_->mutex);
  for (auto it = state_->tapes.begin(); it != state_->tapes.end();) {
    const auto at = it++;
    if (at->second.pins == 0 && at->second.expires <= now) gone.push_back(state_->take(at));
  }
}

void TapeStore::clear() {
  std::vector<State::Entry> gone;
  MutexLock lock(state_->mutex);
  while (!state_->tapes.empty()) gone.push_back(state_->take(state_->tapes.begin()));
}

std::optional<TapeStore::Clock::time_point> TapeStore::next_expiry() const {
  MutexLock lock(state_->mutex);
  std::optional<Clock::time_point> next;
  for (const auto& [id, entry] : state_->tapes) {
    if (entry.pins == 0 && (!next || entry.expires < *next)) next = entry.expires;
  }
  return next;
}

std::vector<TapeInfo> TapeStore::list() const {
  std::vector<std::pair<int64_t, TapeInfo>> ordered;
  {
    MutexLock lock(state_->mutex);
    for (const auto& [id, entry] : state_->tapes) {
      ordered.emplace_back(entry.order,
                           told(entry.info, entry.pins > 0 ? Clock::now() + entry.lease : entry.expires, kListed));
    }
  }
  std::ranges::sort(ordered, {}, [](const auto& row) { return row.first; });
  std::vector<TapeInfo> out;
  for (auto& [order, info] : ordered) out.push_back(std::move(info));
  return out;
}

size_t TapeStore::listed_bytes() const {
  MutexLock lock(state_->mutex);
  size_t bytes = 0;
  for (const auto& [id, entry] : state_->tapes) {
    bytes += kBytesPerTensor * (1 + std::min(kListed, entry.info.tensors.size()));
  }
  return bytes;
}

std::optional<TapeInfo> TapeStore::find(const std::string& id) const {
  MutexLock lock(state_->mutex);
  const auto found = state_->tapes.find(id);
  if (found == state_->tapes.end()) return std::nullopt;
  const State::Entry& entry = found->second;
  return told(entry.info, entry.pins > 0 ? Clock::now() + entry.lease : entry.expires);
}

size_t TapeStore::size() const {
  MutexLock lock(state_->mutex);
  return state_->tapes.size();
}

int64_t tape_bytes(const Tape& tape, const std::vector<const Storage*>& known) {
  // By their bytes: a captured output shares those of the tensor that the graph goes on with.
  std::set<const Buffer*> counted;
  for (const Storage* storage : known) counted.insert(storage->share_buffer().get());
  std::set<const Node*> seen;
  std::vector<Ref<Node>> stack;
  int64_t bytes = 0;
  const auto count = [&](const Storage& storage) {
    if (counted.insert(storage.share_buffer().get()).second) bytes += static_cast<int64_t>(storage.size());
  };
  for (const auto* list : {&tape.outputs, &tape.captured, &tape.inputs, &tape.grads}) {
    for (const NamedTensor& root : *list) {
      count(root.tensor.storage());
      if (Ref<Node> node = grad_fn(root.tensor)) stack.push_back(std::move(node));
    }
  }
  while (!stack.empty()) {
    const Ref<Node> node = std::move(stack.back());
    stack.pop_back();
    if (!seen.insert(node.get()).second) continue;
    count_work(kTensorWork);
    bytes += static_cast<int64_t>(Node::kBytes);
    node->visit_saved(count);
    for (const Edge& edge : node->next_edges()) {
      if (edge) stack.push_back(edge.node);
    }
  }
  return bytes;
}

}  // namespace tapewire
