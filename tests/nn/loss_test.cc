#include "core/nn/loss.h"

#include <cmath>
#include <memory>
#include <set>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/nn/margin_loss.h"
#include "core/nn/probability_loss.h"
#include "core/nn/regression_loss.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/recorded.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::shared_ptr<LossModule> make(const std::string& type, const AttributeMap& attributes) {
  std::vector<std::string> faults;
  const std::shared_ptr<Module> module = require_module(type, ModuleKind::kLoss).make(attributes, faults);
  EXPECT_THAT(faults, IsEmpty());
  return std::static_pointer_cast<LossModule>(module);
}

std::string described(const recorded::LossCase& values) {
  std::string out = values.type;
  for (const auto& [name, value] : values.attributes) out += str_cat(" ", name, "=", value.repr());
  return out;
}

TEST(LossTest, OutputsAndGradientsArePyTorchs) {
  for (const recorded::LossCase& expected : recorded::loss_cases()) {
    SCOPED_TRACE(described(expected));
    Args args;
    Tensors leaves;
    for (const NamedTensor& argument : expected.arguments) {
      const Tensor x = clone(argument.tensor);
      if (argument.name != "target") leaves.push_back(set_requires_grad(x));
      args.named.emplace_back(argument.name, x);
    }
    const Tensor out = (*make(expected.type, expected.attributes))(args).tensor();
    EXPECT_THAT(out.sizes(), testing::ElementsAreArray(expected.output.sizes()));
    expect_near(out, expected.output.to_vector<double>(), 1e-13);
    backward(sum(mul(out, pattern(out.sizes(), 3, 1))));
    ASSERT_EQ(leaves.size(), expected.gradients.size());
    for (size_t i = 0; i < leaves.size(); ++i) expect_near(gradient(leaves[i]), expected.gradients[i], 1e-13);
  }
}

TEST(LossTest, TheTableHasEveryLoss) {
  for (const ModuleDef* def : all_modules(ModuleKind::kLoss)) {
    EXPECT_TRUE(std::ranges::any_of(recorded::loss_cases(), [&](const auto& row) { return def->name == row.type; }))
        << def->name;
  }
}

TEST(LossTest, ArgumentsAreNamedAsInPyTorch) {
  EXPECT_THAT(MSELoss().argument_names(), ElementsAre("input", "target"));
  EXPECT_THAT(PoissonNLLLoss().argument_names(), ElementsAre("log_input", "target"));
  EXPECT_THAT(GaussianNLLLoss().argument_names(), ElementsAre("input", "target", "var"));
  EXPECT_THAT(CosineEmbeddingLoss().argument_names(), ElementsAre("input1", "input2", "target"));
  EXPECT_THAT(MarginRankingLoss().argument_names(), ElementsAre("input1", "input2", "target"));
  EXPECT_THAT(TripletMarginLoss().argument_names(), ElementsAre("anchor", "positive", "negative"));
}

TEST(LossTest, OnlyReductionSumSums) {
  EXPECT_TRUE(make("KLDivLoss", {{"reduction", "sum"}})->sums());
  EXPECT_FALSE(make("KLDivLoss", {{"reduction", "batchmean"}})->sums());
  EXPECT_FALSE(make("TripletMarginLoss", {})->sums());
  EXPECT_TRUE(make("TripletMarginLoss", {{"reduction", "sum"}})->sums());
}

// A loss's positional arguments, in its order.
Tensors in_order(const LossModule& loss, const std::vector<NamedTensor>& arguments) {
  Args args;
  for (const NamedTensor& argument : arguments) args.named.emplace_back(argument.name, argument.tensor);
  return loss.arguments(args);
}

bool fit(const LossModule& loss, const Tensors& arguments) {
  return error_of([&] { loss.check_sizes(arguments); }).empty();
}

TEST(LossTest, TheDivisorIsWhatTheMeanDividesTheSumBy) {
  std::set<std::string> seen;
  for (const recorded::LossCase& row : recorded::loss_cases()) {
    SCOPED_TRACE(described(row));
    const auto reduced = [&](const char* reduction) {
      AttributeMap attributes = row.attributes;
      attributes["reduction"] = reduction;
      return make(row.type, attributes);
    };
    const auto sum_loss = reduced("sum");
    const Tensors arguments = in_order(*sum_loss, row.arguments);
    if (!fit(*sum_loss, arguments)) continue;
    const double total = sum_loss->forward(arguments).item<double>();
    for (const char* reduction : {"mean", "batchmean"}) {
      if (std::string_view(reduction) == "batchmean" && row.type != "KLDivLoss") continue;
      const auto loss = reduced(reduction);
      EXPECT_NEAR(loss->forward(arguments).item<double>(), total / loss->divisor(arguments), 1e-12) << reduction;
      seen.insert(row.type + reduction);
    }
  }
  for (const ModuleDef* def : all_modules(ModuleKind::kLoss)) {
    EXPECT_TRUE(seen.contains(std::string(def->name) + "mean")) << def->name;
  }
  EXPECT_TRUE(seen.contains("KLDivLossbatchmean"));
}

TEST(LossTest, NothingCountsWhereTheMeanIsNaN) {
  const Tensor x = pattern({2, 3});
  const Tensor none = Tensor::of<int64_t>({-100, -100});
  EXPECT_EQ(CrossEntropyLoss().divisor(Tensors{x, none}), 0);
  const Tensor weight = Tensor::of<double>({0, 1, 1});
  EXPECT_EQ(NLLLoss({{}, weight}).divisor(Tensors{x, Tensor::of<int64_t>({0, 0})}), 0);
  EXPECT_EQ(MSELoss().divisor(Tensors{pattern({0, 3}), pattern({0, 3})}), 0);
  EXPECT_EQ(TripletMarginLoss().divisor(Tensors{pattern({0, 3}), pattern({0, 3}), pattern({0, 3})}), 0);
}

TEST(LossTest, OnlyReductionNoneDoesNotReduce) {
  EXPECT_FALSE(make("KLDivLoss", {{"reduction", "none"}})->reduces());
  EXPECT_TRUE(make("KLDivLoss", {{"reduction", "batchmean"}})->reduces());
  EXPECT_TRUE(make("MSELoss", {})->reduces());
}

TEST(LossTest, ChecksTheSizesOfWhatItComparesElementByElement) {
  const Tensor column = pattern({4, 1});
  const Tensor row = pattern({4});
  for (const char* type : {"MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss",
                           "KLDivLoss", "SoftMarginLoss", "MultiLabelSoftMarginLoss", "HingeEmbeddingLoss"}) {
    EXPECT_EQ(error_of([&] { make(type, {})->check_sizes(Tensors{column, row}); }),
              str_cat(type,
                      ": input [4, 1] and target [4] differ in shape and would broadcast to [4, 4]; reshape one "
                      "to the shape of the other"));
    EXPECT_EQ(error_of([&] { make(type, {})->check_sizes(Tensors{column, column}); }), "") << type;
  }
  EXPECT_THAT(error_of([&] { PoissonNLLLoss().check_sizes(Tensors{column, row}); }), HasSubstr("log_input [4, 1]"));
  EXPECT_EQ(error_of([&] { MSELoss().check_sizes(Tensors{row, pattern({3})}); }),
            "MSELoss: input [4] and target [3] differ in shape; reshape one to the shape of the other");
}

TEST(LossTest, ChecksTheSizesOfThree) {
  const Tensor x = pattern({4, 2});
  const Tensor one = pattern({1, 2});
  EXPECT_THAT(error_of([&] { TripletMarginLoss().check_sizes(Tensors{x, x, one}); }),
              HasSubstr("anchor [4, 2] and negative [1, 2] differ in shape and would broadcast to [4, 2]"));
  EXPECT_THAT(error_of([&] { MarginRankingLoss().check_sizes(Tensors{x, x, one}); }), HasSubstr("target [1, 2]"));
  EXPECT_THAT(error_of([&] { CosineEmbeddingLoss().check_sizes(Tensors{x, one, pattern({4})}); }),
              HasSubstr("input2 [1, 2]"));
  EXPECT_THAT(error_of([&] { CosineEmbeddingLoss().check_sizes(Tensors{x, x, pattern({1})}); }),
              HasSubstr("expects a target for each row of input1 [4, 2], got [1]"));
  EXPECT_EQ(error_of([&] { CosineEmbeddingLoss().check_sizes(Tensors{x, x, pattern({4})}); }), "");
  EXPECT_THAT(error_of([&] { GaussianNLLLoss().check_sizes(Tensors{x, one, x}); }), HasSubstr("target [1, 2]"));
  for (const Tensor& var : {x, pattern({4}), pattern({4, 1})}) {
    EXPECT_EQ(error_of([&] { GaussianNLLLoss().check_sizes(Tensors{x, x, var}); }), "");
  }
  const Tensor classes = Tensor::of<int64_t>({0, 1, 1, 0});
  EXPECT_EQ(error_of([&] { CrossEntropyLoss().check_sizes(Tensors{x, classes}); }), "");
}

TEST(LossTest, WeightsAreBuffersOfTheStateDict) {
  const auto keys = [](const std::shared_ptr<LossModule>& loss) {
    std::vector<std::string> out;
    for (const NamedTensor& entry : loss->state_dict()) out.push_back(entry.name);
    return out;
  };
  const Tensor weight = Tensor::of<float>({1, 2, 3});
  for (const char* type :
       {"NLLLoss", "CrossEntropyLoss", "BCELoss", "BCEWithLogitsLoss", "MultiMarginLoss", "MultiLabelSoftMarginLoss"}) {
    EXPECT_THAT(keys(make(type, {{"weight", weight}})), ElementsAre("weight")) << type;
    EXPECT_THAT(keys(make(type, {})), IsEmpty()) << type;
  }
  EXPECT_THAT(keys(make("BCEWithLogitsLoss", {{"weight", weight}, {"pos_weight", weight}})),
              ElementsAre("weight", "pos_weight"));
}

TEST(LossTest, WeightsConvertAndLoadWithTheModule) {
  const Tensor x = pattern({2, 3});
  const Tensor target = Tensor::of<int64_t>({2, 0});
  const auto loss = make("NLLLoss", {{"weight", Tuple{1, 2.0, 4}}});
  loss->to(DType::kFloat64);
  EXPECT_DOUBLE_EQ((*loss)(Args{x, target}).tensor().item<double>(), (1.0 * 4 + 0.125 * 1) / 5);
  loss->load_state_dict({{"weight", Tensor::of<double>({1, 1, 0})}});
  EXPECT_DOUBLE_EQ((*loss)(Args{x, target}).tensor().item<double>(), 0.125);
}

TEST(LossTest, AListStandsForAWeightOfFloat32) {
  const auto loss = make("CrossEntropyLoss", {{"weight", Value::list({1, 0.5})}});
  const Tensor weight = loss->own_buffers()[0].tensor;
  EXPECT_EQ(weight.dtype(), DType::kFloat32);
  EXPECT_THAT(weight.to_vector<float>(), ElementsAre(1, 0.5));
}

TEST(LossTest, TheMeanOverNoTargetIsNaN) {
  const auto loss = make("CrossEntropyLoss", {{"ignore_index", 1}});
  const Tensor out = (*loss)(Args{pattern({2, 3}), Tensor::of<int64_t>({1, 1})}).tensor();
  EXPECT_TRUE(std::isnan(out.item<double>()));
}

TEST(LossTest, TellsWhatItWasGiven) {
  const auto loss = std::make_shared<MSELoss>();
  const Tensor x = pattern({2, 3});
  EXPECT_EQ(error_of([&] { (*loss)(Args{x}); }), "MSELoss: argument 'target' is missing");
  Args named{x, x};
  named.named.emplace_back("weight", 2.0);
  EXPECT_EQ(error_of([&] { (*loss)(named); }), "MSELoss has no argument 'weight'; it takes input, target");
  const auto triplet = std::make_shared<TripletMarginLoss>();
  EXPECT_EQ(error_of([&] { (*triplet)(Args{x, x}); }), "TripletMarginLoss: argument 'negative' is missing");
  EXPECT_EQ(error_of([&] { (*triplet)(Args{x, 2, x}); }),
            "TripletMarginLoss: argument 'positive': expected a tensor, got int 2");
  EXPECT_EQ(loss->repr(), "MSELoss()");
}

std::vector<std::string> faults_of(const char* type, const AttributeMap& attributes) {
  std::vector<std::string> faults;
  EXPECT_EQ(require_module(type, ModuleKind::kLoss).make(attributes, faults), nullptr);
  return faults;
}

TEST(LossTest, RefusesOptionsOfTheWrongKind) {
  EXPECT_THAT(faults_of("NLLLoss", {{"weight", "heavy"}}),
              ElementsAre("attribute 'weight': expected a tensor, got string 'heavy'"));
  EXPECT_THAT(faults_of("NLLLoss", {{"weight", Value::list({1.0, "heavy"})}}),
              ElementsAre("attribute 'weight': expected a float, got string 'heavy'"));
  EXPECT_THAT(faults_of("L1Loss", {{"reduction", "batchmean"}}),
              ElementsAre("attribute 'reduction': expected one of 'none', 'mean', 'sum', got 'batchmean'"));
  EXPECT_THAT(faults_of("L1Loss", {{"size_average", true}}), ElementsAre("unknown attribute 'size_average'"));
}

TEST(LossTest, RefusesOptionsOutOfRange) {
  const double nan = std::nan("");
  EXPECT_EQ(error_of([] { CrossEntropyLoss({{.label_smoothing = 1.5}, {}}); }),
            "CrossEntropyLoss: label_smoothing must be between 0.0 and 1.0. Got: 1.5");
  EXPECT_EQ(error_of([] { MultiMarginLoss({{.p = 3}, {}}); }),
            "MultiMarginLoss: only p == 1 and p == 2 supported, got 3");
  EXPECT_EQ(error_of([] { MultiMarginLoss({{}, Tensor::zeros({2, 2})}); }),
            "MultiMarginLoss: expects a weight [C], got float32[2, 2]");
  EXPECT_EQ(error_of([] { TripletMarginLoss({.margin = 0}); }),
            "TripletMarginLoss: expected margin to be greater than 0, got 0.0 instead");
  EXPECT_NE(error_of([&] { TripletMarginLoss({.margin = nan}); }), "");
  const Tensor x = pattern({2, 3});
  EXPECT_THAT(error_of([&] { HuberLoss({.delta = nan}).forward(x, x); }),
              HasSubstr("huber_loss does not support non-positive values for delta."));
  EXPECT_THAT(error_of([&] { SmoothL1Loss({.beta = -1}).forward(x, x); }),
              HasSubstr("smooth_l1_loss does not support negative values for beta."));
}

TEST(LossTest, RefusesTensorsThatDoNotFit) {
  const Tensor x = pattern({2, 3});
  const Tensor target = Tensor::of<int64_t>({2, 0});
  EXPECT_THAT(error_of([&] { CrossEntropyLoss().forward(x, Tensor::of<int64_t>({0, 3})); }), HasSubstr("3"));
  EXPECT_THAT(error_of([&] { NLLLoss({{}, Tensor::zeros({4}, DType::kFloat64)}).forward(x, target); }),
              HasSubstr("weight tensor should be defined either for all 3 classes or no classes"));
  EXPECT_THAT(error_of([&] { BCELoss().forward(x, pattern({2, 2})); }),
              HasSubstr("that is different to the input size"));
  EXPECT_THAT(error_of([&] { GaussianNLLLoss().forward(x, x, Tensor::full({2, 3}, -1.0, DType::kFloat64)); }),
              HasSubstr("var has negative entry/entries"));
  EXPECT_THAT(error_of([&] { TripletMarginLoss().forward(x, x, pattern({3})); }),
              HasSubstr("expected to have the same number of dimensions"));
}

}  // namespace
}  // namespace tapewire
