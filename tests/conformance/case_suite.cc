#include "tests/conformance/case_suite.h"

namespace tapewire::conformance {

std::vector<CaseParameter> case_parameters() {
  std::vector<CaseParameter> out;
  for (const Case& c : operator_cases()) out.push_back({&c});
  return out;
}

std::string case_test_name(const testing::TestParamInfo<CaseParameter>& info) { return test_name(*info.param.sample); }

}  // namespace tapewire::conformance
