// PyTorch's databases of operators and modules, replayed in the engine.

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/conformance/case_suite.h"
#include "tests/conformance/replay.h"

namespace tapewire::conformance {
namespace {

class EngineConformance : public CaseTest {};

TEST_P(EngineConformance, GivesWhatPyTorchGives) {
  if (sample().fails()) {
    try {
      replay(sample(), Precision::kAsRecorded);
      FAIL() << "no error, expected one";
    } catch (const Error& error) {
      EXPECT_NE(error.code(), absl::StatusCode::kInternal) << error.message();
    }
    return;
  }
  EXPECT_EQ(difference(sample(), replay(sample(), Precision::kAsRecorded), Precision::kAsRecorded), "");
  if (sample().float32()) {
    EXPECT_EQ(difference(sample(), replay(sample(), Precision::kFloat32), Precision::kFloat32), "") << "in float32";
  }
}

INSTANTIATE_TEST_SUITE_P(Database, EngineConformance, testing::ValuesIn(call_cases()), case_test_name);

class EngineInitialConformance : public CaseTest {};

TEST_P(EngineInitialConformance, BeginsWithThePyTorchValues) {
  EXPECT_EQ(initial_difference(sample(), replay_initial(sample())), "");
}

INSTANTIATE_TEST_SUITE_P(Database, EngineInitialConformance, testing::ValuesIn(initial_cases()), case_test_name);

}  // namespace
}  // namespace tapewire::conformance
