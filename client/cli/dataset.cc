#include "client/cli/dataset.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/csv.h"
#include "client/cli/idx.h"
#include "client/cli/npy.h"
#include "client/cli/read_file.h"
#include "client/cpp/status.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

namespace fs = std::filesystem;

using Parser = absl::StatusOr<v1::Tensor>(std::string_view, const std::string&);

absl::StatusOr<v1::Tensor> read_array(const std::string& path, Parser* parse) {
  auto content = read_data_file(path);
  if (!content.ok()) return content.status();
  auto tensor = parse(*content, path);
  if (!tensor.ok()) return tensor.status();
  if (tensor->shape_size() == 0) return absl::InvalidArgumentError(absl::StrCat(path, ": a scalar holds no samples"));
  return tensor;
}

Shape shape_of(const v1::Tensor& tensor) { return {tensor.shape().begin(), tensor.shape().end()}; }

/// Of a dtype that to_doubles takes.
v1::Tensor to_float32(const v1::Tensor& tensor, double scale, double shift) {
  const std::vector<double> values = *to_doubles(tensor);
  std::vector<float> converted(values.size());
  std::transform(values.begin(), values.end(), converted.begin(),
                 [=](double value) { return static_cast<float>(value * scale + shift); });
  return make_tensor<float>(shape_of(tensor), converted);
}

v1::Tensor to_int64(const v1::Tensor& tensor) {
  const std::vector<double> values = *to_doubles(tensor);
  std::vector<int64_t> converted(values.size());
  std::transform(values.begin(), values.end(), converted.begin(),
                 [](double value) { return static_cast<int64_t>(value); });
  return make_tensor<int64_t>(shape_of(tensor), converted);
}

bool is_floating(const v1::Tensor& tensor) {
  return tensor.dtype() == v1::DATA_TYPE_FLOAT32 || tensor.dtype() == v1::DATA_TYPE_FLOAT64;
}

void set_inputs(Dataset& dataset, v1::Tensor array, const DataOptions& options) {
  if (array.dtype() != v1::DATA_TYPE_UINT8) {
    dataset.inputs = is_floating(array) ? to_float32(array, 1, 0) : std::move(array);
    return;
  }
  dataset.inputs = to_float32(array, 1 / (255 * options.std), -options.mean / options.std);
  if (array.shape_size() != 3) return;
  Shape shape = shape_of(array);
  shape.insert(shape.begin() + 1, 1);  // one channel
  dataset.inputs.clear_shape();
  dataset.inputs.mutable_shape()->Add(shape.begin(), shape.end());
  dataset.pixels = std::move(array);
}

void set_targets(Dataset& dataset, v1::Tensor array) {
  dataset.targets = is_floating(array)                     ? to_float32(array, 1, 0)
                    : array.dtype() == v1::DATA_TYPE_INT64 ? std::move(array)
                                                           : to_int64(array);
}

absl::StatusOr<Dataset> load_pair(const std::string& inputs_path, const std::string& targets_path, Parser* parse,
                                  const DataOptions& options) {
  Dataset dataset;
  auto inputs = read_array(inputs_path, parse);
  if (!inputs.ok()) return inputs.status();
  set_inputs(dataset, *std::move(inputs), options);
  if (targets_path.empty()) return dataset;
  auto targets = read_array(targets_path, parse);
  if (!targets.ok()) return targets.status();
  if (targets->shape(0) != dataset.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(targets_path, " holds ", targets->shape(0), " samples, ", inputs_path, " holds ", dataset.size()));
  }
  set_targets(dataset, *std::move(targets));
  return dataset;
}

absl::StatusOr<Dataset> load_csv(const std::string& path, const DataOptions& options) {
  const auto table = read_array(path, parse_csv);
  if (!table.ok()) return table.status();
  const int64_t rows = table->shape(0);
  const int64_t columns = table->shape(1);
  const int64_t target_columns = options.class_targets ? 1 : options.target_columns;
  if (target_columns >= columns) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has ", columns, " columns, of which ", target_columns,
                                                   " are targets: no inputs are left"));
  }
  const auto values = *view<double>(*table);
  std::vector<float> inputs;
  std::vector<float> targets;
  std::vector<int64_t> classes;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const double value = values[static_cast<size_t>(row * columns + column)];
      if (column < columns - target_columns) {
        inputs.push_back(static_cast<float>(value));
      } else if (options.class_targets) {
        if (!(value >= 0 && value < 1e9) || value != static_cast<double>(static_cast<int64_t>(value))) {
          return absl::InvalidArgumentError(absl::StrCat(path, ": row ", row + 1, ": ", value, " is not a class"));
        }
        classes.push_back(static_cast<int64_t>(value));
      } else {
        targets.push_back(static_cast<float>(value));
      }
    }
  }
  Dataset dataset;
  dataset.inputs = make_tensor<float>({rows, columns - target_columns}, inputs);
  if (options.class_targets) {
    dataset.targets = make_tensor<int64_t>({rows}, classes);
  } else if (target_columns > 0) {
    dataset.targets = make_tensor<float>({rows, target_columns}, targets);
  }
  return dataset;
}

/// The one file of `folder` whose name ends with one of `stems`, gzipped or not.
absl::StatusOr<std::string> find_file(const std::string& folder, const std::vector<std::string>& stems) {
  std::vector<std::string> found;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.ends_with(".gz")) name.resize(name.size() - 3);
    if (std::any_of(stems.begin(), stems.end(), [&](const std::string& stem) { return name.ends_with(stem); })) {
      found.push_back(entry->path().string());
    }
  }
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot list ", folder));
  if (found.empty()) {
    return absl::NotFoundError(absl::StrCat(folder, " holds no file named *", absl::StrJoin(stems, " or *"), "[.gz]"));
  }
  if (found.size() > 1) {
    std::sort(found.begin(), found.end());
    return absl::InvalidArgumentError(absl::StrCat("which of ", absl::StrJoin(found, ", "), "? Name one"));
  }
  return found[0];
}

absl::StatusOr<Dataset> load_folder(const std::string& folder, Split split, const DataOptions& options) {
  const std::vector<std::string> prefixes =
      split == Split::kTrain ? std::vector<std::string>{"train"} : std::vector<std::string>{"test", "t10k"};
  std::vector<std::string> image_names;
  std::vector<std::string> label_names;
  for (const auto& prefix : prefixes) {
    image_names.push_back(prefix + "-images-idx3-ubyte");
    label_names.push_back(prefix + "-labels-idx1-ubyte");
  }
  const auto images = find_file(folder, image_names);
  if (!images.ok()) return images.status();
  const auto labels = find_file(folder, label_names);
  if (!labels.ok()) return labels.status();
  return load_pair(*images, *labels, parse_idx, options);
}

}  // namespace

v1::Tensor gather_rows(const v1::Tensor& tensor, std::span<const int64_t> rows) {
  const auto total = static_cast<size_t>(tensor.shape(0));
  const size_t row_bytes = total == 0 ? 0 : tensor.data().size() / total;
  v1::Tensor result;
  result.set_dtype(tensor.dtype());
  *result.mutable_shape() = tensor.shape();
  result.set_shape(0, static_cast<int64_t>(rows.size()));
  std::string& data = *result.mutable_data();
  data.reserve(rows.size() * row_bytes);
  for (const int64_t row : rows) data.append(tensor.data(), static_cast<size_t>(row) * row_bytes, row_bytes);
  return result;
}

Batch Dataset::batch(std::span<const int64_t> rows, const std::string& input_name) const {
  Batch result;
  result.inputs.push_back(named(input_name, gather_rows(inputs, rows)));
  if (targets) result.targets.push_back(named("target", gather_rows(*targets, rows)));
  return result;
}

absl::StatusOr<Dataset> load_dataset(const DataSource& source, Split split, const DataOptions& options) {
  if (!source.images.empty()) return load_pair(source.images, source.labels, parse_idx, options);
  if (!source.inputs.empty()) return load_pair(source.inputs, source.targets, parse_npy, options);
  std::error_code error;
  if (fs::is_directory(source.data, error)) return load_folder(source.data, split, options);
  const bool csv = source.data.ends_with(".csv") || source.data.ends_with(".csv.gz");
  if (csv || !fs::exists(source.data, error)) return load_csv(source.data, options);
  return absl::InvalidArgumentError(absl::StrCat(source.data, " is neither a folder of IDX files nor a .csv file"));
}

std::vector<int64_t> shuffled(int64_t size, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  // std::shuffle's order is the library's own affair; mt19937_64 is the same everywhere.
  std::mt19937_64 random(seed);
  for (size_t left = order.size(); left > 1; --left) std::swap(order[left - 1], order[random() % left]);
  return order;
}

}  // namespace tapewire::client
