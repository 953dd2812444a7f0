#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "client/cpp/client.h"
#include "core/io/safetensors.h"

namespace tapewire::client {

/// Writes a state dict as a safetensors file that PyTorch's and Hugging Face's loaders take: marked with the metadata
/// format=pt. Takes the tensors' bytes out of `state`. INVALID_ARGUMENT names a tensor that is malformed or
/// of a dtype that only the wire has; else the errors of write_safetensors.
absl::Status write_state_file(const std::string& path, std::map<std::string, v1::Tensor> state);

/// The tensors of a file in pieces for write_state, read as they are sent. `file` outlives the source. `progress` is
/// told how many bytes have been given.
ChunkSource chunks_of_file(const SafetensorsFile& file, std::function<void(int64_t bytes)> progress);

}  // namespace tapewire::client
