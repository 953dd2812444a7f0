#include "client/cli/interrupt.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include "client/cli/exit.h"

namespace tapewire::client {
namespace {

// The handler may run on any thread.
std::atomic<bool> signalled{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void remember(int /*signal*/) { signalled = true; }

void handle(void (*handler)(int), int flags) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  signalled = false;
  handle(remember, static_cast<int>(SA_RESETHAND) | SA_RESTART);
}

InterruptGuard::~InterruptGuard() { handle(SIG_DFL, 0); }

bool InterruptGuard::interrupted() { return signalled; }

void InterruptGuard::check() {
  if (interrupted()) throw Exit(ExitCode::kInterrupted, absl::StatusCode::kCancelled, "interrupted");
}

void run_interruptible(const std::function<void()>& cancel, const std::function<void()>& work) {
  // How soon a signal is noticed.
  constexpr std::chrono::milliseconds kPoll(20);
  const InterruptGuard guard;
  std::mutex mutex;
  std::condition_variable_any changed;
  const std::jthread canceller([&](const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      changed.wait_for(lock, stop, kPoll, [] { return false; });
      if (InterruptGuard::interrupted()) cancel();
    }
  });
  try {
    work();
  } catch (const Exit&) {
    InterruptGuard::check();
    throw;
  }
  InterruptGuard::check();
}

}  // namespace tapewire::client
