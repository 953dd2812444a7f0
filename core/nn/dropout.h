#pragma once

#include "core/base/fields.h"
#include "core/nn/module.h"

namespace tapewire {

struct DropoutOptions {
  double p = 0.5;
  bool inplace = false;
  static constexpr auto fields() {
    return std::tuple{field("p", &DropoutOptions::p, "probability that an element (a channel) becomes zero"),
                      field("inplace", &DropoutOptions::inplace, "change the input instead of making a new tensor")};
  }
};

/// In training, zeroes elements with probability p and scales the rest by 1 / (1 - p); else x itself. torch.nn.Dropout.
class Dropout final : public TensorModule {
 public:
  using Options = DropoutOptions;
  static constexpr auto kName = "Dropout";
  static constexpr auto kDoc = "in training, zeroes elements at random and scales the rest";
  explicit Dropout(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 private:
  Options options_;
};

/// The same for whole channels of [N, C, *]. torch.nn.Dropout2d.
class Dropout2d final : public TensorModule {
 public:
  using Options = DropoutOptions;
  static constexpr auto kName = "Dropout2d";
  static constexpr auto kDoc = "in training, zeroes channels of [N, C, *] at random and scales the rest";
  explicit Dropout2d(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 private:
  Options options_;
};

}  // namespace tapewire
