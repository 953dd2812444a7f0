#include "server/observe/host.h"

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace tapewire {
namespace {

class HostTest : public testing::Test {
 protected:
  HostTest() {
    std::string name = testing::TempDir() + "hostXXXXXX";
    root_ = std::string(mkdtemp(name.data())) + "/";
    write("proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\n");
  }
  ~HostTest() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  std::string root_;
};

TEST_F(HostTest, WithoutCgroupTheMachineIsTheLimit) {
  EXPECT_GE(usable_cpus(root_), 1);
  EXPECT_EQ(usable_memory(root_), int64_t{16000000} * 1024);
}

TEST_F(HostTest, CgroupV2LimitsBindFromEveryLevel) {
  write("proc/self/cgroup", "0::/pod/app\n");
  write("sys/fs/cgroup/pod/cpu.max", "100000 100000\n");
  write("sys/fs/cgroup/pod/app/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/pod/memory.max", "2000000000\n");
  write("sys/fs/cgroup/pod/app/memory.max", "1000000000\n");
  EXPECT_EQ(usable_cpus(root_), 1);
  EXPECT_EQ(usable_memory(root_), 1000000000);
}

TEST_F(HostTest, CgroupV2NamespaceRoot) {
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  write("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(usable_cpus(root_), 1);  // half a CPU is one thread
  EXPECT_EQ(usable_memory(root_), int64_t{16000000} * 1024);
}

TEST_F(HostTest, CgroupV1InAContainerWhosePathIsTheHosts) {
  write("proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "3000000000\n");
  EXPECT_EQ(usable_cpus(root_), 1);
  EXPECT_EQ(usable_memory(root_), 3000000000);
}

TEST_F(HostTest, UnlimitedV1QuotaIsNoLimit) {
  write("proc/self/cgroup", "4:cpu:/\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(usable_cpus(root_), usable_cpus("/nowhere/"));
}

TEST_F(HostTest, CpuNameIsTheFirstModelName) {
  EXPECT_EQ(cpu_name(root_), "unknown");
  write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU 3000\nmodel name\t: Other\n");
  EXPECT_EQ(cpu_name(root_), "Some CPU 3000");
}

TEST(Host, ThisMachineHasMemoryAndCpus) {
  EXPECT_GT(usable_memory(), int64_t{64} << 20);
  EXPECT_GE(usable_cpus(), 1);
}

}  // namespace
}  // namespace tapewire
