#pragma once

#include <string>

namespace tapewire {

/// 128 random bits as hexadecimal text, from the system's generator: nobody guesses it.
std::string unguessable_id();

}  // namespace tapewire
