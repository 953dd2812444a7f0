#pragma once

#include <array>
#include <span>
#include <string_view>
#include <tuple>

#include "core/nn/registry.h"
#include "core/tensor/tensor_attribute.h"

namespace tapewire {

/// What the classes of losses are made of.

/// Throws unless the first `count` arguments have the same sizes.
void require_equal_sizes(const LossModule& loss, std::span<const Tensor> arguments, size_t count);

/// How many rows there are along x's last dimension; 1 for a number.
double rows_of(const Tensor& x);

/// A loss that keeps its options. REQUIRES: Options is described and has a `reduction`, an enum with kNone and kSum.
template <class O>
class ReducedLoss : public LossModule {
 public:
  using Options = O;
  bool sums() const override { return options_.reduction == decltype(options_.reduction)::kSum; }
  bool reduces() const override { return options_.reduction != decltype(options_.reduction)::kNone; }

 protected:
  ReducedLoss(std::span<const std::string_view> argument_names, const Options& options)
      : LossModule(argument_names), options_(options) {}

  const Options options_;
};

/// A loss of an input and a target, element by element unless a class says otherwise.
template <class O>
class PairLoss : public ReducedLoss<O> {
 public:
  using LossModule::forward;
  virtual Tensor forward(const Tensor& input, const Tensor& target) = 0;
  double divisor(std::span<const Tensor> arguments) const override { return static_cast<double>(arguments[0].numel()); }
  void check_sizes(std::span<const Tensor> arguments) const override { require_equal_sizes(*this, arguments, 2); }

 protected:
  using Arguments = std::array<std::string_view, 2>;

  explicit PairLoss(const O& options) : PairLoss(kInputTarget, options) {}
  /// For one that names its arguments otherwise.
  PairLoss(const Arguments& argument_names, const O& options) : ReducedLoss<O>(argument_names, options) {}

 private:
  static constexpr Arguments kInputTarget{"input", "target"};

  Tensor compute(std::span<const Tensor> arguments) final { return forward(arguments[0], arguments[1]); }
};

/// A loss of three tensors, which each class names as kArguments; element by element unless a class says otherwise.
template <class O>
class TripleLoss : public ReducedLoss<O> {
 public:
  using LossModule::forward;
  virtual Tensor forward(const Tensor& first, const Tensor& second, const Tensor& third) = 0;
  double divisor(std::span<const Tensor> arguments) const override { return static_cast<double>(arguments[0].numel()); }
  void check_sizes(std::span<const Tensor> arguments) const override { require_equal_sizes(*this, arguments, 3); }

 protected:
  using Arguments = std::array<std::string_view, 3>;

  TripleLoss(const Arguments& argument_names, const O& options) : ReducedLoss<O>(argument_names, options) {}

 private:
  Tensor compute(std::span<const Tensor> arguments) final { return forward(arguments[0], arguments[1], arguments[2]); }
};

/// A loss of an input and of targets whose sizes its op checks.
template <class O>
class ClassLoss : public PairLoss<O> {
 public:
  void check_sizes(std::span<const Tensor>) const override {}

 protected:
  explicit ClassLoss(const O& options) : PairLoss<O>(options) {}
};

/// The attributes of a loss over classes, with a weight for each class.
template <class Attrs>
struct ClassWeighted : Attrs {
  Tensor weight;  // undefined: ones
  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{field("weight", &ClassWeighted::weight, "of each class, [C]; a list is one of float32")},
        Attrs::fields());
  }
};

}  // namespace tapewire
