#include "tests/nn/recorded.h"

#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "core/base/strings.h"

namespace tapewire::recorded {
namespace {

using nlohmann::json;

json read_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(str_cat(path, ": cannot be read"));
  return json::parse(file);
}

Tensor read_tensor(const json& in) {
  const auto sizes = in.at("sizes").get<std::vector<int64_t>>();
  const Shape shape(sizes.begin(), sizes.end());
  if (in.at("dtype") == "int64") return Tensor::of<int64_t>(in.at("values").get<std::vector<int64_t>>(), shape);
  return Tensor::of<double>(in.at("values").get<std::vector<double>>(), shape);
}

Value read_value(const json& in) {
  switch (in.type()) {
    case json::value_t::boolean:
      return in.get<bool>();
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      return in.get<int64_t>();
    case json::value_t::number_float:
      return in.get<double>();
    case json::value_t::string:
      return in.get<std::string>();
    case json::value_t::object:
      return read_tensor(in);
    default:
      throw std::runtime_error(str_cat("a recorded value of an unknown kind: ", in.dump()));
  }
}

AttributeMap read_attributes(const json& in) {
  AttributeMap out;
  for (const auto& [name, value] : in.items()) out.emplace(name, read_value(value));
  return out;
}

std::vector<Sums> read_sums(const json& in) {
  std::vector<Sums> out;
  for (const json& one : in) out.push_back({.sizes = one.at("sizes"), .sums = one.at("sums")});
  return out;
}

SequenceCase read_sequence(const json& in) {
  SequenceCase out{
      .name = in.at("name"),
      .type = in.at("type"),
      .attributes = read_attributes(in.at("attributes")),
      .inputs = {},
      .flags = {},
      .seed = in.at("seed"),
      .training = in.at("training"),
      .outputs = read_sums(in.at("outputs")),
      .first = read_sums(in.at("first")),
      .second = read_sums(in.at("second")),
      .fingerprints = in.at("fingerprints"),
      .next_draw = in.at("next_draw"),
  };
  for (const json& input : in.at("inputs")) {
    out.inputs.push_back({.name = input.at("name"), .kind = input.at("kind"), .sizes = input.at("sizes")});
  }
  for (const auto& [name, flag] : in.at("flags").items()) out.flags.emplace_back(name, flag.get<bool>());
  return out;
}

LossCase read_loss(const json& in) {
  LossCase out{
      .type = in.at("type"),
      .attributes = read_attributes(in.at("attributes")),
      .arguments = {},
      .output = read_tensor(in.at("output")),
      .gradients = in.at("gradients"),
  };
  for (const json& argument : in.at("arguments")) {
    out.arguments.push_back({argument.at("name"), read_tensor(argument.at("tensor"))});
  }
  return out;
}

template <class T>
std::vector<T> read_cases(const char* file, T (*read)(const json&)) {
  std::vector<T> out;
  for (const json& one : read_json(str_cat(TAPEWIRE_NN_TEST_DIR, "/", file))) out.push_back(read(one));
  return out;
}

}  // namespace

const std::vector<SequenceCase>& sequence_cases() {
  static const std::vector<SequenceCase> cases = read_cases("torch_sequences.json", read_sequence);
  return cases;
}

const std::vector<LossCase>& loss_cases() {
  static const std::vector<LossCase> cases = read_cases("torch_losses.json", read_loss);
  return cases;
}

}  // namespace tapewire::recorded
