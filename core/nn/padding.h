#pragma once

#include "core/nn/layer_support.h"
#include "core/ops/pad.h"

namespace tapewire {

/// Layers that add elements at the borders of the last one, two or three dimensions, or take them away where a number
/// is negative.

struct ConstantPadOptions {
  Shape padding;
  Scalar value = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("padding", &ConstantPadOptions::padding,
                                     "elements before and after, in pairs, from the last dimension back; or one number "
                                     "for all"),
                      required_field("value", &ConstantPadOptions::value, "of what is added")};
  }
};
struct PaddingOptions {
  Shape padding;
  static constexpr auto fields() {
    return std::tuple{required_field("padding", &PaddingOptions::padding,
                                     "elements before and after, in pairs, from the last dimension back; or one number "
                                     "for all")};
  }
};

/// What ConstantPad1d, 2d and 3d share: any input of as many dimensions. torch.nn.modules.padding._ConstantPadNd.
class ConstantPadNd : public TensorModule {
 public:
  using Options = ConstantPadOptions;

  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override { return attributes_repr(options_); }

 protected:
  ConstantPadNd(std::string_view name, size_t dims, const Options& options);

 private:
  Options options_;  // spread over all dimensions
};

class ConstantPad1d final : public ConstantPadNd {
 public:
  static constexpr auto kName = "ConstantPad1d";
  static constexpr auto kDoc = "a constant at the borders of the last dimension";
  explicit ConstantPad1d(const Options& options) : ConstantPadNd(kName, 1, options) {}
  std::string_view type() const override { return kName; }
};

class ConstantPad2d final : public ConstantPadNd {
 public:
  static constexpr auto kName = "ConstantPad2d";
  static constexpr auto kDoc = "a constant at the borders of the last two dimensions";
  explicit ConstantPad2d(const Options& options) : ConstantPadNd(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

class ConstantPad3d final : public ConstantPadNd {
 public:
  static constexpr auto kName = "ConstantPad3d";
  static constexpr auto kDoc = "a constant at the borders of the last three dimensions";
  explicit ConstantPad3d(const Options& options) : ConstantPadNd(kName, 3, options) {}
  std::string_view type() const override { return kName; }
};

/// What the others share: zeros at the borders of any input, or elements of the input itself, which has one or two more
/// dimensions than are padded. torch.nn.modules.padding.
class BorderPadNd : public TensorModule {
 public:
  using Options = PaddingOptions;

  Tensor forward(const Tensor& x) override;
  /// The numbers alone: "(1, 1, 1, 1)".
  std::string extra_repr() const override { return sizes_repr(attrs_.pad); }

 protected:
  BorderPadNd(std::string_view name, size_t dims, PadMode mode, const Options& options);

 private:
  PadAttrs attrs_;
};

class ZeroPad1d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ZeroPad1d";
  static constexpr auto kDoc = "zeros at the borders of the last dimension";
  explicit ZeroPad1d(const Options& options) : BorderPadNd(kName, 1, PadMode::kConstant, options) {}
  std::string_view type() const override { return kName; }
};

class ZeroPad2d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ZeroPad2d";
  static constexpr auto kDoc = "zeros at the borders of the last two dimensions";
  explicit ZeroPad2d(const Options& options) : BorderPadNd(kName, 2, PadMode::kConstant, options) {}
  std::string_view type() const override { return kName; }
};

class ZeroPad3d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ZeroPad3d";
  static constexpr auto kDoc = "zeros at the borders of the last three dimensions";
  explicit ZeroPad3d(const Options& options) : BorderPadNd(kName, 3, PadMode::kConstant, options) {}
  std::string_view type() const override { return kName; }
};

class ReflectionPad1d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ReflectionPad1d";
  static constexpr auto kDoc = "the input mirrored at the borders of the last dimension";
  explicit ReflectionPad1d(const Options& options) : BorderPadNd(kName, 1, PadMode::kReflect, options) {}
  std::string_view type() const override { return kName; }
};

class ReflectionPad2d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ReflectionPad2d";
  static constexpr auto kDoc = "the input mirrored at the borders of the last two dimensions";
  explicit ReflectionPad2d(const Options& options) : BorderPadNd(kName, 2, PadMode::kReflect, options) {}
  std::string_view type() const override { return kName; }
};

class ReflectionPad3d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ReflectionPad3d";
  static constexpr auto kDoc = "the input mirrored at the borders of the last three dimensions";
  explicit ReflectionPad3d(const Options& options) : BorderPadNd(kName, 3, PadMode::kReflect, options) {}
  std::string_view type() const override { return kName; }
};

class ReplicationPad1d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ReplicationPad1d";
  static constexpr auto kDoc = "the input's edge repeated at the borders of the last dimension";
  explicit ReplicationPad1d(const Options& options) : BorderPadNd(kName, 1, PadMode::kReplicate, options) {}
  std::string_view type() const override { return kName; }
};

class ReplicationPad2d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ReplicationPad2d";
  static constexpr auto kDoc = "the input's edge repeated at the borders of the last two dimensions";
  explicit ReplicationPad2d(const Options& options) : BorderPadNd(kName, 2, PadMode::kReplicate, options) {}
  std::string_view type() const override { return kName; }
};

class ReplicationPad3d final : public BorderPadNd {
 public:
  static constexpr auto kName = "ReplicationPad3d";
  static constexpr auto kDoc = "the input's edge repeated at the borders of the last three dimensions";
  explicit ReplicationPad3d(const Options& options) : BorderPadNd(kName, 3, PadMode::kReplicate, options) {}
  std::string_view type() const override { return kName; }
};

class CircularPad1d final : public BorderPadNd {
 public:
  static constexpr auto kName = "CircularPad1d";
  static constexpr auto kDoc = "the input gone round at the borders of the last dimension";
  explicit CircularPad1d(const Options& options) : BorderPadNd(kName, 1, PadMode::kCircular, options) {}
  std::string_view type() const override { return kName; }
};

class CircularPad2d final : public BorderPadNd {
 public:
  static constexpr auto kName = "CircularPad2d";
  static constexpr auto kDoc = "the input gone round at the borders of the last two dimensions";
  explicit CircularPad2d(const Options& options) : BorderPadNd(kName, 2, PadMode::kCircular, options) {}
  std::string_view type() const override { return kName; }
};

class CircularPad3d final : public BorderPadNd {
 public:
  static constexpr auto kName = "CircularPad3d";
  static constexpr auto kDoc = "the input gone round at the borders of the last three dimensions";
  explicit CircularPad3d(const Options& options) : BorderPadNd(kName, 3, PadMode::kCircular, options) {}
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
