#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/tensor/allocator.h"

namespace tapewire {

/// A change that a client numbered (CallId of the contract); sequence 0 is none.
struct ChangeId {
  std::string client;
  int64_t sequence = 0;
  friend bool operator==(const ChangeId&, const ChangeId&) = default;
};

/// Makes numbered changes happen once a client. One for each model, used in its turn, so that a duplicate which arrives
/// while the first runs finds its answer. A client is remembered for an hour at least.
class OnceGuard {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kMaxClients = 10'000;
  static constexpr size_t kMaxAnswerBytes = 4 << 10;
  static constexpr std::chrono::hours kMemory{1};

  /// Nothing when the change is to be made now; else the remembered answer's bytes. Throws FAILED_PRECONDITION for a
  /// change that was made but whose answer was too large to remember, or is not the client's last, or was of another
  /// method; INVALID_ARGUMENT for a bad id; RESOURCE_EXHAUSTED for one client too many.
  /// What a client takes, with the largest answer, counts as tensor memory from here on.
  std::optional<std::string> check(const ChangeId& id, std::string_view method, Clock::time_point now = Clock::now());
  /// The change was made; no answer: it is too large to remember. A failed change is not noted and may be sent again.
  void note(const ChangeId& id, std::string_view method, std::optional<std::string> answer,
            Clock::time_point now = Clock::now());
  /// Whether the client made a change that is remembered.
  bool knows(const std::string& client) const { return clients_.contains(client); }
  /// The client has all its answers up to `last`, and makes no change before it again: gives its place to others.
  void forget(const ChangeId& last);

 private:
  struct Last {
    int64_t sequence = 0;
    std::string method;
    std::optional<std::string> answer;
    Clock::time_point time;
    AdoptedCount memory;
  };
  void make_room(Clock::time_point now);

  std::map<std::string, Last> clients_;
  AdoptedCount room_;  // for the client that check() did not know
};

}  // namespace tapewire
