#include "server/model/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {
namespace {

constexpr std::array<std::string_view, 4> kMetricNames{"accuracy", "top5", "mae", "mse"};

// How many of the rows have their target class among the k largest scores.
int64_t hits(const Tensor& scores, const Tensor& target, int64_t k) {
  const std::vector<double> s = scores.to_vector<double>();
  const std::vector<int64_t> t = target.to_vector<int64_t>();
  const auto classes = static_cast<size_t>(scores.size(1));
  int64_t count = 0;
  for (size_t row = 0; row < t.size(); ++row) {
    if (t[row] < 0 || t[row] >= static_cast<int64_t>(classes)) {
      fail("targets[0]: class ", t[row], " is out of range for ", classes, " classes");
    }
    const double own = s[row * classes + static_cast<size_t>(t[row])];
    int64_t better = 0;
    for (size_t c = 0; c < classes; ++c) {
      const double other = s[row * classes + c];
      // Of equal scores the first class counts, as argmax has it.
      better += other > own || (other == own && c < static_cast<size_t>(t[row])) ? 1 : 0;
    }
    count += std::isnan(own) || better >= k ? 0 : 1;
  }
  return count;
}

}  // namespace

int64_t batch_size(const std::vector<NamedTensor>& inputs) {
  if (inputs.empty() || inputs[0].tensor.dim() == 0) return 1;
  return inputs[0].tensor.size(0);
}

Evaluation::Evaluation(std::vector<std::string> metrics, BuiltLoss loss)
    : metrics_(std::move(metrics)), loss_(std::move(loss)) {
  for (size_t i = 0; i < metrics_.size(); ++i) {
    if (std::ranges::find(kMetricNames, metrics_[i]) == kMetricNames.end()) {
      fail("metrics[", i, "]: unknown metric ", quoted(metrics_[i]), did_you_mean(metrics_[i], kMetricNames),
           " (accuracy, top5, mae, mse)");
    }
    if (!sums_.emplace(metrics_[i], 0).second) fail("metrics[", i, "]: ", quoted(metrics_[i]), " is given twice");
  }
}

void Evaluation::add(const EvaluateBatch& batch, const std::vector<NamedTensor>& outputs) {
  const int64_t samples = batch_size(batch.inputs);
  if (!metrics_.empty() && (batch.targets.size() != 1 || outputs.empty())) {
    fail("targets: metrics need an output and one target a batch, got ", outputs.size(), " and ", batch.targets.size());
  }
  if (loss_.module) {
    const double loss = compute_loss(loss_, outputs, batch.targets).item<double>();
    loss_sum_ += loss_.module->sums() ? loss : loss * static_cast<double>(samples);
  }
  for (const std::string& metric : metrics_) {
    const Tensor& output = outputs[0].tensor;
    const Tensor& target = batch.targets[0].tensor;
    double& sum = sums_[metric];
    if (metric == "accuracy" || metric == "top5") {
      if (output.dim() != 2 || target.dim() != 1 || target.dtype() != DType::kInt64 ||
          target.size(0) != output.size(0)) {
        fail("metric ", metric, ": expects output [N, classes] and target int64[N], got ", to_string(output.spec()),
             " and ", to_string(target.spec()));
      }
      sum += static_cast<double>(hits(output, target, metric == "top5" ? 5 : 1));
      continue;
    }
    if (output.sizes() != target.sizes()) {
      fail("metric ", metric, ": output ", to_string(output.spec()), " and target ", to_string(target.spec()),
           " differ in shape");
    }
    const std::vector<double> y = output.to_vector<double>();
    const std::vector<double> t = target.to_vector<double>();
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i)
      total += metric == "mae" ? std::abs(y[i] - t[i]) : (y[i] - t[i]) * (y[i] - t[i]);
    sum += y.empty() ? 0 : total / static_cast<double>(y.size()) * static_cast<double>(samples);
  }
  samples_ += samples;
}

std::optional<double> Evaluation::loss() const {
  if (!loss_.module || samples_ == 0) return std::nullopt;
  return loss_sum_ / static_cast<double>(samples_);
}

std::map<std::string, double> Evaluation::metrics() const {
  std::map<std::string, double> out;
  if (samples_ == 0) return out;
  for (const auto& [name, sum] : sums_) out[name] = sum / static_cast<double>(samples_);
  return out;
}

}  // namespace tapewire
