#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "server/observe/file_descriptor.h"

namespace tapewire {

/// Ends a poll() of its fd(), which is readable from wake() to clear(). Thread-safe.
class Wakeup {
 public:
  Wakeup() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  /// False where no descriptor was left.
  explicit operator bool() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  void wake() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(fd_.get(), &one, sizeof one);
  }
  void clear() const {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = read(fd_.get(), &count, sizeof count);
  }

 private:
  FileDescriptor fd_;
};

}  // namespace tapewire
