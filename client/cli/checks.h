#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/status.h"

namespace tapewire::client {

/// Checks of options, whose faults read "--lr: expects a number above 0, got 0". No option takes an infinite number.
CLI::Validator above_zero();
CLI::Validator above_zero_up_to(int64_t most);
CLI::Validator finite();
/// "--epochs: expects a whole number from 1 to 2147483647, got 1e3".
CLI::Validator whole(int64_t least, int64_t most);
/// Any number of 64 bits without a sign.
CLI::Validator whole_unsigned();
/// Whole numbers from 1 (from 0) to the largest that `value`, which takes the option, can hold.
template <class T>
CLI::Validator count_for(const T& /*value*/) {
  return whole(1, std::numeric_limits<T>::max()).name("POSITIVE");
}
template <class T>
CLI::Validator index_for(const T& /*value*/) {
  return whole(0, std::numeric_limits<T>::max()).name("NONNEGATIVE");
}

/// INVALID_ARGUMENT unless `text` is HOST:PORT or unix:PATH.
absl::Status check_server(const std::string& text);

}  // namespace tapewire::client
