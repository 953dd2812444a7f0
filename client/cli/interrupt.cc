#include "client/cli/interrupt.h"

#include <csignal>

#include "client/cli/exit.h"

namespace tapewire::client {
namespace {

volatile std::sig_atomic_t signalled = 0;

void remember(int /*signal*/) { signalled = 1; }

void handle(void (*handler)(int), int flags) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  signalled = 0;
  handle(remember, static_cast<int>(SA_RESETHAND) | SA_RESTART);
}

InterruptGuard::~InterruptGuard() { handle(SIG_DFL, 0); }

bool InterruptGuard::interrupted() { return signalled != 0; }

void InterruptGuard::check() {
  if (interrupted()) throw Exit(ExitCode::kInterrupted, absl::StatusCode::kCancelled, "interrupted");
}

}  // namespace tapewire::client
