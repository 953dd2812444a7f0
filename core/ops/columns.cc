#include "core/ops/columns.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/kernels/columns.h"
#include "core/ops/registry.h"
#include "core/ops/view_ops.h"

namespace tapewire {
namespace {

Shape pair_of(std::string_view op, const char* name, const Shape& given) {
  if (given.size() != 1 && given.size() != 2) {
    fail(op, ": It is expected ", name, " must be a single int or equal to 2 numbers, but got ", to_string(given));
  }
  return given.size() == 1 ? Shape{given[0], given[0]} : given;
}

std::string in_brackets(const Shape& pair) { return str_cat("(", pair[0], ", ", pair[1], ")"); }

void check_at_least(std::string_view op, const char* what, const char* name, const Shape& pair, int64_t least) {
  if (pair[0] >= least && pair[1] >= least) return;
  fail(op, ": ", what, " should be ", least == 0 ? "non-negative" : "greater than zero", ", but got ", name,
       "_height: ", pair[0], " ", name, "_width: ", pair[1]);
}

template <class Attrs>
kernels::ColumnParams params_of(std::string_view op, const Attrs& a, Ints image) {
  kernels::ColumnParams p{pair_of(op, "kernel_size", a.kernel_size),
                          pair_of(op, "dilation", a.dilation),
                          pair_of(op, "padding", a.padding),
                          pair_of(op, "stride", a.stride),
                          {}};
  check_at_least(op, "kernel size", "kernel", p.kernel, 1);
  check_at_least(op, "dilation", "dilation", p.dilation, 1);
  check_at_least(op, "padding", "pad", p.padding, 0);
  check_at_least(op, "stride", "stride", p.stride, 1);
  constexpr int64_t kMost = int64_t{1} << 30;  // products of two do not overflow
  for (const Shape* pair : {&p.kernel, &p.dilation, &p.padding, &p.stride}) {
    if (std::max((*pair)[0], (*pair)[1]) > kMost) fail(op, ": ", in_brackets(*pair), " is too large");
  }
  for (size_t i = 0; i < 2; ++i) {
    const int64_t room = image[i] + 2 * p.padding[i] - p.dilation[i] * (p.kernel[i] - 1) - 1;
    // Rounded down, also below zero.
    p.blocks.push_back((room >= 0 ? room / p.stride[i] : -((-room + p.stride[i] - 1) / p.stride[i])) + 1);
  }
  return p;
}

std::string described(const kernels::ColumnParams& p) {
  return str_cat("kernel_size=", in_brackets(p.kernel), ", dilation=", in_brackets(p.dilation),
                 ", padding=", in_brackets(p.padding));
}

// [N, C, H, W] alone; the public ops add the batch.
struct Im2colBatched {
  using Attrs = Im2colAttrs;
  static constexpr auto name = "im2col_batched";
  static constexpr auto doc = "im2col of [N, C, H, W]";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const Spec& x = in[0];
    if (x.dim() != 4) fail("im2col: expects input [N, C, H, W], got ", to_string(x));
    const kernels::ColumnParams p = params_of("im2col", a, Ints(x.sizes).subspan(2));
    if (p.blocks[0] < 1 || p.blocks[1] < 1) {
      fail("im2col: Given input with spatial size (", x.size(2), ", ", x.size(3), "), ", described(p),
           ", calculated shape of the array of sliding blocks as ", in_brackets(p.blocks),
           ", but its components must be at least one.");
    }
    const int64_t rows = numel_of(Shape{x.size(1), p.kernel[0], p.kernel[1]});
    return {{x.dtype, {x.size(0), rows, numel_of(p.blocks)}}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::im2col(in[0], params_of("im2col", a, Ints(in[0].sizes()).subspan(2)), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};

struct Col2imBatched {
  using Attrs = Col2imAttrs;
  static constexpr auto name = "col2im_batched";
  static constexpr auto doc = "col2im of [N, C * kernel, blocks]";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const Spec& x = in[0];
    if (x.dim() != 3) fail("col2im: expects input [N, C * kernel, blocks], got ", to_string(x));
    const Shape image = pair_of("col2im", "output_size", a.output_size);
    numel_of(image);
    const kernels::ColumnParams p = params_of("col2im", a, image);
    const int64_t window = numel_of(p.kernel);
    if (x.size(1) % window != 0) {
      fail(
          "col2im: Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
          "input.size(1)=",
          x.size(1), " and kernel_size=", in_brackets(p.kernel), ".");
    }
    const bool some = p.blocks[0] >= 1 && p.blocks[1] >= 1;
    if (!some || x.size(2) != numel_of(p.blocks)) {
      fail("col2im: Given output_size=", in_brackets(image), ", ", described(p), ", stride=", in_brackets(p.stride),
           ", expected size of input's dimension 2 to match the calculated number of sliding blocks ", p.blocks[0],
           " * ", p.blocks[1], some ? str_cat(" = ", numel_of(p.blocks)) : " (none)",
           ", but got input.size(2)=", x.size(2), ".");
    }
    if (x.dtype == DType::kBool) fail("col2im: not implemented for dtype bool");
    return {{x.dtype, {x.size(0), x.size(1) / window, image[0], image[1]}}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::col2im(in[0], params_of("col2im", a, Ints(out[0].sizes()).subspan(2)), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    return {apply<Im2colBatched>({a.kernel_size, a.dilation, a.padding, a.stride}, {v.grad()})};
  }
};

Tensors Im2colBatched::vjp(const Attrs& a, const Vjp& v) {
  const Shape& sizes = v.sizes(0);
  return {
      apply<Col2imBatched>({Shape{sizes[2], sizes[3]}, a.kernel_size, a.dilation, a.padding, a.stride}, {v.grad()})};
}

struct Im2col {
  using Attrs = Im2colAttrs;
  static constexpr auto name = "im2col";
  static constexpr auto doc = "an image's patches as columns (nn.functional.unfold)";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    bool empty = x.dim() != 3 && x.dim() != 4;
    for (size_t d = x.dim() == 4 ? 1 : 0; !empty && d < x.sizes().size(); ++d) empty = x.sizes()[d] == 0;
    if (empty) {
      fail(
          "im2col: Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for "
          "input, but got: ",
          to_string(x.sizes()));
    }
    if (x.dim() == 4) return apply<Im2colBatched>(a, {x});
    return squeeze(apply<Im2colBatched>(a, {unsqueeze(x, 0)}), 0);
  }
};

struct Col2im {
  using Attrs = Col2imAttrs;
  static constexpr auto name = "col2im";
  static constexpr auto doc = "the sum of overlapping patches, given as columns (nn.functional.fold)";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    bool empty = x.dim() != 2 && x.dim() != 3;
    for (size_t d = x.dim() == 3 ? 1 : 0; !empty && d < x.sizes().size(); ++d) empty = x.sizes()[d] == 0;
    if (empty) {
      fail(
          "col2im: Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions "
          "for input, but got: ",
          to_string(x.sizes()));
    }
    if (x.dim() == 3) return apply<Col2imBatched>(a, {x});
    return squeeze(apply<Col2imBatched>(a, {unsqueeze(x, 0)}), 0);
  }
};

// [*] in front of the three dimensions that pixels have, and then those.
struct Pixels {
  Shape batch;
  int64_t channels;
  int64_t height;
  int64_t width;
};

Pixels pixels_of(std::string_view op, const Tensor& x, const char* factor_name, int64_t factor) {
  if (x.dim() < 3) {
    fail(op, ": ", op, " expects input to have at least 3 dimensions, but got input with ", x.dim(), " dimension(s)");
  }
  if (factor <= 0) fail(op, ": ", op, " expects a positive ", factor_name, ", but got ", factor);
  if (factor >= int64_t{1} << 31) fail(op, ": ", factor_name, " ", factor, " is too large");
  return {Shape(x.sizes().begin(), x.sizes().end() - 3), x.size(-3), x.size(-2), x.size(-1)};
}

// The dimensions behind the batch in another order.
Tensor reorder(const Tensor& x, const Shape& batch, std::initializer_list<int64_t> apart, Ints order,
               std::initializer_list<int64_t> merged) {
  Shape sizes = batch;
  sizes.insert(sizes.end(), apart);
  Shape dims;
  const auto lead = static_cast<int64_t>(batch.size());
  for (int64_t d = 0; d < lead; ++d) dims.push_back(d);
  for (const int64_t d : order) dims.push_back(lead + d);
  Shape out = batch;
  out.insert(out.end(), merged);
  return reshape(permute(reshape(x, sizes), dims), out);
}

struct PixelShuffle {
  using Attrs = PixelShuffleAttrs;
  static constexpr auto name = "pixel_shuffle";
  static constexpr auto doc = "groups of channels become blocks of pixels";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const int64_t r = a.upscale_factor;
    const Pixels p = pixels_of(name, in[0], "upscale_factor", r);
    if (p.channels % (r * r) != 0) {
      fail(
          "pixel_shuffle: pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
          "upscale_factor, but input.size(-3)=",
          p.channels, " is not divisible by ", r * r);
    }
    const int64_t channels = p.channels / (r * r);
    int64_t height = 0;
    int64_t width = 0;
    if (__builtin_mul_overflow(p.height, r, &height) || __builtin_mul_overflow(p.width, r, &width)) {
      fail("pixel_shuffle: upscale_factor ", r, " overflows ", to_string(in[0].sizes()));
    }
    return reorder(in[0], p.batch, {channels, r, r, p.height, p.width}, Shape{0, 3, 1, 4, 2},
                   {channels, height, width});
  }
};

struct PixelUnshuffle {
  using Attrs = PixelUnshuffleAttrs;
  static constexpr auto name = "pixel_unshuffle";
  static constexpr auto doc = "blocks of pixels become groups of channels";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const int64_t r = a.downscale_factor;
    const Pixels p = pixels_of(name, in[0], "downscale_factor", r);
    if (p.height % r != 0) {
      fail("pixel_unshuffle: pixel_unshuffle expects height to be divisible by downscale_factor, but input.size(-2)=",
           p.height, " is not divisible by ", r);
    }
    if (p.width % r != 0) {
      fail("pixel_unshuffle: pixel_unshuffle expects width to be divisible by downscale_factor, but input.size(-1)=",
           p.width, " is not divisible by ", r);
    }
    int64_t channels = 0;
    if (__builtin_mul_overflow(p.channels, r * r, &channels)) {
      fail("pixel_unshuffle: downscale_factor ", r, " overflows ", to_string(in[0].sizes()));
    }
    return reorder(in[0], p.batch, {p.channels, p.height / r, r, p.width / r, r}, Shape{0, 2, 4, 1, 3},
                   {channels, p.height / r, p.width / r});
  }
};

const OpFamily kFamily{op_def<Im2colBatched>(), op_def<Col2imBatched>(), op_def<Im2col>(),
                       op_def<Col2im>(),        op_def<PixelShuffle>(),  op_def<PixelUnshuffle>()};

}  // namespace

Tensor im2col(const Tensor& x, const Im2colAttrs& attrs) { return apply<Im2col>(attrs, {x}); }
Tensor col2im(const Tensor& x, const Col2imAttrs& attrs) { return apply<Col2im>(attrs, {x}); }
Tensor pixel_shuffle(const Tensor& x, int64_t upscale_factor) { return apply<PixelShuffle>({upscale_factor}, {x}); }
Tensor pixel_unshuffle(const Tensor& x, int64_t downscale_factor) {
  return apply<PixelUnshuffle>({downscale_factor}, {x});
}

}  // namespace tapewire
