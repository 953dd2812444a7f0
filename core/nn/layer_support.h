#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <tuple>

#include "core/nn/module.h"
#include "core/tensor/attributes.h"

namespace tapewire {

/// What the files of layers share.

/// A layer from one tensor to one that is nothing but its options: without parameters, buffers and children. Self has
/// kName and kDoc, as module_def() wants them.
template <class Self, Described O>
class StatelessLayer : public TensorModule {
 public:
  using Options = O;
  explicit StatelessLayer(const Options& options = {}) : options_(options) {}
  std::string_view type() const final { return Self::kName; }
  std::string extra_repr() const override;

 protected:
  const Options& options() const { return options_; }

 private:
  Options options_;
};

struct ReprStyle {
  size_t unnamed = 0;                                 // so many in front stand without their name
  size_t count = std::numeric_limits<size_t>::max();  // the rest is left out
};

/// "3, eps=1e-05": options as PyTorch prints them, a list of one as the number that it most likely was given as.
template <Described T>
std::string options_repr(const T& options, const ReprStyle& style = {}) {
  std::string out;
  size_t at = 0;
  for_each_field<T>([&](const auto& f) {
    using Type = typename std::remove_cvref_t<decltype(f)>::Type;
    const size_t i = at++;
    if (i >= style.count) return;
    const Value value = AttributeType<Type>::to(options.*f.member);
    const bool single = value.is_tuple() && value.tuple().size() == 1;
    out += str_cat(i == 0 ? "" : ", ", i < style.unnamed ? "" : str_cat(f.name, "="),
                   (single ? value.tuple()[0] : value).repr());
  });
  return out;
}

template <class Self, Described O>
std::string StatelessLayer<Self, O>::extra_repr() const {
  return options_repr(options_);
}

/// The most that a size among a layer's options may be: sums, and products with small numbers, do not overflow.
inline constexpr int64_t kMostSize = int64_t{1} << 40;

/// One size for each of `count` dimensions; a single one serves all. Throws "Conv2d: kernel_size must be one int or 2,
/// got [3, 3, 3]", and for a size below `least` or above kMostSize.
Shape spread_sizes(std::string_view layer, const char* name, const Shape& given, size_t count, int64_t least);

/// How far windows reach that stand `stride` apart, one for each of `size` elements, with `padding` cut from both
/// sides: (size - 1) * stride + dilation * (kernel - 1) + 1 - 2 * padding. Throws when that plus a stride overflows.
struct WindowRow {
  int64_t size;
  int64_t stride;
  int64_t kernel;
  int64_t dilation;
  int64_t padding;
};
int64_t reach_of(std::string_view layer, const WindowRow& row);

/// "(3, 3)", "(3,)".
std::string sizes_repr(const Shape& sizes);

/// Throws "LayerNorm: eps must be a number of at least 0, got nan".
void check_eps(std::string_view layer, double eps);
/// Throws for a number that is infinite or not one.
void check_finite(std::string_view layer, const char* name, double value);

}  // namespace tapewire
