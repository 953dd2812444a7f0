#include "server/model/tape.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <set>

#include <sys/random.h>

#include "absl/strings/escaping.h"
#include "core/autograd/accumulate_grad.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {
namespace {

[[noreturn]] void fail_unknown(const std::string& id) {
  fail_with(absl::StatusCode::kNotFound, "no tape ", quoted(id), "; it was released, or its lease ran out");
}

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

void TapeStore::check_room() const {
  MutexLock lock(mutex_);
  if (static_cast<int64_t>(tapes_.size()) >= max_tapes_) {
    fail_with(absl::StatusCode::kResourceExhausted, "the model holds ", tapes_.size(),
              " tapes already; release one, or raise --max_tapes (", max_tapes_, ")");
  }
}

void TapeStore::add(const std::shared_ptr<Tape>& tape) {
  check_room();
  MutexLock lock(mutex_);
  tapes_[tape->id] = {tape, Clock::now() + tape->lease, kept_++};
}

std::shared_ptr<Tape> TapeStore::pin(const std::string& id) {
  MutexLock lock(mutex_);
  const auto found = tapes_.find(id);
  if (found == tapes_.end() && std::ranges::find(used_up_, id) != used_up_.end()) fail_second_backward();
  if (found == tapes_.end()) fail_unknown(id);
  found->second.expires = Clock::now() + found->second.tape->lease;
  return found->second.tape;
}

bool TapeStore::use_up(const std::string& id) {
  constexpr size_t kRemembered = 1024;
  MutexLock lock(mutex_);
  if (tapes_.erase(id) == 0) return false;
  used_up_.push_back(id);
  if (used_up_.size() > kRemembered) used_up_.pop_front();
  return true;
}

bool TapeStore::resize(Tape& tape, int64_t bytes) {
  MutexLock lock(mutex_);
  if (!tapes_.contains(tape.id)) return false;
  tape.bytes = bytes;
  return true;
}

std::shared_ptr<Tape> TapeStore::release(const std::string& id) {
  MutexLock lock(mutex_);
  const auto found = tapes_.find(id);
  if (found == tapes_.end()) {
    if (std::erase(used_up_, id) > 0) return nullptr;
    fail_unknown(id);
  }
  std::shared_ptr<Tape> tape = std::move(found->second.tape);
  tapes_.erase(found);
  return tape;
}

std::vector<std::shared_ptr<Tape>> TapeStore::expire(Clock::time_point now) {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Tape>> gone;
  for (auto it = tapes_.begin(); it != tapes_.end();) {
    // A second owner is a call that waits or runs; the lease starts anew when it is done.
    if (it->second.tape.use_count() > 1)
      it->second.expires = std::max(it->second.expires, now + it->second.tape->lease);
    if (it->second.expires <= now) {
      gone.push_back(std::move(it->second.tape));
      it = tapes_.erase(it);
    } else {
      ++it;
    }
  }
  return gone;
}

std::vector<TapeStore::Entry> TapeStore::list() const {
  MutexLock lock(mutex_);
  std::vector<Entry> out;
  for (const auto& [id, entry] : tapes_) out.push_back(entry);
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.order < b.order; });
  return out;
}

TapeStore::Clock::time_point TapeStore::expires(const std::string& id) const {
  MutexLock lock(mutex_);
  const auto found = tapes_.find(id);
  return found == tapes_.end() ? Clock::time_point{} : found->second.expires;
}

size_t TapeStore::size() const {
  MutexLock lock(mutex_);
  return tapes_.size();
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
    node->visit_saved(count);
    for (const Edge& edge : node->next_edges()) {
      if (edge) stack.push_back(edge.node);
    }
  }
  return bytes;
}

std::string unguessable_id() {
  std::array<char, 16> bits;
  size_t have = 0;
  while (have < bits.size()) {
    const ssize_t got = getrandom(bits.data() + have, bits.size() - have, 0);
    if (got > 0) {
      have += static_cast<size_t>(got);
    } else if (errno != EINTR) {
      fail_internal("getrandom failed with errno ", errno);
    }
  }
  return absl::BytesToHexString(absl::string_view(bits.data(), bits.size()));
}

}  // namespace tapewire
