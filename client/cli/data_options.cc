#include "client/cli/data_options.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/checks.h"
#include "client/cli/exit.h"

namespace tapewire::client {

void add_source_options(CLI::App& command, DataSource& source, const std::string& prefix, const std::string& of) {
  const std::string group = of + " data (name it in one way)";
  command
      .add_option(
          "--" + prefix + "data", source.data,
          "Folder of IDX files named like MNIST's (*train-images-idx3-ubyte[.gz], test or t10k), or a .csv file")
      ->group(group);
  command.add_option("--" + prefix + "images", source.images, "IDX file of images, gzipped or not")->group(group);
  command.add_option("--" + prefix + "labels", source.labels, "IDX file of labels, gzipped or not")->group(group);
  command.add_option("--" + prefix + "inputs", source.inputs, ".npy file of inputs")->group(group);
  command.add_option("--" + prefix + "targets", source.targets, ".npy file of targets")->group(group);
}

void add_data_options(CLI::App& command, DataOptions& options) {
  const std::string group = "Meaning of the data";
  command.add_option("--mean", options.mean, "Subtracted from pixels scaled to 0..1")
      ->check(finite())
      ->capture_default_str()
      ->group(group);
  command.add_option("--std", options.std, "Then divided by this")
      ->check(above_zero())
      ->capture_default_str()
      ->group(group);
  command.add_option("--target-columns", options.target_columns, "Of a .csv file, the last that are targets")
      ->check(index_for(options.target_columns))
      ->capture_default_str()
      ->group(group);
  command.add_flag("--class-targets", options.class_targets, "The last column of a .csv file is a class")->group(group);
}

void check_source(const DataSource& source, const std::string& prefix, bool needs_targets) {
  const std::string dashed = "--" + prefix;
  const int ways = !source.data.empty() + (!source.images.empty() || !source.labels.empty()) +
                   (!source.inputs.empty() || !source.targets.empty());
  if (ways != 1) {
    fail_usage(absl::StrCat("data is named by one of ", dashed, "data, ", dashed, "images and ", dashed, "labels, ",
                            dashed, "inputs and ", dashed, "targets"));
  }
  if (source.images.empty() && !source.labels.empty()) fail_usage(dashed + "labels needs " + dashed + "images");
  if (source.inputs.empty() && !source.targets.empty()) fail_usage(dashed + "targets needs " + dashed + "inputs");
  if (!needs_targets) return;
  if (!source.images.empty() && source.labels.empty()) fail_usage(dashed + "images needs " + dashed + "labels here");
  if (!source.inputs.empty() && source.targets.empty()) fail_usage(dashed + "inputs needs " + dashed + "targets here");
}

Dataset load_or_exit(const DataSource& source, Split split, const DataOptions& options) {
  Dataset dataset = from_file(load_dataset(source, split, options));
  if (dataset.size() == 0) fail_input("the data holds no samples");
  return dataset;
}

}  // namespace tapewire::client
