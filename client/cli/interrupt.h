#pragma once

#include <functional>

namespace tapewire::client {

/// While it lives, the first SIGINT or SIGTERM only sets a flag, so that a command can clean up; a second one ends the
/// process. At most one at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();

  static bool interrupted();
  /// Throws Exit(kInterrupted) if it came.
  static void check();
};

/// Runs `work` under an InterruptGuard. When the signal comes, `cancel` is called from another thread, again and again
/// until `work` has ended, which then throws Exit(kInterrupted) whatever it ended with.
void run_interruptible(const std::function<void()>& cancel, const std::function<void()>& work);

}  // namespace tapewire::client
