#include "server/observe/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "core/base/strings.h"
#include "core/tensor/allocator.h"
#include "core/tensor/tensor.h"
#include "gmock/gmock.h"
#include "server/observe/file_descriptor.h"

namespace tapewire {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, BuildInfoAndProcessAreThere) {
  const std::string text = Metrics({"1.2.3", "abc"}).text();
  EXPECT_THAT(text, HasSubstr("tapewire_build_info{commit=\"abc\",version=\"1.2.3\"} 1"));
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                           "process_max_fds", "process_start_time_seconds", "process_virtual_memory_bytes"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name + " "));
  }
  EXPECT_THAT(text, HasSubstr("tapewire_models 0"));
}

TEST(Metrics, StartTimeIsNow) {
  const std::string text = Metrics({"1", "a"}).text();
  const std::string name = "\nprocess_start_time_seconds ";
  const double start = std::stod(text.substr(text.find(name) + name.size()));
  const double now = static_cast<double>(time(nullptr));
  EXPECT_NEAR(start, now, 3600);
}

TEST(Metrics, RpcMethodCountsByCodeAndBucket) {
  Metrics metrics({"1", "a"});
  MethodMetrics& method = metrics.method("tapewire.v1.ModelService/GetModel");
  EXPECT_EQ(&method, &metrics.method("tapewire.v1.ModelService/GetModel"));
  method.begin();
  method.begin();
  EXPECT_THAT(metrics.text(), HasSubstr("tapewire_rpc_in_flight{method=\"tapewire.v1.ModelService/GetModel\"} 2"));
  method.end(absl::StatusCode::kOk, 2e-5);
  method.end(absl::StatusCode::kNotFound, 100);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("tapewire_rpc_in_flight{method=\"tapewire.v1.ModelService/GetModel\"} 0"));
  EXPECT_THAT(text, HasSubstr("code=\"OK\",method=\"tapewire.v1.ModelService/GetModel\",le=\"1e-05\"} 0"));
  EXPECT_THAT(text, HasSubstr("code=\"OK\",method=\"tapewire.v1.ModelService/GetModel\",le=\"2.5e-05\"} 1"));
  EXPECT_THAT(text, HasSubstr("code=\"NOT_FOUND\",method=\"tapewire.v1.ModelService/GetModel\",le=\"50\"} 0"));
  EXPECT_THAT(text, HasSubstr("code=\"NOT_FOUND\",method=\"tapewire.v1.ModelService/GetModel\",le=\"+Inf\"} 1"));
}

TEST(Metrics, BucketsAreOneTwoAndAHalfFiveFromTenMicrosecondsToFiftySeconds) {
  const std::vector<double>& buckets = duration_buckets();
  ASSERT_EQ(buckets.size(), 21u);
  EXPECT_EQ(buckets.front(), 1e-5);
  EXPECT_EQ(buckets.back(), 50);
  for (size_t i = 0; i + 3 < buckets.size(); ++i) EXPECT_DOUBLE_EQ(buckets[i + 3], buckets[i] * 10);
}

TEST(Metrics, ModelSeriesComeAndGoWithTheModel) {
  Metrics metrics({"1", "a"});
  const std::shared_ptr<ModelMetrics> model = metrics.add_model("mnist");
  model->observe_queue_wait(0.001);
  model->add_queue_depth(2);
  model->observe_compute(Phase::kForward, 0.01);
  model->add_step();
  model->add_samples(64);
  model->set_parameter_version(3);
  model->add_nonfinite(NonFinite::kGradient);
  model->add_tapes(1);
  model->add_tape_bytes(4096);
  model->add_hooks(4);
  model->add_hook_events(5);
  model->add_hook_dropped(HookDrop::kBlockTimeout);
  model->observe_hook_wait(0.1);
  std::string text = metrics.text();
  for (const char* line :
       {"tapewire_queue_wait_seconds_count{model=\"mnist\"} 1", "tapewire_queue_depth{model=\"mnist\"} 2",
        "tapewire_compute_seconds_count{model=\"mnist\",phase=\"forward\"} 1",
        "tapewire_steps_total{model=\"mnist\"} 1", "tapewire_samples_total{model=\"mnist\"} 64",
        "tapewire_parameter_version{model=\"mnist\"} 3",
        "tapewire_nonfinite_total{model=\"mnist\",kind=\"gradient\"} 1", "tapewire_tapes{model=\"mnist\"} 1",
        "tapewire_tape_bytes{model=\"mnist\"} 4096", "tapewire_hooks{model=\"mnist\"} 4",
        "tapewire_hook_events_total{model=\"mnist\"} 5",
        "tapewire_hook_dropped_total{model=\"mnist\",reason=\"block_timeout\"} 1",
        "tapewire_hook_wait_seconds_count{model=\"mnist\"} 1", "tapewire_models 1"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  metrics.remove_model(model);
  model->add_step();  // a call that ends late
  text = metrics.text();
  EXPECT_THAT(text, Not(HasSubstr("mnist")));
  EXPECT_THAT(text, HasSubstr("tapewire_models 0"));
}

int series(const std::string& text, const std::string& name) {
  int count = 0;
  for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST(Metrics, AnIdleModelHasAFewSeries) {
  Metrics metrics({"1", "a"});
  const auto model = metrics.add_model("idle");
  std::string text = metrics.text();
  EXPECT_EQ(series(text, "{model=\"idle\""), 8) << text;
  EXPECT_THAT(text, Not(HasSubstr("_bucket{model=")));
  EXPECT_THAT(text, Not(HasSubstr("tapewire_nonfinite_total")));
  EXPECT_THAT(text, Not(HasSubstr("tapewire_hook_dropped_total")));
  model->observe_compute(Phase::kStep, 0.1);
  model->add_nonfinite(NonFinite::kLoss);
  text = metrics.text();
  EXPECT_EQ(series(text, "tapewire_compute_seconds_bucket{model=\"idle\",phase=\"step\""), 22);
  EXPECT_THAT(text, HasSubstr("tapewire_nonfinite_total{model=\"idle\",kind=\"loss\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("kind=\"gradient\"")));
}

TEST(Metrics, TotalsOverModelsNeverFallAndHoldNoNames) {
  Metrics metrics({"1", "a"}, {.per_model = false});
  const auto first = metrics.add_model("first");
  const auto second = metrics.add_model("second");
  for (const auto& model : {first, second}) {
    model->add_step();
    model->add_samples(8);
    model->add_tapes(2);
    model->add_queue_depth(1);
    model->set_loss(0.5);
    model->observe_compute(Phase::kStep, 0.1);
    model->observe_queue_wait(0.1);
  }
  second->add_hook_dropped(HookDrop::kBufferFull, 3);
  std::string text = metrics.text();
  for (const char* line :
       {"tapewire_models 2\n", "tapewire_steps_total 2\n", "tapewire_samples_total 16\n", "tapewire_tapes 4\n",
        "tapewire_queue_depth 2\n", "tapewire_compute_seconds_count{phase=\"step\"} 2\n",
        "tapewire_queue_wait_seconds_count 2\n", "tapewire_hook_dropped_total{reason=\"buffer_full\"} 3\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("first")));
  EXPECT_THAT(text, Not(HasSubstr("tapewire_loss")));
  EXPECT_THAT(text, Not(HasSubstr("tapewire_parameter_version")));
  metrics.remove_model(first);
  text = metrics.text();
  for (const char* line : {"tapewire_models 1\n", "tapewire_steps_total 2\n", "tapewire_tapes 2\n",
                           "tapewire_compute_seconds_count{phase=\"step\"} 2\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, AHistogramHasItsSumCountAndCumulativeBuckets) {
  Metrics metrics({"1", "a"});
  const auto model = metrics.add_model("m");
  for (const double seconds : {1e-5, 2e-5, 0.3, 60.0}) model->observe_queue_wait(seconds);
  const std::string text = metrics.text();
  for (const char* line :
       {"{model=\"m\",le=\"1e-05\"} 1", "{model=\"m\",le=\"2.5e-05\"} 2", "{model=\"m\",le=\"0.25\"} 2",
        "{model=\"m\",le=\"0.5\"} 3", "{model=\"m\",le=\"50\"} 3", "{model=\"m\",le=\"+Inf\"} 4"}) {
    EXPECT_THAT(text, HasSubstr(std::string("tapewire_queue_wait_seconds_bucket") + line));
  }
  EXPECT_THAT(text, HasSubstr("tapewire_queue_wait_seconds_count{model=\"m\"} 4"));
  const std::string sum = "tapewire_queue_wait_seconds_sum{model=\"m\"} ";
  EXPECT_NEAR(std::stod(text.substr(text.find(sum) + sum.size())), 60.30003, 1e-9);
}

TEST(Metrics, LabelValuesAreEscaped) {
  Metrics metrics({"1", "a"});
  const auto model = metrics.add_model("a\"b\\c\nd");
  EXPECT_THAT(metrics.text(), HasSubstr("tapewire_steps_total{model=\"a\\\"b\\\\c\\nd\"} 0\n"));
}

TEST(Metrics, TheProcesssFiguresAreTheKernels) {
  const auto value = [](const std::string& text, const std::string& name) {
    return std::stod(text.substr(text.find("\n" + name + " ") + name.size() + 2));
  };
  Metrics metrics({"1", "a"});
  const std::string before = metrics.text();
  EXPECT_GT(value(before, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(value(before, "process_virtual_memory_bytes"), value(before, "process_resident_memory_bytes"));
  EXPECT_GE(value(before, "process_threads"), 1);
  std::vector<FileDescriptor> open;
  for (int i = 0; i < 5; ++i) open.emplace_back(dup(STDERR_FILENO));
  EXPECT_EQ(value(metrics.text(), "process_open_fds"), value(before, "process_open_fds") + 5);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(value(before, "process_max_fds"), static_cast<double>(limit.rlim_cur));
}

TEST(Metrics, ANewModelOfTheSameNameBeginsAfresh) {
  Metrics metrics({"1", "a"});
  const auto first = metrics.add_model("m");
  first->add_step();
  metrics.remove_model(first);
  const auto second = metrics.add_model("m");
  first->add_step();
  EXPECT_THAT(metrics.text(), HasSubstr("tapewire_steps_total{model=\"m\"} 0"));
}

TEST(Metrics, LossIsNotShownBeforeThereIsOne) {
  Metrics metrics({"1", "a"});
  const auto model = metrics.add_model("m");
  EXPECT_THAT(metrics.text(), Not(HasSubstr("tapewire_loss")));
  model->set_loss(0.25);
  model->set_grad_norm(1.5);
  model->set_learning_rate(0.5);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("tapewire_loss{model=\"m\"} 0.25"));
  EXPECT_THAT(text, HasSubstr("tapewire_grad_norm{model=\"m\"} 1.5"));
  EXPECT_THAT(text, HasSubstr("tapewire_learning_rate{model=\"m\"} 0.5"));
}

TEST(Metrics, TensorBytesAreTheAllocators) {
  Metrics metrics({"1", "a"});
  const Tensor tensor = Tensor::zeros({1024});
  const std::string live = std::to_string(tensor_allocator().stats().live);
  EXPECT_THAT(metrics.text(), HasSubstr("tapewire_tensor_bytes{kind=\"live\"} " + live));
}

TEST(Metrics, RejectionsCountByReason) {
  Metrics metrics({"1", "a"});
  metrics.add_rejected("max_queue");
  metrics.add_rejected("max_queue");
  EXPECT_THAT(metrics.text(), HasSubstr("tapewire_rejected_total{reason=\"max_queue\"} 2"));
}

TEST(Metrics, ScrapingRacesWithCounting) {
  Metrics metrics({"1", "a"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const auto model = metrics.add_model(str_cat("m", t));
        model->observe_compute(Phase::kStep, 0.001);
        MethodMetrics& method = metrics.method(str_cat("s/", i % 5));
        method.begin();
        method.end(static_cast<absl::StatusCode>(i % 17), 0.001);
        metrics.remove_model(model);
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_THAT(metrics.text(), HasSubstr("tapewire_models"));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.model_count(), 0);
}

}  // namespace
}  // namespace tapewire
