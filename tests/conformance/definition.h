#pragma once

#include "tests/conformance/cases.h"

namespace tapewire::conformance {

/// A model that makes the case's call: a Graph of its inputs, with what it calls as a child.
v1::ModelSpec definition_of(const Case& c);

}  // namespace tapewire::conformance
