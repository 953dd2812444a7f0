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
/// while the first runs finds its answer. A client is remembered for an hour at
/// least, or until may_forget().
class OnceGuard {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kMaxClients = 10'000;
  static constexpr size_t kMaxAnswerBytes = 4 << 10;
  static constexpr std::chrono::hours kMemory{1};

  /// Nothing when the change is to be made now; else the remembered answer's bytes. Throws FAILED_PRECONDITION for a
  /// change that was made but whose answer was too large to remember, or is not the client's last, or was of another
  /// method; INVALID_ARGUMENT for a bad id; RESOURCE_EXHAUSTED for one client too many.
  /// Room for the largest answer counts as tensor memory from here on, and what is remembered after note().
  std::optional<std::string> check(const ChangeId& id, std::string_view method, Clock::time_point now = Clock::now());
  /// The change was made; no answer: it is too large to remember. A failed change is not noted and may be sent again.
  void note(const ChangeId& id, std::string_view method, std::optional<std::string> answer,
            Clock::time_point now = Clock::now());
  /// Whether the client made a change that is remembered.
  bool knows(const std::string& client) const { return clients_.contains(client); }
  /// The client has sent all that it will, up to `last`: it gives its place to others, but is remembered until one of
  /// them needs it, since it may not have got its last answers and send again.
  void may_forget(const ChangeId& last);

 private:
  struct Last {
    int64_t sequence = 0;
    std::string method;
    std::optional<std::string> answer;
    Clock::time_point time;
    bool is_done = false;  // see may_forget()
    AdoptedCount memory;
  };
  void make_room(Clock::time_point now);

  std::map<std::string, Last> clients_;
  AdoptedCount room_;  // of the change that check() let pass
};

}  // namespace tapewire
