#include "server/observe/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace tapewire {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily single(const char* name, const char* help, MetricType type, double value) {
  prometheus::ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return {name, help, type, {metric}};
}

// Fields of /proc/self/stat behind the command's name, which may hold spaces; the first is field 3 of proc(5).
std::vector<double> stat_fields() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(line.substr(name_end + 1));
  std::string state;
  rest >> state;
  std::vector<double> fields{0};
  for (double value; rest >> value;) fields.push_back(value);
  return fields;
}

// Seconds since the epoch at which the kernel's clock of start times began.
double boot_time() {
  std::ifstream file("/proc/stat");
  std::string word;
  for (double value; file >> word;) {
    if (word == "btime" && file >> value) return value;
  }
  return 0;
}

}  // namespace

std::vector<MetricFamily> collect_process_metrics() {
  std::vector<MetricFamily> families;
  const std::vector<double> stat = stat_fields();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  if (stat.size() > 21) {
    families.push_back(single("process_cpu_seconds_total", "User and system CPU time", MetricType::Counter,
                              (stat[11] + stat[12]) / ticks));
    families.push_back(single("process_threads", "Threads", MetricType::Gauge, stat[17]));
    families.push_back(single("process_start_time_seconds", "Start, in seconds since the epoch", MetricType::Gauge,
                              boot_time() + stat[19] / ticks));
    families.push_back(single("process_virtual_memory_bytes", "Virtual memory", MetricType::Gauge, stat[20]));
    families.push_back(single("process_resident_memory_bytes", "Resident memory", MetricType::Gauge, stat[21] * page));
  }
  std::error_code error;
  double open = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end; it.increment(error)) {
    ++open;
  }
  if (!error) {
    // One of them was the directory itself.
    families.push_back(single("process_open_fds", "Open file descriptors", MetricType::Gauge, open - 1));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.push_back(single("process_max_fds", "Most file descriptors that may be open", MetricType::Gauge,
                              static_cast<double>(limit.rlim_cur)));
  }
  return families;
}

}  // namespace tapewire
