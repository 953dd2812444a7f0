#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Copies with the elements in another order, or several times.

struct FlipAttrs {
  Shape dims;
  static constexpr auto fields() {
    return std::tuple{required_field("dims", &FlipAttrs::dims, "dimensions whose order is reversed")};
  }
};
struct Rot90Attrs {
  int64_t k = 1;
  Shape dims{0, 1};
  static constexpr auto fields() {
    return std::tuple{field("k", &Rot90Attrs::k, "how often; negative ones turn the other way"),
                      field("dims", &Rot90Attrs::dims, "the plane, from the first dimension to the second")};
  }
};
struct RollAttrs {
  Shape shifts;
  Shape dims;
  static constexpr auto fields() {
    return std::tuple{required_field("shifts", &RollAttrs::shifts, "by how many places elements move on"),
                      field("dims", &RollAttrs::dims, "along which dimensions; none: the flat input")};
  }
};
struct RepeatAttrs {
  Shape repeats;
  static constexpr auto fields() {
    return std::tuple{required_field("repeats", &RepeatAttrs::repeats, "how often, for each dimension")};
  }
};
struct TileAttrs {
  Shape dims;
  static constexpr auto fields() {
    return std::tuple{required_field("dims", &TileAttrs::dims, "how often, for each dimension")};
  }
};

/// Reverses dimensions; no dims: a copy. fliplr reverses the second dimension, flipud the first.
Tensor flip(const Tensor& x, Ints dims);
Tensor fliplr(const Tensor& x);
Tensor flipud(const Tensor& x);
/// Turns a plane by k quarters, from the first of its two dimensions to the second.
Tensor rot90(const Tensor& x, const Rot90Attrs& attrs = {});
/// Moves elements on by shifts along dims; what falls off the end comes in at the start.
Tensor roll(const Tensor& x, Ints shifts, Ints dims = {});
/// x side by side as often as `repeats` says; more repeats than dimensions add dimensions in front.
Tensor repeat(const Tensor& x, Ints repeats);
/// The same, where missing repeats in front are ones.
Tensor tile(const Tensor& x, Ints dims);
/// Each slice of `dim` (none: each element, flat) several times in a row: as often for all, or as its own number says.
Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim = {});
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim = {});

}  // namespace tapewire
