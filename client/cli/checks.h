#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "absl/status/status.h"

namespace tapewire::client {

/// Checks of options, whose faults read "--epochs: expects a number above 0, got 0".
CLI::Validator above_zero();
CLI::Validator zero_or_more();
CLI::Validator between(int least, int most);

/// INVALID_ARGUMENT unless `text` is HOST:PORT or unix:PATH.
absl::Status check_server(const std::string& text);

}  // namespace tapewire::client
