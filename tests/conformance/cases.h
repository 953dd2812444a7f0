#pragma once

#include <string>
#include <vector>

#include "case.pb.h"

namespace tapewire::conformance {

/// All cases of a file that a generator wrote: xz over length-delimited messages. Throws std::runtime_error for a file
/// that is missing, damaged or of another format.
std::vector<Case> read_cases(const std::string& path);

/// Those of both files that are committed: of operators, then of modules.
const std::vector<Case>& all_cases();

/// "nn_functional_relu_float64_3": unique, and a test's name.
std::string test_name(const Case& c);

/// The database's name with the variant, if any: "div/floor_rounding".
std::string full_name(const Case& c);

}  // namespace tapewire::conformance
