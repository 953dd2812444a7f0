#pragma once

#include <map>
#include <string>

#include "core/base/error.h"
#include "server/model/calls.h"

namespace tapewire {

/// Makes a numbered change happen once a client (CallId of the contract). One for each model, used in its turn, so a
/// duplicate that arrives while the first runs finds its answer.
class OnceGuard {
 public:
  static constexpr size_t kMaxClients = 10'000;

  /// Runs `change` unless `sequence` was applied already: then its remembered answer comes back, or FAILED_PRECONDITION
  /// when a later one has been applied since. Sequence 0 is not guarded. A failed change may be sent again.
  template <class Change>
  StepResult run(const std::string& client, int64_t sequence, Change&& change) {
    if (sequence == 0) return change();
    if (sequence < 0) fail("call_id.sequence: counts from 1, got ", sequence);
    if (client.empty()) fail("call_id.client_id: needed beside a sequence");
    const auto found = clients_.find(client);
    if (found != clients_.end() && sequence <= found->second.sequence) {
      if (sequence == found->second.sequence) return found->second.answer;
      fail_precondition("call_id.sequence: ", sequence, " was applied before; the client is at ", found->second.sequence,
                        ", the model at step ", found->second.answer.step);
    }
    if (found == clients_.end() && clients_.size() >= kMaxClients) {
      fail_with(absl::StatusCode::kResourceExhausted, "the model remembers ", kMaxClients, " clients, the most there can be");
    }
    StepResult answer = change();
    Last& last = clients_[client];
    last.sequence = sequence;
    last.answer = answer;
    last.answer.outputs.clear();  // only what is small is remembered
    return answer;
  }

 private:
  struct Last {
    int64_t sequence = 0;
    StepResult answer;
  };
  std::map<std::string, Last> clients_;
};

}  // namespace tapewire
