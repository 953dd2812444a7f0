#include "server/model/evaluation.h"

#include <cmath>
#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/ops/arithmetic.h"
#include "core/ops/shape_ops.h"
#include "core/ops/slicing.h"
#include "google/protobuf/text_format.h"

namespace tapewire {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

BuiltLoss built(const std::string& text) {
  v1::LossSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return build_loss(spec, {}, "loss");
}

std::string with(const std::string& type, const std::string& attribute, const std::string& literal) {
  return str_cat("type: '", type, "' attributes { key: '", attribute, "' value { ", literal, " } }");
}

// What a model put out for inputs of as many samples as the output's first size.
void add(Evaluation& evaluation, const Tensor& output, const Tensor& target) {
  const int64_t samples = output.dim() == 0 ? 1 : output.size(0);
  evaluation.add({.inputs = {{"", Tensor::zeros({samples})}}, .targets = {{"", target}}}, {{"", output}});
}

std::string error_of(Evaluation& evaluation, const Tensor& output, const Tensor& target) {
  try {
    add(evaluation, output, target);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

std::map<std::string, double> judged(const std::vector<std::string>& metrics, const std::string& loss,
                                     const Tensor& output, const Tensor& target) {
  Evaluation evaluation(metrics, loss.empty() ? BuiltLoss() : built(loss));
  add(evaluation, output, target);
  return evaluation.metrics();
}

Tensor numbers(std::initializer_list<int64_t> sizes, double step = 0.37) {
  Tensor out = Tensor::empty(sizes, DType::kFloat64);
  double* data = out.mutable_data<double>();
  for (int64_t i = 0; i < out.numel(); ++i) data[i] = std::fmod(static_cast<double>(i + 1) * step, 0.9) + 0.05;
  return out;
}

Tensor classes(std::initializer_list<int64_t> values) { return Tensor::of<int64_t>(values); }

const double kNan = std::numeric_limits<double>::quiet_NaN();

struct Sample {
  std::string loss;
  std::vector<NamedTensor> outputs;
  std::vector<NamedTensor> targets;
};

// Each loss of the catalogue with six rows.
std::vector<Sample> samples() {
  const Tensor x = numbers({6, 3});
  const Tensor t = numbers({6, 3}, 0.61);
  const Tensor signs = Tensor::of<double>({1, -1, 1, 1, -1, -1});
  const Tensor labels = classes({0, 2, -100, 1, -100, 2});
  const Tensor lists = Tensor::of<int64_t>({0, -1, 1, 2, 0, -1, 1, -1, 0, 0, 1, 2, 2, -1, 0, 1, 2, -1}, {6, 3});
  std::vector<Sample> all;
  for (const char* type : {"MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss", "BCELoss",
                           "BCEWithLogitsLoss", "KLDivLoss", "MultiLabelSoftMarginLoss", "CrossEntropyLoss"}) {
    all.push_back({str_cat("type: '", type, "'"), {{"", x}}, {{"", t}}});
  }
  all.push_back({with("KLDivLoss", "reduction", "string_value: 'batchmean'"), {{"", x}}, {{"", t}}});
  for (const char* type : {"NLLLoss", "CrossEntropyLoss"}) {
    all.push_back({str_cat("type: '", type, "'"), {{"", x}}, {{"", labels}}});
    all.push_back(
        {with(type, "weight", "doubles { values: [ 0.5, 2, 3 ] }"), {{"", to(x, DType::kFloat32)}}, {{"", labels}}});
  }
  all.push_back({with("CrossEntropyLoss", "label_smoothing", "double_value: 0.2"), {{"", x}}, {{"", labels}}});
  all.push_back(
      {with("CrossEntropyLoss", "ignore_index", "int_value: 2"), {{"", x}}, {{"", classes({0, 2, 2, 1, 0, 2})}}});
  all.push_back({"type: 'SoftMarginLoss'", {{"", select(x, 1, 0)}}, {{"", signs}}});
  all.push_back({"type: 'HingeEmbeddingLoss'", {{"", select(x, 1, 0)}}, {{"", signs}}});
  all.push_back({"type: 'MultiMarginLoss'", {{"", x}}, {{"", classes({0, 2, 1, 1, 0, 2})}}});
  all.push_back({"type: 'MultiLabelMarginLoss'", {{"", x}}, {{"", lists}}});
  all.push_back({"type: 'GaussianNLLLoss'", {{"", x}}, {{"target", t}, {"var", numbers({6, 1})}}});
  all.push_back({"type: 'CosineEmbeddingLoss'", {{"a", x}, {"b", numbers({6, 3}, 0.7)}}, {{"target", signs}}});
  all.push_back({"type: 'MarginRankingLoss'", {{"a", x}, {"b", numbers({6, 3}, 0.7)}}, {{"target", sub(t, 0.5)}}});
  all.push_back({"type: 'TripletMarginLoss'", {{"a", x}, {"p", t}, {"n", numbers({6, 3}, 0.7)}}, {}});
  return all;
}

std::vector<NamedTensor> rows(const std::vector<NamedTensor>& tensors, int64_t first, int64_t count) {
  std::vector<NamedTensor> out;
  for (const NamedTensor& t : tensors) out.push_back({t.name, narrow(t.tensor, 0, first, count)});
  return out;
}

TEST(EvaluationTest, TheLossOverBatchesIsThatOfOneBatch) {
  std::set<std::string> seen;
  for (const Sample& sample : samples()) {
    SCOPED_TRACE(sample.loss);
    const BuiltLoss loss = built(sample.loss);
    Evaluation evaluation({}, loss);
    for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{{0, 1}, {1, 0}, {1, 4}, {5, 1}}) {
      evaluation.add({.inputs = {{"", Tensor::zeros({count})}}, .targets = rows(sample.targets, first, count)},
                     rows(sample.outputs, first, count));
    }
    const double whole = compute_loss(loss, sample.outputs, sample.targets).item<double>();
    EXPECT_THAT(evaluation.loss(), Optional(testing::DoubleNear(whole, 1e-6)));
    EXPECT_EQ(evaluation.samples(), 6);
    seen.insert(std::string(loss.module->type()));
  }
  for (const ModuleDef* def : all_modules(ModuleKind::kLoss)) {
    EXPECT_TRUE(seen.contains(std::string(def->name))) << def->name;
  }
}

TEST(EvaluationTest, AnEmptyBatchCountsNothingWhateverTheReduction) {
  for (const char* reduction : {"mean", "sum", "none"}) {
    SCOPED_TRACE(reduction);
    Evaluation evaluation({"mse", "mae"},
                          built(with("MSELoss", "reduction", str_cat("string_value: '", reduction, "'"))));
    add(evaluation, Tensor::zeros({0, 1}), Tensor::zeros({0, 1}));
    EXPECT_EQ(evaluation.loss(), std::nullopt);
    EXPECT_THAT(evaluation.metrics(), IsEmpty());
    add(evaluation, Tensor::of<float>({1, 2}, {2, 1}), Tensor::of<float>({2, 4}, {2, 1}));
    add(evaluation, Tensor::zeros({0, 1}), Tensor::zeros({0, 1}));
    EXPECT_THAT(evaluation.loss(), Optional(2.5));
    EXPECT_THAT(evaluation.metrics(), ElementsAre(Pair("mae", 1.5), Pair("mse", 2.5)));
    EXPECT_EQ(evaluation.samples(), 2);
  }
}

TEST(EvaluationTest, IgnoredTargetsCountNeitherInTheLossNorInTheMetrics) {
  Evaluation evaluation({"accuracy", "top5"}, built("type: 'CrossEntropyLoss'"));
  const double hit = std::log(1 + std::exp(-2.0));  // the loss of a score of 2 against 0
  add(evaluation, Tensor::of<double>({2, 0, 9, 0, 0, 9}, {3, 2}), classes({0, -100, -100}));
  add(evaluation, Tensor::of<double>({0, 2, 0, 2}, {2, 2}), classes({1, 0}));
  EXPECT_THAT(evaluation.loss(), Optional(testing::DoubleNear((hit + hit + hit + 2) / 3, 1e-12)));
  EXPECT_THAT(evaluation.metrics(), ElementsAre(Pair("accuracy", DoubleEq(2 / 3.0)), Pair("top5", 1)));
  EXPECT_EQ(evaluation.samples(), 5);
}

TEST(EvaluationTest, ABatchOfIgnoredTargetsAloneCountsNothing) {
  Evaluation evaluation({"accuracy"}, built("type: 'CrossEntropyLoss'"));
  add(evaluation, Tensor::zeros({2, 2}), classes({-100, -100}));
  EXPECT_EQ(evaluation.loss(), std::nullopt);
  EXPECT_THAT(evaluation.metrics(), IsEmpty());
  EXPECT_EQ(evaluation.samples(), 2);
}

TEST(EvaluationTest, TheTargetToIgnoreIsTheLosss) {
  const std::string loss = with("CrossEntropyLoss", "ignore_index", "int_value: 0");
  const Tensor scores = Tensor::of<double>({2, 0, 0, 2, 2, 0}, {3, 2});
  EXPECT_THAT(judged({"accuracy"}, loss, scores, classes({0, 1, 1})), ElementsAre(Pair("accuracy", 0.5)));
  Evaluation evaluation({"accuracy"}, BuiltLoss());
  EXPECT_THAT(error_of(evaluation, scores, classes({0, 2, 1})), HasSubstr("class 2 is out of range for 2 classes"));
  EXPECT_THAT(judged({"accuracy"}, "", scores, classes({0, 1, -100})), ElementsAre(Pair("accuracy", 1)));
}

TEST(EvaluationTest, BatchesOfUnequalElementsCountByElements) {
  Evaluation evaluation({"mae", "mse"}, built("type: 'MSELoss'"));
  add(evaluation, Tensor::zeros({1, 3}), Tensor::full({1, 3}, 1.0));
  add(evaluation, Tensor::zeros({1, 1}), Tensor::full({1, 1}, 5.0));
  EXPECT_THAT(evaluation.loss(), Optional(7.0));
  EXPECT_THAT(evaluation.metrics(), ElementsAre(Pair("mae", 2), Pair("mse", 7)));
}

TEST(EvaluationTest, ALossThatSumsIsPerSample) {
  Evaluation evaluation({}, built(with("MSELoss", "reduction", "string_value: 'sum'")));
  add(evaluation, Tensor::zeros({1, 3}), Tensor::full({1, 3}, 1.0));
  add(evaluation, Tensor::zeros({2, 3}), Tensor::full({2, 3}, 2.0));
  EXPECT_THAT(evaluation.loss(), Optional(9.0));
}

TEST(EvaluationTest, ALossThatIsNotReducedCountsAsItsMean) {
  const std::string none = R"(type: 'CrossEntropyLoss'
                              attributes { key: 'reduction' value { string_value: 'none' } }
                              attributes { key: 'weight' value { doubles { values: [ 1, 3 ] } } })";
  const std::string mean = with("CrossEntropyLoss", "weight", "doubles { values: [ 1, 3 ] }");
  const Tensor scores = Tensor::of<float>({2, 0, 1, 4, 0, 1}, {3, 2});
  std::vector<double> losses;
  for (const std::string& text : {none, mean}) {
    Evaluation evaluation({}, built(text));
    add(evaluation, scores, classes({1, -100, 0}));
    add(evaluation, narrow(scores, 0, 0, 1), classes({1}));
    losses.push_back(evaluation.loss().value());
  }
  EXPECT_NEAR(losses[0], losses[1], 1e-6);
}

TEST(EvaluationTest, ScoresOfPixelsHaveTheirClassesInTheSecondDimension) {
  // [N, C, 2]: position 0 prefers class 1, position 1 prefers class 0.
  const Tensor scores = Tensor::of<float>({0, 2, 1, 0}, {1, 2, 2});
  const Tensor hit = Tensor::of<int64_t>({1, 0}, {1, 2});
  const Tensor half = Tensor::of<int64_t>({1, 1}, {1, 2});
  EXPECT_THAT(judged({"accuracy"}, "type: 'CrossEntropyLoss'", scores, hit), ElementsAre(Pair("accuracy", 1)));
  EXPECT_THAT(judged({"accuracy"}, "type: 'CrossEntropyLoss'", scores, half), ElementsAre(Pair("accuracy", 0.5)));
  const Tensor ignored = Tensor::of<int64_t>({-100, 1}, {1, 2});
  EXPECT_THAT(judged({"accuracy"}, "", scores, ignored), ElementsAre(Pair("accuracy", 0)));
  // The same scores, classes last in memory.
  const Tensor strided = transpose(contiguous(transpose(scores, 1, 2)), 1, 2);
  EXPECT_THAT(judged({"accuracy"}, "", strided, hit), ElementsAre(Pair("accuracy", 1)));
  EXPECT_THAT(judged({"accuracy"}, "", Tensor::of<float>({0, 3, 1}), Tensor::scalar(int64_t{1}, DType::kInt64)),
              ElementsAre(Pair("accuracy", 1)));
}

TEST(EvaluationTest, YesOrNoOutputsHaveTheLosssThreshold) {
  const Tensor outputs = Tensor::of<double>({0.3, 0.7, 0.4, 0.9}, {4, 1});
  const Tensor targets = Tensor::of<double>({1, 1, 1, 0}, {4, 1});
  EXPECT_THAT(judged({"accuracy"}, "type: 'BCELoss'", outputs, targets), ElementsAre(Pair("accuracy", 0.25)));
  EXPECT_THAT(judged({"accuracy"}, "type: 'BCEWithLogitsLoss'", outputs, targets), ElementsAre(Pair("accuracy", 0.75)))
      << "all above 0: yes";
  const Tensor logits = Tensor::of<double>({-0.3, 0.7, -0.4, 0.9});
  const Tensor flat = Tensor::of<double>({0, 1, 1, 1});
  EXPECT_THAT(judged({"accuracy", "top5"}, "type: 'BCEWithLogitsLoss'", logits, flat),
              ElementsAre(Pair("accuracy", 0.75), Pair("top5", 1)));
  const Tensor signs = Tensor::of<double>({-1, 1, 1, -1});
  EXPECT_THAT(judged({"accuracy"}, "type: 'SoftMarginLoss'", logits, signs), ElementsAre(Pair("accuracy", 0.5)));
}

TEST(EvaluationTest, YesOrNoOutputsNeedALossThatSaysHowTheyAreRead) {
  Evaluation evaluation({"accuracy"}, BuiltLoss());
  EXPECT_THAT(error_of(evaluation, Tensor::zeros({4, 1}), Tensor::zeros({4, 1})),
              HasSubstr("a loss of such (BCELoss, BCEWithLogitsLoss), got output float32[4, 1] and target float32[4"));
  EXPECT_EQ(evaluation.samples(), 0);
}

TEST(EvaluationTest, OfClassProbabilitiesTheLargestIsTheTarget) {
  const Tensor scores = Tensor::of<float>({0, 1, 0, 3, 1, 2}, {2, 3});
  const Tensor targets = Tensor::of<float>({0.2F, 0.7F, 0.1F, 0.1F, 0.3F, 0.6F}, {2, 3});
  EXPECT_THAT(judged({"accuracy", "top5"}, "type: 'CrossEntropyLoss'", scores, targets),
              ElementsAre(Pair("accuracy", 0.5), Pair("top5", 1)));
}

TEST(EvaluationTest, RowsWithNaNAreMisses) {
  const Tensor scores = Tensor::of<double>({kNan, 1, 0, 3, 1, kNan, 0, 3, 1}, {3, 3});
  EXPECT_THAT(judged({"accuracy", "top5"}, "", scores, classes({1, 0, 1})),
              ElementsAre(Pair("accuracy", DoubleEq(1 / 3.0)), Pair("top5", DoubleEq(1 / 3.0))));
  EXPECT_THAT(judged({"accuracy"}, "type: 'BCEWithLogitsLoss'", Tensor::of<double>({kNan, kNan, 1}),
                     Tensor::of<double>({0, 1, 1})),
              ElementsAre(Pair("accuracy", DoubleEq(1 / 3.0))));
}

TEST(EvaluationTest, OfEqualScoresTheFirstClassCounts) {
  const Tensor scores = Tensor::of<float>({1, 1, 1, 1, 1, 1, 1}, {1, 7});
  EXPECT_THAT(judged({"accuracy", "top5"}, "", scores, classes({0})),
              ElementsAre(Pair("accuracy", 1), Pair("top5", 1)));
  EXPECT_THAT(judged({"accuracy", "top5"}, "", scores, classes({4})),
              ElementsAre(Pair("accuracy", 0), Pair("top5", 1)));
  EXPECT_THAT(judged({"accuracy", "top5"}, "", scores, classes({5})),
              ElementsAre(Pair("accuracy", 0), Pair("top5", 0)));
}

TEST(EvaluationTest, MetricsJudgeTheOutputThatTheLossNames) {
  Evaluation evaluation({"accuracy"}, built("type: 'CrossEntropyLoss' output: 'logits'"));
  evaluation.add({.inputs = {{"", Tensor::zeros({1})}}, .targets = {{"", classes({1})}}},
                 {{"features", Tensor::zeros({1, 9})}, {"logits", Tensor::of<float>({0, 1}, {1, 2})}});
  EXPECT_THAT(evaluation.metrics(), ElementsAre(Pair("accuracy", 1)));
}

TEST(EvaluationTest, DistancesAreTakenAcrossDtypes) {
  EXPECT_THAT(judged({"mae", "mse"}, "", Tensor::of<float>({1.5, 2}), classes({1, 5})),
              ElementsAre(Pair("mae", 1.75), Pair("mse", 4.625)));
}

TEST(EvaluationTest, ABatchThatDoesNotFitAddsNothing) {
  Evaluation evaluation({"accuracy", "mse"}, built("type: 'CrossEntropyLoss'"));
  EXPECT_THAT(error_of(evaluation, Tensor::zeros({2, 3}), classes({0, 1})), HasSubstr("metric mse"));
  EXPECT_EQ(evaluation.loss(), std::nullopt);
  EXPECT_THAT(evaluation.metrics(), IsEmpty());
  EXPECT_EQ(evaluation.samples(), 0);
}

TEST(EvaluationTest, StopsWhenTheCallIsCancelled) {
  CancelToken token;
  token.cancel();
  for (const char* metric : {"accuracy", "mse"}) {
    Evaluation evaluation({metric}, BuiltLoss());
    const bool hits = std::string_view(metric) == "accuracy";
    const Tensor target = hits ? Tensor::zeros({70000}, DType::kInt64) : Tensor::zeros({70000, 2});
    const Tensor output = Tensor::zeros({70000, 2});
    const CancelScope scope(&token);
    EXPECT_THROW(add(evaluation, output, target), Error) << metric;
  }
}

}  // namespace
}  // namespace tapewire
