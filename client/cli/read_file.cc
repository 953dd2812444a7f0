#include "client/cli/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"

namespace tapewire::client {
namespace {

struct CloseGzip {
  void operator()(gzFile file) const { gzclose(file); }
};

}  // namespace

absl::StatusOr<std::string> read_data_file(const std::string& path, size_t max_bytes) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  struct stat info{};
  if (fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
    close(descriptor);
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
  }
  const std::unique_ptr<gzFile_s, CloseGzip> file(gzdopen(descriptor, "rb"));
  if (!file) {
    close(descriptor);
    return absl::ResourceExhaustedError(absl::StrCat("no memory to read ", path));
  }
  gzbuffer(file.get(), 1 << 17);
  std::string content;
  constexpr size_t kPiece = 1 << 20;
  while (true) {
    const size_t before = content.size();
    content.resize(before + kPiece);
    const int got = gzread(file.get(), content.data() + before, kPiece);
    content.resize(before + static_cast<size_t>(got > 0 ? got : 0));
    // A file cut short reads as an early end; only gzerror tells.
    int error = Z_OK;
    const char* message = gzerror(file.get(), &error);
    if (got < 0 || (error != Z_OK && error != Z_STREAM_END)) {
      if (error == Z_ERRNO) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
      return absl::DataLossError(absl::StrCat(path, ": broken gzip file: ", message));
    }
    if (content.size() > max_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(path, " holds more than ", max_bytes, " bytes"));
    }
    if (got == 0) return content;
  }
}

}  // namespace tapewire::client
