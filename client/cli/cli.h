#pragma once

#include <string>
#include <vector>

#include "client/cli/console.h"

namespace tapewire::client {

/// The command line without the program's name; returns the exit code (see exit.h).
int run_cli(const std::vector<std::string>& arguments, const Console& console);

}  // namespace tapewire::client
