#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tapewire {

/// A regular file that is read at any place, by any number of threads. Errors name the path: NOT_FOUND or
/// PERMISSION_DENIED when it cannot be opened, INVALID_ARGUMENT when it is no regular file, DATA_LOSS when it ends
/// sooner than it did when it was opened.
class InputFile {
 public:
  static absl::StatusOr<InputFile> open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  ~InputFile();

  const std::string& path() const { return path_; }
  /// As it was when opened.
  int64_t size() const { return size_; }
  /// Fills `out` with the bytes from `offset` on.
  absl::Status read_at(int64_t offset, std::span<std::byte> out) const;

 private:
  InputFile(std::string path, int descriptor, int64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}

  std::string path_;
  int descriptor_;  // -1: moved from
  int64_t size_;
};

/// A file that is there as a whole or not at all: bytes go to a new file beside it, which takes its name in commit().
/// A file of that name that was there before is replaced then, and untouched until then. Errors name the path.
class AtomicFile {
 public:
  static absl::StatusOr<AtomicFile> create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  /// Removes what was written unless it was committed.
  ~AtomicFile();

  /// Appends.
  absl::Status write(std::span<const std::byte> bytes);
  /// Brings the bytes to the disk and gives the file its name. REQUIRES: called once, last.
  absl::Status commit();

 private:
  AtomicFile(std::string path, std::string temporary, int descriptor)
      : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

  std::string path_;
  std::string temporary_;  // empty once committed
  int descriptor_;         // -1: closed, or moved from
};

}  // namespace tapewire
