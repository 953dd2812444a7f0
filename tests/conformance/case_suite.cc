#include "tests/conformance/case_suite.h"

namespace tapewire::conformance {

namespace {

std::vector<CaseParameter> cases(bool initial) {
  std::vector<CaseParameter> out;
  for (const Case& c : all_cases()) {
    if ((c.initial_size() > 0) == initial) out.push_back({&c});
  }
  return out;
}

}  // namespace

std::vector<CaseParameter> call_cases() { return cases(false); }
std::vector<CaseParameter> initial_cases() { return cases(true); }

std::string case_test_name(const testing::TestParamInfo<CaseParameter>& info) { return test_name(*info.param.sample); }

}  // namespace tapewire::conformance
