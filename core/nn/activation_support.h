#pragma once

#include "core/base/fields.h"
#include "core/nn/layer_support.h"

namespace tapewire {

/// What the files of activations share.

inline constexpr auto kInplaceDoc = "change the input instead of making a new tensor";

struct InplaceOptions {
  bool inplace = false;
  static constexpr auto fields() { return std::tuple{field("inplace", &InplaceOptions::inplace, kInplaceDoc)}; }
};

/// An op's attributes, and whether it works in place.
template <Described Attrs>
struct Inplace : Attrs {
  bool inplace = false;
  static constexpr auto fields() {
    return std::tuple_cat(Attrs::fields(), std::tuple{field("inplace", &Inplace::inplace, kInplaceDoc)});
  }
};

/// An activation function as a layer. Of its options, `inplace` is the last and is printed only where it is true.
template <class Self, Described O>
class Activation : public StatelessLayer<Self, O> {
 public:
  using StatelessLayer<Self, O>::StatelessLayer;
  std::string extra_repr() const override {
    size_t count = std::tuple_size_v<decltype(O::fields())>;
    if constexpr (requires(const O& o) { o.inplace; }) {
      if (!this->options().inplace) --count;
    }
    return options_repr(this->options(), {.count = count});
  }
};

}  // namespace tapewire
