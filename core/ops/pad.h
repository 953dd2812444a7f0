#pragma once

#include <array>
#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// More elements, or fewer, at the borders.

enum class PadMode : uint8_t { kConstant, kReflect, kReplicate, kCircular };
template <>
struct EnumNames<PadMode> {
  static constexpr std::array<std::string_view, 4> names{"constant", "reflect", "replicate", "circular"};
};

struct PadAttrs {
  Shape pad;
  PadMode mode = PadMode::kConstant;
  std::optional<Scalar> value;
  static constexpr auto fields() {
    return std::tuple{
        required_field("pad", &PadAttrs::pad,
                       "elements before and after, in pairs, from the last dimension back; "
                       "negative ones take away"),
        field("mode", &PadAttrs::mode,
              "'constant', or of the input: 'reflect' mirrors it, 'replicate' repeats its edge, 'circular' goes round"),
        field("value", &PadAttrs::value, "of the constant; none: 0")};
  }
};

/// Any number of dimensions under kConstant. The other modes pad the last one, two or three of an input with one or two
/// dimensions more; reflect by less than the dimension's size, circular by no more than it.
Tensor pad(const Tensor& x, const PadAttrs& attrs);

}  // namespace tapewire
