#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tapewire {

/// Why the server refuses a call that it could serve at another time: the name of the limit's flag ("max_queue"), or
/// "draining". It travels in a payload of the status, within the process; metrics count by it. A LimitError becomes
/// such a status in caught_status().

/// RESOURCE_EXHAUSTED, unless `code` says otherwise, at the limit that the flag `limit` sets. The message names what
/// came, the limit and the flag.
absl::Status limit_status(std::string_view limit, std::string_view message,
                          absl::StatusCode code = absl::StatusCode::kResourceExhausted);
/// UNAVAILABLE: "draining: " and the message.
absl::Status draining_status(std::string_view message);

/// The reason that the status carries; "other" for a RESOURCE_EXHAUSTED without one, "" for what is no rejection.
std::string rejection_reason(const absl::Status& status);

}  // namespace tapewire
