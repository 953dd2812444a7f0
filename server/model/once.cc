#include "server/model/once.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/base/error.h"

namespace tapewire {

namespace {

size_t bytes_of(const ChangeId& id, size_t answer) {
  constexpr size_t kEntry = 256;
  return kEntry + id.client.size() + answer;
}

}  // namespace

std::optional<std::string> OnceGuard::check(const ChangeId& id, std::string_view method, Clock::time_point now) {
  if (id.sequence == 0) return std::nullopt;
  const auto found = clients_.find(id.client);
  const bool is_new = found == clients_.end();
  if (is_new && clients_.size() >= kMaxClients) make_room(now);
  if (is_new || id.sequence > found->second.sequence) {
    room_.clear();
    room_.add(bytes_of(id, kMaxAnswerBytes));
    return std::nullopt;
  }
  const Last& last = found->second;
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
  // Those that are done go first.
  const auto oldest = std::min_element(clients_.begin(), clients_.end(), [](const auto& a, const auto& b) {
    return std::tuple(!a.second.is_done, a.second.time) < std::tuple(!b.second.is_done, b.second.time);
  });
  if (!oldest->second.is_done && now - oldest->second.time < kMemory) {
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
  last.is_done = false;
  last.answer = std::move(answer);
  // check() made room for the largest answer; if nobody asked, this one is counted all the same.
  const size_t bytes = bytes_of(id, last.answer ? last.answer->size() : 0);
  if (room_.bytes() < bytes) room_.add_unchecked(bytes - room_.bytes());
  room_.remove(room_.bytes() - bytes);
  last.memory = std::exchange(room_, AdoptedCount());
}

void OnceGuard::may_forget(const ChangeId& last) {
  const auto found = clients_.find(last.client);
  if (found != clients_.end() && found->second.sequence == last.sequence) found->second.is_done = true;
}

}  // namespace tapewire
