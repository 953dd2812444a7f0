#include "tests/optim/trajectories.h"

#include <algorithm>
#include <cmath>

#include "core/optim/decay_schedules.h"
#include "core/optim/optimizer.h"
#include "gtest/gtest.h"
#include "tests/optim/support.h"

namespace tapewire {
namespace {

// The problem of generate_trajectories.py.
class Problem {
 public:
  explicit Problem(DType dtype = DType::kFloat64) {
    p_ = {"p", Tensor::empty({4}, dtype)};
    q_ = {"q", Tensor::full({1}, -0.5, dtype)};
    dispatch_floating("test", dtype, [&]<class T>(TypeTag<T>) {
      for (int64_t i = 0; i < 4; ++i) p_.tensor.mutable_data<T>()[i] = static_cast<T>(i + 1) / 4;
    });
    set_requires_grad(p_.tensor);
    set_requires_grad(q_.tensor);
  }

  std::vector<NamedTensor> parameters() const { return {p_, q_}; }

  void differentiate(int step) const {
    dispatch_floating("test", p_.tensor.dtype(), [&]<class T>(TypeTag<T>) {
      const Tensor grad = Tensor::empty({4}, p_.tensor.dtype());
      for (int64_t i = 0; i < 4; ++i) {
        const T c = static_cast<T>(i + 1) / 2;
        const T t = static_cast<T>(i - 2) / 8;
        grad.mutable_data<T>()[i] = 2 * c * (p_.tensor.data<T>()[i] - t) + noise<T>(step, i);
      }
      set_gradient(p_.tensor, grad);
      const T slope = q_.tensor.data<T>()[0] - 1 + noise<T>(step, 0);
      set_gradient(q_.tensor, step % 3 == 2 ? Tensor() : Tensor::full({1}, double{slope}, grad.dtype()));
    });
  }

  std::vector<double> values() const {
    std::vector<double> out = p_.tensor.to_vector<double>();
    out.push_back(q_.tensor.item<double>());
    return out;
  }

 private:
  template <class T>
  static T noise(int step, int64_t i) {
    return (static_cast<T>((37 * step + 11 * i) % 64) - T{31.5}) / 64;
  }

  NamedTensor p_;
  NamedTensor q_;
};

std::unique_ptr<Optimizer> make(const Trajectory& t, const Problem& problem) {
  std::vector<std::string> faults;
  auto optimizer = require_optimizer(t.optimizer).make({{problem.parameters(), {}}}, t.options, faults);
  EXPECT_TRUE(faults.empty()) << faults[0];
  return optimizer;
}

class TrajectoryTest : public testing::TestWithParam<Trajectory> {};

TEST_P(TrajectoryTest, FollowsPyTorch) {
  const Trajectory& t = GetParam();
  const Problem problem;
  const auto optimizer = make(t, problem);
  StepLR schedule(*optimizer, {.step_size = 200, .gamma = 0.7});
  size_t shown = 0;
  for (int step = 0; step < kTrajectorySteps.back(); ++step) {
    problem.differentiate(step);
    optimizer->step();
    schedule.step();
    if (step + 1 != kTrajectorySteps[shown]) continue;
    const std::vector<double> values = problem.values();
    for (size_t i = 0; i < values.size(); ++i) {
      const double want = t.parameters[shown][i];
      EXPECT_NEAR(values[i], want, 1e-12 * std::max(1.0, std::abs(want))) << "step " << step + 1 << ", element " << i;
    }
    ++shown;
  }
  EXPECT_EQ(shown, kTrajectorySteps.size());
}

TEST_P(TrajectoryTest, FollowsPyTorchInFloat32) {
  const Trajectory& t = GetParam();
  const Problem problem(DType::kFloat32);
  const auto optimizer = make(t, problem);
  StepLR schedule(*optimizer, {.step_size = 200, .gamma = 0.7});
  for (int step = 0; step < kTrajectorySteps.back(); ++step) {
    problem.differentiate(step);
    optimizer->step();
    schedule.step();
  }
  const std::vector<double> values = problem.values();
  for (size_t i = 0; i < values.size(); ++i) {
    // A thousand steps of rounding, which PyTorch does in another order.
    EXPECT_NEAR(values[i], t.in_float32[i], 1e-5 * std::max(1.0, std::abs(t.in_float32[i]))) << "element " << i;
  }
}

TEST_P(TrajectoryTest, ResumesExactlyFromItsState) {
  const Trajectory& t = GetParam();
  const Problem straight;
  const auto first = make(t, straight);
  StepLR schedule(*first, {.step_size = 4, .gamma = 0.5});
  const Problem stopped;
  std::unique_ptr<Optimizer> second = make(t, stopped);
  auto resumed = std::make_unique<StepLR>(*second, StepLROptions{.step_size = 4, .gamma = 0.5});
  for (int step = 0; step < 13; ++step) {
    if (step == 5) {
      const OptimizerState state = second->state_dict();
      const SchedulerState at = resumed->state_dict();
      std::unique_ptr<Optimizer> next = make(t, stopped);
      resumed = std::make_unique<StepLR>(*next, StepLROptions{.step_size = 4, .gamma = 0.5});
      next->load_state_dict(state);
      resumed->load_state_dict(at);
      second = std::move(next);
    }
    straight.differentiate(step);
    first->step();
    schedule.step();
    stopped.differentiate(step);
    second->step();
    resumed->step();
  }
  EXPECT_EQ(straight.values(), stopped.values());
  EXPECT_EQ(first->learning_rate(), second->learning_rate());
  EXPECT_EQ(schedule.last_lr(), resumed->last_lr());
}

TEST_P(TrajectoryTest, ComesBackToASnapshot) {
  const Trajectory& t = GetParam();
  const Problem problem;
  const auto optimizer = make(t, problem);
  const auto steps = [&](int from, int to) {
    for (int step = from; step < to; ++step) {
      problem.differentiate(step);
      optimizer->step();
    }
  };
  steps(0, 2);
  const Optimizer::Snapshot snapshot = optimizer->snapshot();
  std::vector<Ref<Buffer>> bytes;
  for (const NamedTensor& p : problem.parameters()) bytes.push_back(p.tensor.storage().share_buffer());
  steps(2, 6);
  optimizer->set_learning_rate(7);
  const std::vector<double> once = problem.values();
  optimizer->restore(snapshot);
  for (size_t i = 0; i < bytes.size(); ++i) problem.parameters()[i].tensor.storage().replace_buffer(bytes[i]);
  steps(2, 6);
  EXPECT_EQ(problem.values(), once);
}

INSTANTIATE_TEST_SUITE_P(Optimizers, TrajectoryTest, testing::ValuesIn(trajectories()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tapewire
