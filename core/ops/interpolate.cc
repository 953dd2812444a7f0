#include "core/ops/interpolate.h"

#include <cmath>

#include "core/base/error.h"
#include "core/kernels/resample.h"
#include "core/ops/adaptive_pooling.h"
#include "core/ops/registry.h"

namespace tapewire {

enum class ResampleKind : uint8_t { kNearest, kNearestExact, kLinear, kCubic };
template <>
struct EnumNames<ResampleKind> {
  static constexpr std::array<std::string_view, 4> names{"nearest", "nearest-exact", "linear", "cubic"};
};

namespace {

struct ResampleAttrs {
  ResampleKind mode = ResampleKind::kNearest;
  Shape from;
  Shape to;
  std::vector<double> scales;
  bool align_corners = false;
  bool antialias = false;
  static constexpr auto fields() {
    return std::tuple{required_field("mode", &ResampleAttrs::mode, "'nearest', 'nearest-exact', 'linear' or 'cubic'"),
                      required_field("from", &ResampleAttrs::from, "spatial sizes of the original"),
                      required_field("to", &ResampleAttrs::to, "spatial sizes of the resampled"),
                      field("scales", &ResampleAttrs::scales, "factor of each spatial size; none: that of the sizes"),
                      field("align_corners", &ResampleAttrs::align_corners, "the corner elements stay where they are"),
                      field("antialias", &ResampleAttrs::antialias, "smooth when shrinking")};
  }
};

std::vector<kernels::ResampleDim> dims_of(const ResampleAttrs& a, DType dtype) {
  std::vector<kernels::ResampleDim> dims;
  for (size_t i = 0; i < a.from.size(); ++i) {
    const std::optional<double> scale = a.scales.empty() ? std::nullopt : std::optional(a.scales[i]);
    dims.push_back(kernels::resample_dim(static_cast<kernels::ResampleMode>(a.mode), a.from[i], a.to[i],
                                         a.align_corners, scale, a.antialias, dtype != DType::kFloat64));
  }
  return dims;
}

void check(std::string_view op, const ResampleAttrs& a) {
  const size_t spatial = a.from.size();
  if (spatial < 1 || spatial > 3 || a.to.size() != spatial || (!a.scales.empty() && a.scales.size() != spatial)) {
    fail(op, ": expects from, to and scales of one to three spatial dimensions");
  }
  numel_of(a.from);
  numel_of(a.to);
  for (size_t i = 0; i < spatial; ++i) {
    if (a.from[i] < 1 || a.to[i] < 1) {
      fail(op, ": Input and output sizes should be greater than 0, but got input ", to_string(a.from), " and output ",
           to_string(a.to));
    }
  }
  for (const double scale : a.scales) {
    if (!std::isfinite(scale) || scale <= 0) fail(op, ": scale factors must be positive, got ", scale);
  }
}

// The sizes of x with its spatial ones, which have to be `have`, replaced by `want`.
Shape replaced(std::string_view op, Ints sizes, const Shape& have, const Shape& want) {
  const size_t lead = 2;
  bool fits = sizes.size() == lead + have.size();
  for (size_t i = 0; fits && i < have.size(); ++i) fits = sizes[lead + i] == have[i];
  if (!fits) fail(op, ": expects [N, C, *] with spatial sizes ", to_string(have), ", got ", to_string(sizes));
  Shape out(sizes.begin(), sizes.begin() + lead);
  out.insert(out.end(), want.begin(), want.end());
  return out;
}

// Linear, so it and its transpose close the set for every order.
struct Resample {
  using Attrs = ResampleAttrs;
  static constexpr auto name = "resample";
  static constexpr auto doc = "[N, C, *] with spatial sizes from resampled to spatial sizes to";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check(name, a);
    const bool nearest = a.mode == ResampleKind::kNearest || a.mode == ResampleKind::kNearestExact;
    if (!is_floating(in[0].dtype) && !(nearest && in[0].dtype == DType::kUInt8)) {
      fail(name, ": not implemented for ", name_of(in[0].dtype));
    }
    return {{in[0].dtype, replaced(name, in[0].sizes, a.from, a.to)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (out[0].numel() > 0) kernels::resample(in[0], dims_of(a, in[0].dtype()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};

struct ResampleBackward {
  using Attrs = ResampleAttrs;
  static constexpr auto name = "resample_backward";
  static constexpr auto doc = "the gradient of resample by its input";
  static constexpr std::array inputs{input("grad")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check(name, a);
    if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
    return {{in[0].dtype, replaced(name, in[0].sizes, a.to, a.from)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (out[0].numel() > 0) kernels::resample_backward(in[0], dims_of(a, in[0].dtype()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {apply<Resample>(a, {v.grad()})}; }
};

Tensors Resample::vjp(const Attrs& a, const Vjp& v) { return {apply<ResampleBackward>(a, {v.grad()})}; }

struct Mode {
  const char* name;
  ResampleKind kind;
  int64_t dims;  // 0: any of 3 to 5
};
constexpr std::array kModes{
    Mode{"nearest", ResampleKind::kNearest, 0}, Mode{"nearest-exact", ResampleKind::kNearestExact, 0},
    Mode{"linear", ResampleKind::kLinear, 3},   Mode{"bilinear", ResampleKind::kLinear, 4},
    Mode{"bicubic", ResampleKind::kCubic, 4},   Mode{"trilinear", ResampleKind::kLinear, 5}};

struct Interpolate {
  using Attrs = InterpolateAttrs;
  static constexpr auto name = "interpolate";
  static constexpr auto doc = "[N, C, *] resampled to other spatial sizes";
  static constexpr std::array inputs{input("input")};

  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    const bool linear = a.mode == "linear" || a.mode == "bilinear" || a.mode == "bicubic" || a.mode == "trilinear";
    if (!linear && a.align_corners) {
      fail(name,
           ": align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
           "trilinear");
    }
    if (x.dim() < 3 || x.dim() > 5) unknown(x, a.mode);
    const size_t spatial = x.sizes().size() - 2;
    const Shape from(x.sizes().begin() + 2, x.sizes().end());
    std::vector<double> scales;
    const Shape to = output_sizes(a, from, scales);
    if (a.antialias && !((a.mode == "bilinear" || a.mode == "bicubic") && spatial == 2)) {
      fail(name, ": Anti-alias option is only supported for bilinear and bicubic modes");
    }
    for (size_t i = 0; i < spatial; ++i) {
      if (from[i] < 1 || to[i] < 1) {
        fail(name, ": Input and output sizes should be greater than 0, but got input ", to_string(from), " output ",
             to_string(to));
      }
    }
    if (a.mode == "area") {
      const PooledSize size(to.begin(), to.end());
      return spatial == 1   ? adaptive_avg_pool1d(x, size)
             : spatial == 2 ? adaptive_avg_pool2d(x, size)
                            : adaptive_avg_pool3d(x, size);
    }
    for (const Mode& mode : kModes) {
      if (a.mode != mode.name) continue;
      if (mode.dims != 0 && mode.dims != x.dim()) {
        fail(name, ": Got ", x.dim(), "D input, but ", a.mode, " mode needs ", mode.dims, "D input");
      }
      return apply<Resample>({mode.kind, from, to, scales, a.align_corners.value_or(false), a.antialias}, {x});
    }
    unknown(x, a.mode);
  }

  [[noreturn]] static void unknown(const Tensor& x, const std::string& mode) {
    fail(name, ": Only 3D, 4D and 5D input Tensors supported (got ", x.dim(),
         "D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact (got ", mode, ")");
  }

  // `scales` gets the factors where they, not the sizes, say how elements are placed.
  static Shape output_sizes(const Attrs& a, const Shape& from, std::vector<double>& scales) {
    const bool recompute = a.recompute_scale_factor.value_or(false);
    if (a.size && a.scale_factor) fail(name, ": only one of size or scale_factor should be defined");
    if (a.size) {
      if (recompute) fail(name, ": recompute_scale_factor is not meaningful with an explicit size.");
      if (a.size->size() == 1) return Shape(from.size(), (*a.size)[0]);
      if (a.size->size() != from.size()) mismatch("output size", from, to_string(*a.size));
      return *a.size;
    }
    if (!a.scale_factor) fail(name, ": either size or scale_factor should be defined");
    scales = *a.scale_factor;
    if (scales.size() == 1) scales.assign(from.size(), scales[0]);
    if (scales.size() != from.size()) mismatch("scale_factor", from, Value(Tuple(scales.begin(), scales.end())).repr());
    Shape to;
    for (size_t i = 0; i < from.size(); ++i) {
      const double size = std::floor(static_cast<double>(from[i]) * scales[i]);
      if (!(size >= 0 && size < 0x1p62)) fail(name, ": scale_factor ", scales[i], " gives no size");
      to.push_back(static_cast<int64_t>(size));
    }
    if (recompute || a.mode == "area") scales.clear();
    return to;
  }

  [[noreturn]] static void mismatch(const char* what, const Shape& from, const std::string& given) {
    fail(name,
         ": Input and output must have the same number of spatial dimensions, but got input with spatial "
         "dimensions of ",
         to_string(from), " and ", what, " of ", given);
  }
};

template <bool kBilinear>
struct Upsample {
  using Attrs = UpsampleAttrs;
  static constexpr auto name = kBilinear ? "upsample_bilinear" : "upsample_nearest";
  static constexpr auto doc =
      kBilinear ? "interpolate with mode 'bilinear' and align_corners" : "interpolate with mode 'nearest'";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    InterpolateAttrs all;
    all.size = a.size;
    all.scale_factor = a.scale_factor;
    if (kBilinear) {
      all.mode = "bilinear";
      all.align_corners = true;
    }
    return interpolate(in[0], all);
  }
};

const OpFamily kFamily{op_def<Resample>(), op_def<ResampleBackward>(), op_def<Interpolate>(), op_def<Upsample<false>>(),
                       op_def<Upsample<true>>()};

}  // namespace

Tensor interpolate(const Tensor& x, const InterpolateAttrs& attrs) { return apply<Interpolate>(attrs, {x}); }

}  // namespace tapewire
