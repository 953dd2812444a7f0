#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/client.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

enum class Split { kTrain, kTest };

/// Where samples come from; one of the ways of naming files is used.
struct DataSource {
  std::string data;             // a folder of IDX files named as MNIST's, or a .csv file
  std::string images, labels;   // IDX files
  std::string inputs, targets;  // .npy files

  bool empty() const { return data.empty() && images.empty() && inputs.empty(); }
};

struct DataOptions {
  double mean = 0;  // of pixels, after scaling them to 0 .. 1
  double std = 1;
  int target_columns = 1;      // the last of a .csv file's
  bool class_targets = false;  // the last column of a .csv file is a class
};

/// Samples in memory: inputs are float32 (or integers, as they came); the first dimension of both counts samples.
struct Dataset {
  v1::Tensor inputs;
  std::optional<v1::Tensor> targets;
  /// Of images, as they were in the file: [N, rows, columns].
  std::optional<v1::Tensor> pixels;

  int64_t size() const { return inputs.shape(0); }
  /// int64 classes, one a sample.
  bool has_classes() const { return targets && targets->dtype() == v1::DATA_TYPE_INT64 && targets->shape_size() == 1; }
  /// The samples at these rows. `input_name` is the model's.
  Batch batch(std::span<const int64_t> rows, const std::string& input_name) const;
};

/// Reads the files of a source. Images (uint8 [N, H, W]) become float32 [N, 1, H, W], (x / 255 - mean) / std; uint8 or
/// int32 labels become int64. Errors name the file: what cannot be opened, is malformed, or does not match its partner.
absl::StatusOr<Dataset> load_dataset(const DataSource& source, Split split, const DataOptions& options);

/// The rows of `tensor` at these indices, in their order. REQUIRES: a well-formed tensor of one dimension or more.
v1::Tensor gather_rows(const v1::Tensor& tensor, std::span<const int64_t> rows);

/// 0 .. size-1 in an order that depends on `seed` alone, the same on every platform.
std::vector<int64_t> shuffled(int64_t size, uint64_t seed);

}  // namespace tapewire::client
