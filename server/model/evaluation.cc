#include "server/model/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

using Tally = Evaluation::Tally;

constexpr std::array<std::string_view, 4> kMetricNames{"accuracy", "top5", "mae", "mse"};
constexpr int64_t kMiss = -1;     // a target that no class meets
constexpr int64_t kIgnored = -2;  // a target that does not count
constexpr int64_t kBlock = 1 << 16;

// Asks for the cancel token once in kBlock elements.
class Pace {
 public:
  void spend(int64_t elements) {
    left_ -= elements;
    if (left_ > 0) return;
    check_cancelled();
    left_ = kBlock;
  }

 private:
  int64_t left_ = kBlock;
};

// Scores [N, C, *] as rows: row r = n * inner + i has class c at first(r) + c * inner.
struct Rows {
  int64_t count = 0;
  int64_t classes = 0;
  int64_t inner = 1;

  explicit Rows(const Tensor& scores) {
    const int64_t dim = scores.dim() == 1 ? 0 : 1;
    classes = scores.size(dim);
    for (int64_t d = dim + 1; d < scores.dim(); ++d) inner *= scores.size(d);
    count = (dim == 0 ? 1 : scores.size(0)) * inner;
  }
  int64_t first(int64_t row) const { return row / inner * classes * inner + row % inner; }
};

// How many of the rows have the class that wanted(row) says among their k largest.
template <class T, class Wanted>
Tally class_hits(const T* scores, const Rows& rows, int64_t k, Wanted wanted) {
  Tally out;
  Pace pace;
  for (int64_t row = 0; row < rows.count; ++row) {
    const int64_t target = wanted(row);
    pace.spend(1);
    if (target == kIgnored) continue;
    out.count += 1;
    if (target == kMiss) continue;
    const T* first = scores + rows.first(row);
    const T own = first[target * rows.inner];
    int64_t before = 0;
    bool comparable = true;
    for (int64_t c = 0; c < rows.classes;) {
      const int64_t end = std::min(rows.classes, c + kBlock);
      pace.spend(end - c);
      for (; c < end; ++c) {
        const T other = first[c * rows.inner];
        // Of equal scores the first class counts, as argmax has it.
        before += other > own || (other == own && c < target) ? 1 : 0;
        comparable = comparable && other == other;
      }
    }
    out.sum += comparable && before < k ? 1 : 0;
  }
  return out;
}

// The class of the largest probability, the first of equals; kMiss where one is NaN.
template <class T>
int64_t likeliest(const T* probabilities, const Rows& rows, int64_t row, Pace& pace) {
  const T* first = probabilities + rows.first(row);
  int64_t best = 0;
  for (int64_t c = 0; c < rows.classes;) {
    const int64_t end = std::min(rows.classes, c + kBlock);
    pace.spend(end - c);
    for (; c < end; ++c) {
      const T p = first[c * rows.inner];
      if (!(p == p)) return kMiss;
      if (p > first[best * rows.inner]) best = c;
    }
  }
  return best;
}

// sum(f(output element, target element)) over all elements, both as doubles.
template <class F>
Tally over_elements(const Tensor& output, const Tensor& target, F f) {
  const Tensor y = contiguous(output);
  const Tensor t = contiguous(target);
  Tally out{0, static_cast<double>(y.numel())};
  dispatch_all(y.dtype(), [&]<class Y>(TypeTag<Y>) {
    dispatch_all(t.dtype(), [&]<class T>(TypeTag<T>) {
      const Y* a = y.data<Y>();
      const T* b = t.data<T>();
      for (int64_t i = 0; i < y.numel();) {
        check_cancelled();
        const int64_t end = std::min(y.numel(), i + kBlock);
        for (; i < end; ++i) out.sum += f(static_cast<double>(a[i]), static_cast<double>(b[i]));
      }
    });
  });
  return out;
}

// Whether target holds one class for each row of the scores.
bool are_classes(const Tensor& scores, const Tensor& target) {
  if (target.dtype() != DType::kInt64 || scores.dim() == 0) return false;
  if (scores.dim() == 1) return target.dim() == 0;
  Shape expected = scores.sizes();
  expected.erase(expected.begin() + 1);
  return target.sizes() == expected;
}

}  // namespace

int64_t batch_size(const std::vector<NamedTensor>& inputs) {
  if (inputs.empty() || inputs[0].tensor.dim() == 0) return 1;
  return inputs[0].tensor.size(0);
}

Evaluation::Evaluation(std::vector<std::string> metrics, BuiltLoss loss) : loss_(std::move(loss)) {
  for (size_t i = 0; i < metrics.size(); ++i) {
    if (std::ranges::find(kMetricNames, metrics[i]) == kMetricNames.end()) {
      fail("metrics[", i, "]: unknown metric ", quoted(metrics[i]), did_you_mean(metrics[i], kMetricNames),
           " (accuracy, top5, mae, mse)");
    }
    if (!metrics_.try_emplace(metrics[i]).second) fail("metrics[", i, "]: ", quoted(metrics[i]), " is given twice");
  }
}

void Evaluation::add(const EvaluateBatch& batch, const std::vector<NamedTensor>& outputs) {
  const int64_t samples = batch_size(batch.inputs);
  if (!metrics_.empty() && (batch.targets.size() != 1 || outputs.empty())) {
    fail("targets: metrics need an output and one target a batch, got ", outputs.size(), " and ", batch.targets.size());
  }
  LossSum loss;
  if (loss_.module) loss = sum_loss(loss_, outputs, batch.targets, samples);
  std::map<std::string, Tally> judged = metrics_;
  for (auto& [metric, total] : judged) {
    const Tally own = judge(metric, judged_output(loss_, outputs), batch.targets[0].tensor);
    total.sum += own.sum;
    total.count += own.count;
  }
  metrics_ = std::move(judged);
  loss_sum_.sum += loss.sum;
  loss_sum_.count += loss.count;
  samples_ += samples;
}

Tally Evaluation::judge(const std::string& metric, const Tensor& output, const Tensor& target) const {
  if (metric == "accuracy" || metric == "top5") return count_hits(metric, output, target);
  if (output.sizes() != target.sizes()) {
    fail("metric ", metric, ": output ", to_string(output.spec()), " and target ", to_string(target.spec()),
         " differ in shape");
  }
  if (metric == "mae") return over_elements(output, target, [](double y, double t) { return std::abs(y - t); });
  return over_elements(output, target, [](double y, double t) { return (y - t) * (y - t); });
}

Tally Evaluation::count_hits(const std::string& metric, const Tensor& output, const Tensor& target) const {
  const int64_t k = metric == "top5" ? 5 : 1;
  const Scores kind = loss_.module ? loss_.module->scores() : Scores::kClasses;
  if (kind != Scores::kClasses && output.sizes() == target.sizes()) {
    const double yes = kind == Scores::kLogits ? 0 : 0.5;
    return over_elements(output, target, [&](double y, double t) {
      const bool known = !std::isnan(y) && !std::isnan(t);
      return known && (k > 1 || (y > yes) == (t > 0.5)) ? 1 : 0;
    });
  }
  const bool classes = are_classes(output, target);
  const bool probabilities = output.sizes() == target.sizes() && output.dim() > 0 && is_floating(target.dtype()) &&
                             output.size(output.dim() == 1 ? 0 : 1) > 1;
  if (!classes && !probabilities) {
    fail("metric ", metric, ": expects output [N, C, *] and int64 target [N, *] or class probabilities [N, C, *], or ",
         "yes-or-no outputs and targets of one shape with a loss of such (BCELoss, BCEWithLogitsLoss), got output ",
         to_string(output.spec()), " and target ", to_string(target.spec()));
  }
  const Rows rows(output);
  const Tensor scores = contiguous(output);
  const Tensor wanted = contiguous(target);
  return dispatch_all(scores.dtype(), [&]<class T>(TypeTag<T>) {
    if (classes) {
      const int64_t ignored = loss_.module ? loss_.module->ignore_index().value_or(-100) : -100;
      return class_hits(scores.data<T>(), rows, k, [&, t = wanted.data<int64_t>()](int64_t row) {
        if (t[row] == ignored) return kIgnored;
        if (t[row] < 0 || t[row] >= rows.classes) {
          fail("targets[0]: class ", t[row], " is out of range for ", rows.classes, " classes");
        }
        return t[row];
      });
    }
    return dispatch_floating(metric, wanted.dtype(), [&]<class P>(TypeTag<P>) {
      Pace pace;
      return class_hits(scores.data<T>(), rows, k,
                        [&, p = wanted.data<P>()](int64_t row) { return likeliest(p, rows, row, pace); });
    });
  });
}

std::optional<double> Evaluation::loss() const {
  if (loss_sum_.count == 0) return std::nullopt;
  return loss_sum_.sum / loss_sum_.count;
}

std::map<std::string, double> Evaluation::metrics() const {
  std::map<std::string, double> out;
  for (const auto& [name, total] : metrics_) {
    if (total.count != 0) out[name] = total.sum / total.count;
  }
  return out;
}

}  // namespace tapewire
