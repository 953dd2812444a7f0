#pragma once

#include <atomic>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace tapewire::rpc {

/// Where a handler's result goes: absl::StatusOr<T>, or absl::Status for Answer<void>. Called from any thread, at once
/// or later; copies are the same answer, and only its first call counts. When the last copy goes without one, the
/// client gets INTERNAL instead of waiting for ever. Does not throw. It fits as the `done` of Strand::submit.
template <class T>
class Answer {
 public:
  using Result = std::conditional_t<std::is_void_v<T>, absl::Status,
                                    absl::StatusOr<std::conditional_t<std::is_void_v<T>, int, T>>>;
  using Deliver = absl::AnyInvocable<void(Result)>;

  explicit Answer(Deliver deliver) : state_(std::make_shared<State>(std::move(deliver))) {}

  void operator()(Result result) const { state_->deliver_once(std::move(result)); }

 private:
  struct State {
    explicit State(Deliver d) : deliver(std::move(d)) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { deliver_once(absl::InternalError("the call was dropped without an answer")); }

    void deliver_once(Result result) {
      if (done.exchange(true)) return;
      deliver(std::move(result));
      deliver = nullptr;  // a copy that is kept does not keep the call
    }

    Deliver deliver;
    std::atomic<bool> done{false};
  };
  std::shared_ptr<State> state_;
};

}  // namespace tapewire::rpc
