#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "client/cli/dataset.h"

namespace tapewire::client {

/// --data, --images, --labels, --inputs and --targets, each after `prefix` ("eval-"), described as `of` ("Training").
void add_source_options(CLI::App& command, DataSource& source, const std::string& prefix, const std::string& of);

/// --mean, --std, --target-columns and --class-targets.
void add_data_options(CLI::App& command, DataOptions& options);

/// Throws Exit(kUsage) unless the source is named in exactly one way, with targets if they are needed.
void check_source(const DataSource& source, const std::string& prefix, bool needs_targets);

/// load_dataset, whose errors and empty results throw Exit(kBadInput).
Dataset load_or_exit(const DataSource& source, Split split, const DataOptions& options);

}  // namespace tapewire::client
