#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/nn/module.h"

namespace tapewire {

/// Activations as modules, named as in torch.nn.

struct InplaceOptions {
  bool inplace = false;
  static constexpr auto fields() {
    return std::tuple{field("inplace", &InplaceOptions::inplace, "change the input instead of making a new tensor")};
  }
};
struct SoftmaxOptions {
  std::optional<int64_t> dim;
  static constexpr auto fields() {
    return std::tuple{field("dim", &SoftmaxOptions::dim,
                            "dimension that sums to one; none: 0 for inputs of 0, 1 or 3 dimensions, else 1")};
  }
};

class ReLU final : public TensorModule {
 public:
  using Options = InplaceOptions;
  static constexpr auto kName = "ReLU";
  static constexpr auto kDoc = "max(x, 0)";
  explicit ReLU(const Options& options = {}) : options_(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override { return options_.inplace ? "inplace=True" : ""; }

 private:
  Options options_;
};

class Sigmoid final : public TensorModule {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "Sigmoid";
  static constexpr auto kDoc = "1 / (1 + exp(-x))";
  explicit Sigmoid(const Options& = {}) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
};

class Tanh final : public TensorModule {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "Tanh";
  static constexpr auto kDoc = "the hyperbolic tangent";
  explicit Tanh(const Options& = {}) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
};

class Softmax final : public TensorModule {
 public:
  using Options = SoftmaxOptions;
  static constexpr auto kName = "Softmax";
  static constexpr auto kDoc = "exp(x) / sum(exp(x), dim)";
  explicit Softmax(const Options& options = {}) : options_(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 private:
  Options options_;
};

class LogSoftmax final : public TensorModule {
 public:
  using Options = SoftmaxOptions;
  static constexpr auto kName = "LogSoftmax";
  static constexpr auto kDoc = "log(softmax(x, dim))";
  explicit LogSoftmax(const Options& options = {}) : options_(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 private:
  Options options_;
};

}  // namespace tapewire
