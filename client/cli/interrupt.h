#pragma once

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

}  // namespace tapewire::client
