#include "server/model/once.h"

#include <algorithm>

#include "core/base/error.h"

namespace tapewire {

namespace {

// With the largest answer, so that the next one finds its room.
size_t bytes_of(const ChangeId& id) {
  constexpr size_t kEntry = 256;
  return kEntry + id.client.size() + OnceGuard::kMaxAnswerBytes;
}

}  // namespace

std::optional<std::string> OnceGuard::check(const ChangeId& id, std::string_view method, Clock::time_point now) {
  if (id.sequence == 0) return std::nullopt;
  const auto found = clients_.find(id.client);
  if (found == clients_.end()) {
    if (clients_.size() >= kMaxClients) make_room(now);
    room_.clear();
    room_.add(bytes_of(id));
    return std::nullopt;
  }
  const Last& last = found->second;
  if (id.sequence > last.sequence) return std::nullopt;
  if (id.sequence == last.sequence && last.method != method) {
    fail_precondition("call_id.sequence: ", id.sequence, " was a call of ", last.method);
  }
  if (id.sequence == last.sequence && last.answer) return last.answer;
  if (id.sequence == last.sequence) {
    fail_precondition("call_id.sequence: ", id.sequence,
                      " was applied before, and its answer was too large to remember");
  }
  fail_precondition("call_id.sequence: ", id.sequence, " comes after ", last.sequence,
                    ", which was applied; whether it was applied itself is not known any more. A client's sequences "
                    "must arrive in order, which only streams and calls that wait for each other keep");
}

void OnceGuard::make_room(Clock::time_point now) {
  const auto oldest = std::min_element(clients_.begin(), clients_.end(),
                                       [](const auto& a, const auto& b) { return a.second.time < b.second.time; });
  if (now - oldest->second.time < kMemory) {
    fail_with(absl::StatusCode::kResourceExhausted, "call_id.client_id: ", kMaxClients,
              " clients changed the model within an hour, the most it remembers");
  }
  clients_.erase(oldest);
}

void OnceGuard::note(const ChangeId& id, std::string_view method, std::optional<std::string> answer,
                     Clock::time_point now) {
  if (id.sequence == 0) return;
  Last& last = clients_[id.client];
  last.sequence = id.sequence;
  last.method = method;
  last.time = now;
  last.answer = std::move(answer);
  if (last.memory.bytes() > 0) return;
  if (room_.bytes() == 0) room_.add_unchecked(bytes_of(id));  // nobody asked
  last.memory = std::move(room_);
}

void OnceGuard::forget(const ChangeId& last) {
  const auto found = clients_.find(last.client);
  if (found != clients_.end() && found->second.sequence == last.sequence) clients_.erase(found);
}

}  // namespace tapewire
