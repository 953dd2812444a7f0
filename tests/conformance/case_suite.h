#pragma once

#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/conformance/cases.h"

namespace tapewire::conformance {

/// A case as a test's parameter, which prints its name.
struct CaseParameter {
  const Case* sample;
  friend void PrintTo(const CaseParameter& p, std::ostream* out) { *out << full_name(*p.sample); }
};

/// The suite of one parameterised test over cases. Records each one's name for the count of names and cases that
/// `./dev test conformance` ends with.
class CaseTest : public testing::TestWithParam<CaseParameter> {
 protected:
  void SetUp() override { RecordProperty("database_name", sample().name()); }
  static const Case& sample() { return *GetParam().sample; }
};

/// The cases of calls, and those of first values, as parameters.
std::vector<CaseParameter> call_cases();
std::vector<CaseParameter> initial_cases();
std::string case_test_name(const testing::TestParamInfo<CaseParameter>& info);

}  // namespace tapewire::conformance
