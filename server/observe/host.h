#pragma once

#include <cstdint>
#include <string>

namespace tapewire {

/// What this process may use of its machine. `root` stands for "/" in tests.

/// CPUs: the least of the affinity mask and the cgroup's quota (v1 or v2, rounded down, at least 1).
int usable_cpus(const std::string& root = "/");
/// Bytes of memory: the least of the machine's and the cgroup's limit (v1 or v2).
int64_t usable_memory(const std::string& root = "/");
/// "AMD EPYC 7B13", or "unknown".
std::string cpu_name(const std::string& root = "/");

}  // namespace tapewire
