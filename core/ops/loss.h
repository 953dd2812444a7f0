#pragma once

#include <array>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

enum class Reduction : uint8_t { kNone, kMean, kSum };
template <>
struct EnumNames<Reduction> {
  static constexpr std::array<std::string_view, 3> names{"none", "mean", "sum"};
};

struct LossAttrs {
  Reduction reduction = Reduction::kMean;
  static constexpr auto fields() {
    return std::tuple{field("reduction", &LossAttrs::reduction, "'mean', 'sum' or 'none'")};
  }
};
struct NllLossAttrs {
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::kMean;
  static constexpr auto fields() {
    return std::tuple{field("ignore_index", &NllLossAttrs::ignore_index, "a target that does not count"),
                      field("reduction", &NllLossAttrs::reduction, "'mean' (weighted), 'sum' or 'none'")};
  }
};
struct CrossEntropyAttrs {
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::kMean;
  double label_smoothing = 0;
  static constexpr auto fields() {
    return std::tuple{field("ignore_index", &CrossEntropyAttrs::ignore_index, "a target that does not count"),
                      field("reduction", &CrossEntropyAttrs::reduction, "'mean' (weighted), 'sum' or 'none'"),
                      field("label_smoothing", &CrossEntropyAttrs::label_smoothing,
                            "how much of each target is spread over all classes, 0 to 1")};
  }
};

/// The squared difference; operands broadcast.
Tensor mse_loss(const Tensor& x, const Tensor& target, const LossAttrs& attrs = {});
/// -weight[t] * log_probs[n, t, *]: log_probs [N, C, *] or [C], target int64 [N, *] or [], weight [C] or undefined. The
/// mean is the weighted one over targets that count; of none it is NaN.
Tensor nll_loss(const Tensor& log_probs, const Tensor& target, const Tensor& weight = {},
                const NllLossAttrs& attrs = {});
/// nll_loss of log_softmax over the classes; target may also be class probabilities of the logits' shape.
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const Tensor& weight = {},
                     const CrossEntropyAttrs& attrs = {});

}  // namespace tapewire
