#pragma once

#include <chrono>
#include <thread>

namespace tapewire {

/// Whether `condition` comes true within `patience`, looking every now and then. For what tells nobody when it changes:
/// another process, or memory that another thread lets go of. What notifies is waited for by its notification.
template <class Condition>
bool wait_until(Condition condition, std::chrono::steady_clock::duration patience = std::chrono::seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// Whether `value()` comes to rest within `patience`: it stays the same for `rest`. For what is held back, where only
/// that nothing more happens can be seen.
template <class Value>
bool wait_until_still(Value value, std::chrono::steady_clock::duration rest = std::chrono::milliseconds(100),
                      std::chrono::steady_clock::duration patience = std::chrono::seconds(10)) {
  auto last = value();
  auto since = std::chrono::steady_clock::now();
  return wait_until(
      [&] {
        const auto now = std::chrono::steady_clock::now();
        if (const auto next = value(); next != last) {
          last = next;
          since = now;
        }
        return now - since >= rest;
      },
      patience);
}

}  // namespace tapewire
