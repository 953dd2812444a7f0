#include "tests/networks/recorded.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "core/base/strings.h"
#include "core/tensor/dtype.h"

namespace tapewire::networks {
namespace {

constexpr double kFloat64Tolerance = 1e-9;
constexpr double kRoundings = 1e-12;  // a sum of a tensor that is zero but for them
constexpr double kFloat32Spreads = 3;
constexpr double kFloat32Floor = 1e-5;

RecordedNetwork read_network(const nlohmann::json& json) {
  RecordedNetwork out;
  json.at("name").get_to(out.name);
  json.at("definition").get_to(out.definition);
  json.at("seed").get_to(out.seed);
  json.at("data").get_to(out.data);
  json.at("batch").get_to(out.batch);
  json.at("parameters").get_to(out.parameters);
  json.at("float64").get_to(out.float64);
  json.at("float32").get_to(out.float32);
  json.at("spread").get_to(out.spread);
  for (const nlohmann::json& tensor : json.at("state")) {
    out.final_state.push_back({tensor.at("name"), tensor.at("sum"), tensor.at("magnitude")});
  }
  return out;
}

std::vector<RecordedNetwork> read_networks(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(str_cat(path, ": cannot be read"));
  const nlohmann::json recorded = nlohmann::json::parse(file);
  std::vector<RecordedNetwork> out;
  for (const nlohmann::json& network : recorded.at("networks")) out.push_back(read_network(network));
  return out;
}

// What record.py calls a checksum.
RecordedNetwork::Checksum checksum(const NamedTensor& entry) {
  RecordedNetwork::Checksum out{.name = entry.name, .sum = 0, .magnitude = 0};
  const std::vector<double> values = entry.tensor.to_vector<double>();
  for (size_t i = 0; i < values.size(); ++i) {
    out.sum += values[i] * (static_cast<double>((i * 7 + 3) % 17) - 8) / 8;
    out.magnitude += std::abs(values[i]);
  }
  return out;
}

}  // namespace

double RecordedNetwork::bound(size_t step, DType dtype) const {
  if (dtype == DType::kFloat64) return kFloat64Tolerance * std::abs(float64.at(step));
  return std::max(kFloat32Spreads * spread.at(step), kFloat32Floor);
}

const std::vector<RecordedNetwork>& recorded_networks() {
  static const std::vector<RecordedNetwork> networks = read_networks(TAPEWIRE_NETWORKS_DIR "/networks.json");
  return networks;
}

size_t steps_of(const RecordedNetwork& network) {
  return std::min<size_t>(network.float64.size(), TAPEWIRE_NETWORKS_STEPS);
}

std::string difference(const RecordedNetwork& network, const std::vector<double>& losses, DType dtype) {
  std::string out;
  for (size_t step = 0; step < losses.size(); ++step) {
    const double expected = network.losses(dtype).at(step);
    const double bound = network.bound(step, dtype);
    if (std::abs(losses[step] - expected) <= bound) continue;  // NaN is not
    absl::StrAppendFormat(&out, "%s: step %d: loss %.12g, PyTorch's %.12g (%s, bound %.1e)\n", network.name, step,
                          losses[step], expected, name_of(dtype), bound);
  }
  return out;
}

std::string difference(const RecordedNetwork& network, const StateDict& state) {
  std::map<std::string, RecordedNetwork::Checksum> expected;
  for (const RecordedNetwork::Checksum& sum : network.final_state) expected.emplace(sum.name, sum);
  std::string out;
  for (const NamedTensor& entry : state) {
    const RecordedNetwork::Checksum got = checksum(entry);
    const auto found = expected.extract(entry.name);
    if (found.empty()) {
      absl::StrAppendFormat(&out, "%s: %s: PyTorch has no such tensor\n", network.name, entry.name);
      continue;
    }
    const RecordedNetwork::Checksum& wanted = found.mapped();
    const double bound = std::max(kFloat64Tolerance * wanted.magnitude, kRoundings);
    if (std::abs(got.sum - wanted.sum) <= bound && std::abs(got.magnitude - wanted.magnitude) <= bound) continue;
    absl::StrAppendFormat(&out, "%s: %s: sum %.12g, magnitude %.12g, PyTorch's %.12g and %.12g (bound %.1e)\n",
                          network.name, entry.name, got.sum, got.magnitude, wanted.sum, wanted.magnitude, bound);
  }
  for (const auto& [name, sum] : expected) absl::StrAppendFormat(&out, "%s: %s: is missing\n", network.name, name);
  return out;
}

std::string summary(const RecordedNetwork& network, const std::vector<double>& losses, DType dtype) {
  double deviation = 0;
  double of_bound = 0;
  for (size_t step = 0; step < losses.size(); ++step) {
    const double off = std::abs(losses[step] - network.losses(dtype).at(step));
    deviation = std::max(deviation, dtype == DType::kFloat64 ? off / std::abs(network.float64[step]) : off);
    of_bound = std::max(of_bound, off / network.bound(step, dtype));
  }
  return absl::StrFormat("%-13s %s: at most %.1e%s off, %.2g of the bound", network.name, name_of(dtype), deviation,
                         dtype == DType::kFloat64 ? " of the loss" : "", of_bound);
}

}  // namespace tapewire::networks
