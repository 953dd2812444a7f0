#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

/// Private to the library: whole tensors from a stream of their pieces.
class TensorAssembler {
 public:
  /// Appends a piece. DATA_LOSS if it does not follow the one before it or overruns its tensor.
  absl::Status add(v1::TensorChunk chunk);

  /// All tensors by name. DATA_LOSS if the last one is not whole.
  absl::StatusOr<std::map<std::string, v1::Tensor>> take() &&;

 private:
  absl::Status check_current() const;

  std::map<std::string, v1::Tensor> tensors_;
  std::string current_;
};

}  // namespace tapewire::client
