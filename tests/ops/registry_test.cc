#include "core/ops/registry.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/ops/bound_call.h"
#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::set<std::string> registered() {
  std::set<std::string> out;
  for (const OpDef* op : all_ops()) out.emplace(op->name);
  return out;
}

// The names in the op structs of core/ops: a template's stands for each of its literals.
std::set<std::string> written() {
  std::set<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(TAPEWIRE_SOURCE_DIR "/core/ops")) {
    if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    const std::string source = std::regex_replace(text.str(), std::regex("//[^\n]*"), "");
    static const std::regex kName("static constexpr auto name = ([^;]*);");
    static const std::regex kLiteral("\"([a-z0-9_.]+)\"");
    for (std::sregex_iterator at(source.begin(), source.end(), kName), end; at != end; ++at) {
      const std::string value = (*at)[1];
      for (std::sregex_iterator literal(value.begin(), value.end(), kLiteral); literal != end; ++literal) {
        EXPECT_TRUE(out.insert((*literal)[1]).second) << (*literal)[1] << " is written twice";
      }
    }
  }
  return out;
}

TEST(RegistryTest, HoldsEveryOpThatTheSourcesDefine) {
  EXPECT_THAT(registered(), testing::ContainerEq(written()));
  EXPECT_GT(registered().size(), 70u);
}

TEST(RegistryTest, EveryOpHasSamples) {
  std::set<std::string> sampled;
  for (const Sample& sample : all_samples()) sampled.insert(sample.op);
  EXPECT_THAT(sampled, testing::ContainerEq(registered()));
}

TEST(RegistryTest, EveryFloatingInputOfADifferentiableOpIsChecked) {
  // What an op takes as a constant: its gradient does not exist.
  const std::set<std::string> constants{
      "batch_norm.running_mean", "batch_norm.running_var", "native_batch_norm.running_mean",
      "native_batch_norm.running_var", "nll_loss.weight", "nll_loss_nd.weight", "nll_loss_backward.weight",
      "cross_entropy.weight", "expand_as.other", "view_as.other", "reshape_as.other",
      // Indices and masks.
      "where.condition", "masked_fill.mask", "nll_loss.target", "nll_loss_nd.target", "nll_loss_backward.target",
      "scatter_planes.indices", "gather_planes.indices", "gather.index", "scatter.index", "scatter_add.index",
      "take_along_dim.indices", "index_select.index", "index_add.index", "index_copy.index", "index_fill.index",
      "index.indices", "index_elements.indices", "index_put.indices", "masked_select.mask", "getitem.index",
      "instance_norm.running_mean", "instance_norm.running_var", "embedding.input", "embedding_lookup.input",
      "embedding_backward.indices", "embedding_scale_grad.indices", "hinge_embedding_loss.target",
      "cosine_embedding_loss.target", "multi_margin_loss.target", "multilabel_margin_loss.target",
      "multilabel_margin_rows.target", "multilabel_margin_backward.target"};
  std::set<std::string> checked;
  for (const Sample& sample : all_samples()) {
    const OpDef& op = require_op(sample.op);
    std::vector<ArgumentHint> hints;
    for (const Value& value : sample.args.positional) hints.push_back(hint_of(value));
    std::vector<std::string> faults;
    const BoundCall bound(op, false, hints, {}, faults);
    for (size_t i = 0; i < sample.args.positional.size(); ++i) {
      std::vector<Tensor> tensors;
      flatten_tensors(sample.args.positional[i], tensors);
      if (bound.is_attribute(i) || std::ranges::none_of(tensors, &Tensor::requires_grad)) continue;
      checked.insert(str_cat(op.name, ".", op.inputs[bound.input_of(i)].name));
    }
    for (const auto& [name, value] : sample.args.named) {
      if (value.is_tensor() && value.tensor().requires_grad()) checked.insert(str_cat(op.name, ".", name));
    }
  }
  for (const OpDef* op : all_ops()) {
    if (!op->differentiable) continue;
    for (const InputDecl& input : op->inputs) {
      const std::string name = str_cat(op->name, ".", input.name);
      EXPECT_EQ(checked.contains(name), !constants.contains(name)) << name;
    }
  }
}

TEST(RegistryTest, EveryOpIsDocumented) {
  for (const OpDef* op : all_ops()) {
    EXPECT_GT(op->doc.size(), 3u) << op->name;
    if (op->attributes == nullptr) continue;
    for (const AttributeInfo& row : op->attributes()) EXPECT_FALSE(row.doc.empty()) << op->name << "." << row.name;
  }
}

TEST(RegistryTest, FindsOpsAndTheirInPlaceForms) {
  bool inplace = false;
  EXPECT_EQ(find_op("relu", &inplace)->name, "relu");
  EXPECT_FALSE(inplace);
  EXPECT_EQ(find_op("relu_", &inplace)->name, "relu");
  EXPECT_TRUE(inplace);
  EXPECT_EQ(find_op("softmax_", &inplace), nullptr);
  EXPECT_EQ(find_op("relu_"), nullptr);
  EXPECT_EQ(find_op(""), nullptr);
  EXPECT_EQ(find_op("_", &inplace), nullptr);
}

TEST(RegistryTest, SuggestsANearName) {
  try {
    require_op("rellu");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(error.message(), "unknown op 'rellu'; did you mean 'relu'?");
  }
}

TEST(RegistryTest, IsAlphabetical) {
  const std::vector<const OpDef*> ops = all_ops();
  EXPECT_TRUE(std::ranges::is_sorted(ops, {}, &OpDef::name));
}

}  // namespace
}  // namespace tapewire
