#include "core/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/strings.h"

namespace tapewire {
namespace {

// What one system call is asked to move: the kernel takes no more than 2 GiB.
constexpr size_t kMostAtOnce = size_t{1} << 30;

absl::Status failed(std::string_view what, const std::string& path, int error) {
  const std::string message = str_cat(what, " ", path, ": ", std::generic_category().message(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return absl::InvalidArgumentError(message);
    default:
      return absl::UnknownError(message);
  }
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The entry of a file in its directory is on the disk only when the directory is.
absl::Status sync_directory(const std::string& path) {
  const std::string directory = directory_of(path);
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failed("cannot sync", directory, errno);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // A file system that cannot sync directories keeps them by itself.
  return error == 0 || error == EINVAL ? absl::OkStatus() : failed("cannot sync", directory, error);
}

}  // namespace

absl::StatusOr<InputFile> InputFile::open(const std::string& path) {
  // Without blocking, lest a pipe that nobody writes to hold us.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed("cannot open", path, errno);
  InputFile file(path, descriptor, 0);
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return failed("cannot read", path, errno);
  if (!S_ISREG(status.st_mode))
    return absl::InvalidArgumentError(str_cat("cannot read ", path, ": not a regular file"));
  file.size_ = status.st_size;
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::Status InputFile::read_at(int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(descriptor_, out.data(), std::min(out.size(), kMostAtOnce), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("cannot read", path_, errno);
    if (count == 0) return absl::DataLossError(str_cat(path_, ": the file ends at byte ", offset, " now"));
    out = out.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return absl::OkStatus();
}

absl::StatusOr<AtomicFile> AtomicFile::create(const std::string& path) {
  constexpr int kAttempts = 100;
  constexpr mode_t kMode = 0666;  // less what the umask takes
  std::random_device random;
  for (int attempt = 0;; ++attempt) {
    std::string temporary = absl::StrFormat("%s.%08x.tmp", path, random());
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
    if (descriptor >= 0) return AtomicFile(path, std::move(temporary), descriptor);
    if (errno != EEXIST || attempt == kAttempts) return failed("cannot write", path, errno);
  }
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMostAtOnce));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("cannot write", path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) return failed("cannot write", path_, errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) return failed("cannot write", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("cannot write", path_, errno);
  temporary_.clear();
  return sync_directory(path_);
}

}  // namespace tapewire
