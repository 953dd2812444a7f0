#include "server/observe/host.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace tapewire {
namespace {

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<double> parse_number(std::string_view text) {
  std::istringstream in{std::string(text)};
  double value = 0;
  if (!(in >> value)) return std::nullopt;
  return value;
}

std::optional<double> number_in(const std::string& path) {
  const std::optional<std::string> line = first_line(path);
  return line ? parse_number(*line) : std::nullopt;
}

// Where the process stands in the hierarchy of a controller ("" is v2's own), from /proc/self/cgroup.
std::optional<std::string> cgroup_path(const std::string& root, std::string_view controller) {
  std::ifstream file(root + "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t names = line.find(':');
    const size_t path = names == std::string::npos ? names : line.find(':', names + 1);
    if (path == std::string::npos) continue;
    std::istringstream list(line.substr(names + 1, path - names - 1));
    bool found = controller.empty() && path == names + 1;
    for (std::string name; std::getline(list, name, ',');) found |= !controller.empty() && name == controller;
    if (found) return line.substr(path + 1);
  }
  return std::nullopt;
}

// `path` and its parents down to the mount itself: a limit of each of them binds. Without a cgroup namespace a
// container's path is not there, and only the mount is.
std::vector<std::string> with_parents(const std::string& mount, std::string path) {
  std::vector<std::string> folders;
  while (!path.empty() && path != "/") {
    folders.push_back(mount + path);
    path.erase(path.rfind('/'));
  }
  folders.push_back(mount);
  return folders;
}

double cpu_quota(const std::string& root) {
  double least = std::numeric_limits<double>::infinity();
  if (const auto path = cgroup_path(root, "")) {
    for (const std::string& folder : with_parents(root + "sys/fs/cgroup", *path)) {
      const std::optional<std::string> line = first_line(folder + "/cpu.max");
      if (!line || line->starts_with("max")) continue;
      const std::optional<double> quota = parse_number(*line);
      const std::optional<double> period =
          parse_number(std::string_view(*line).substr(std::min(line->find(' '), line->size())));
      if (quota && period && *period > 0) least = std::min(least, *quota / *period);
    }
  }
  if (const auto path = cgroup_path(root, "cpu")) {
    for (const char* mount : {"sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"}) {
      for (const std::string& folder : with_parents(root + mount, *path)) {
        const std::optional<double> quota = number_in(folder + "/cpu.cfs_quota_us");
        const std::optional<double> period = number_in(folder + "/cpu.cfs_period_us");
        if (quota && *quota > 0 && period && *period > 0) least = std::min(least, *quota / *period);
      }
    }
  }
  return least;
}

double memory_limit(const std::string& root) {
  double least = std::numeric_limits<double>::infinity();
  const auto take = [&least](const std::optional<double>& bytes) {
    if (bytes && *bytes > 0) least = std::min(least, *bytes);
  };
  if (const auto path = cgroup_path(root, "")) {
    for (const std::string& folder : with_parents(root + "sys/fs/cgroup", *path))
      take(number_in(folder + "/memory.max"));
  }
  if (const auto path = cgroup_path(root, "memory")) {
    for (const std::string& folder : with_parents(root + "sys/fs/cgroup/memory", *path)) {
      take(number_in(folder + "/memory.limit_in_bytes"));
    }
  }
  return least;
}

// The value behind "key : " in a file of such lines, or "".
std::string value_of(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    const size_t value = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (value != std::string::npos) return line.substr(value);
  }
  return "";
}

}  // namespace

int usable_cpus(const std::string& root) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int affine = sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
  const double quota = cpu_quota(root);
  return quota < affine ? std::max(1, static_cast<int>(quota)) : affine;
}

int64_t usable_memory(const std::string& root) {
  const std::optional<double> kib = parse_number(value_of(root + "proc/meminfo", "MemTotal"));
  const double machine = kib.value_or(0) * 1024;
  const double limit = memory_limit(root);
  return static_cast<int64_t>(machine > 0 ? std::min(machine, limit) : std::min(limit, 0x1p62));
}

std::string cpu_name(const std::string& root) {
  std::string name = value_of(root + "proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

}  // namespace tapewire
