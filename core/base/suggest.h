#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tapewire {

/// The candidate nearest to `name` by edit distance, the first of several, or "" when none is near enough to be a
/// likely slip: of long names, and behind the first 2,000 candidates of like length, none is. Checks the cancel token.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

/// "; did you mean 'x'?" for an unknown name, or "" when no candidate is near.
std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

/// What came from outside, fit for a message: at most `limit` bytes, control characters escaped.
std::string quoted(std::string_view text, size_t limit = 80);

}  // namespace tapewire
