#include "core/ops/product.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/matmul.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

void check_same_dtype(std::string_view op, const Spec& a, const Spec& b) {
  if (a.dtype != b.dtype) {
    fail(op, ": expected operands of one dtype, got ", name_of(a.dtype), " and ", name_of(b.dtype));
  }
}

struct Mm {
  using Attrs = NoAttrs;
  static constexpr auto name = "mm";
  static constexpr auto doc = "the product of two matrices";
  static constexpr std::array inputs{input("input"), input("mat2")};
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[0].dim() != 2) fail("mm: self must be a matrix, got ", to_string(in[0]));
    if (in[1].dim() != 2) fail("mm: mat2 must be a matrix, got ", to_string(in[1]));
    check_same_dtype(name, in[0], in[1]);
    if (in[0].size(1) != in[1].size(0)) {
      fail("mm: mat1 and mat2 shapes cannot be multiplied (", in[0].size(0), "x", in[0].size(1), " and ", in[1].size(0),
           "x", in[1].size(1), ")");
    }
    return {{in[0].dtype, {in[0].size(0), in[1].size(1)}}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::gemm(in[0], in[1], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    return {v.needs(0) ? mm(g, t(v.input(1))) : Tensor(), v.needs(1) ? mm(t(v.input(0)), g) : Tensor()};
  }
};

struct Bmm {
  using Attrs = NoAttrs;
  static constexpr auto name = "bmm";
  static constexpr auto doc = "the products of two batches of matrices";
  static constexpr std::array inputs{input("input"), input("mat2")};
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[0].dim() != 3) fail("bmm: batch1 must be a 3D tensor, got ", to_string(in[0]));
    if (in[1].dim() != 3) fail("bmm: batch2 must be a 3D tensor, got ", to_string(in[1]));
    if (in[0].size(0) != in[1].size(0) || in[0].size(2) != in[1].size(1)) {
      fail("bmm: Expected size for first two dimensions of batch2 tensor to be: [", in[0].size(0), ", ", in[0].size(2),
           "] but got: [", in[1].size(0), ", ", in[1].size(1), "].");
    }
    check_same_dtype(name, in[0], in[1]);
    return {{in[0].dtype, {in[0].size(0), in[0].size(1), in[1].size(2)}}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::bmm(in[0], in[1], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    return {v.needs(0) ? bmm(g, transpose(v.input(1), 1, 2)) : Tensor(),
            v.needs(1) ? bmm(transpose(v.input(0), 1, 2), g) : Tensor()};
  }
};

struct Matmul {
  using Attrs = NoAttrs;
  static constexpr auto name = "matmul";
  static constexpr auto doc = "the product of vectors, matrices or broadcast batches of matrices";
  static constexpr std::array inputs{input("input"), input("other")};
  static Tensor compose(const Attrs&, Inputs in) {
    Tensor a = in[0];
    Tensor b = in[1];
    if (a.dim() == 0 || b.dim() == 0) {
      fail("matmul: both arguments to matmul need to be at least 1D, but they are ", a.dim(), "D and ", b.dim(), "D");
    }
    const bool row = a.dim() == 1;
    const bool column = b.dim() == 1;
    if (row) a = unsqueeze(a, 0);
    if (column) b = unsqueeze(b, 1);
    Tensor out;
    if (a.dim() == 2 && b.dim() == 2) {
      out = mm(a, b);
    } else if (b.dim() == 2) {
      // A batch times one matrix is one tall product.
      Shape sizes = a.sizes();
      out = mm(reshape(a, {numel_of(Ints(sizes).first(sizes.size() - 1)), a.size(-1)}), b);
      sizes.back() = out.size(1);
      out = reshape(out, sizes);
    } else {
      const Shape batch = broadcast_shapes(name, Ints(a.sizes()).first(a.sizes().size() - 2),
                                           Ints(b.sizes()).first(b.sizes().size() - 2));
      const auto fold = [&](const Tensor& x) {
        Shape sizes = batch;
        sizes.push_back(x.size(-2));
        sizes.push_back(x.size(-1));
        return reshape(expand(x, sizes), {numel_of(batch), x.size(-2), x.size(-1)});
      };
      Shape sizes = batch;
      sizes.push_back(a.size(-2));
      sizes.push_back(b.size(-1));
      out = reshape(bmm(fold(a), fold(b)), sizes);
    }
    if (column) out = squeeze(out, -1);
    if (row) out = squeeze(out, column ? -1 : -2);
    return out;
  }
};

struct Linear {
  using Attrs = NoAttrs;
  static constexpr auto name = "linear";
  static constexpr auto doc = "input times weight transposed, plus bias";
  static constexpr std::array inputs{input("input"), input("weight"), optional_input("bias")};
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[1].dim() != 1 && in[1].dim() != 2) fail("linear: expects weight [out, in], got ", to_string(in[1]));
    if (in[0].dim() < 1 || in[0].sizes.back() != in[1].sizes.back()) {
      fail("linear expects input [*, ", in[1].sizes.back(), "], got ", to_string(in[0].sizes));
    }
    check_same_dtype(name, in[0], in[1]);
    Shape outputs(in[1].sizes.begin(), in[1].sizes.end() - 1);  // none for a weight [in]
    if (in[2].defined) {
      if (in[2].shape() != outputs) {
        fail("linear expects bias ", to_string(outputs), ", got ", to_string(in[2].sizes));
      }
      check_same_dtype(name, in[0], in[2]);
    }
    Shape sizes(in[0].sizes.begin(), in[0].sizes.end() - 1);
    sizes.insert(sizes.end(), outputs.begin(), outputs.end());
    return {{in[0].dtype, sizes}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) {
    // Kernels see matrices; nothing here is recorded.
    const Tensor& w = in[1];
    const Tensor x = in[0].dim() == 2 ? in[0] : kernels::contiguous(in[0]);
    const int64_t outputs = w.dim() == 2 ? w.size(0) : 1;
    const Shape rows{numel_of(Ints(x.sizes()).first(x.sizes().size() - 1)), x.size(-1)};
    const Tensor to =
        x.dim() == 2 && w.dim() == 2 ? out[0] : out[0].alias(views::view(out[0].geometry(), Shape{rows[0], outputs}));
    kernels::linear(x.dim() == 2 ? x : x.alias(views::view(x.geometry(), rows)),
                    w.dim() == 2 ? w : w.alias(views::unsqueeze(w.geometry(), 0)), in[2], to);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const bool row = v.needs(0) ? v.input(1).dim() == 1 : v.needs(1) ? v.sizes(1).size() == 1 : v.sizes(2).empty();
    const Tensor g = row ? unsqueeze(v.grad(), -1) : v.grad();
    const auto rows = [](const Tensor& x) { return x.dim() == 2 ? x : flat_rows(x); };
    Tensors out(3);
    if (v.needs(0)) out[0] = matmul(g, row ? unsqueeze(v.input(1), 0) : v.input(1));
    if (v.needs(1)) out[1] = mm(t(rows(g)), rows(v.input(0)));
    if (v.needs(2)) out[2] = sum(rows(g), {.dim = Shape{0}});
    if (row && v.needs(1)) out[1] = reshape(out[1], v.sizes(1));
    if (row && v.needs(2)) out[2] = reshape(out[2], v.sizes(2));
    return out;
  }
  static Tensor flat_rows(const Tensor& x) {
    return reshape(x, {numel_of(Ints(x.sizes()).first(x.sizes().size() - 1)), x.size(-1)});
  }
};

struct Bilinear {
  using Attrs = NoAttrs;
  static constexpr auto name = "bilinear";
  static constexpr auto doc = "for each output, input1 times its matrix of weight times input2, plus bias";
  static constexpr std::array inputs{input("input1"), input("input2"), input("weight"), optional_input("bias")};
  static Tensor compose(const Attrs&, Inputs in) {
    const Tensor& x1 = in[0];
    const Tensor& x2 = in[1];
    const Tensor& weight = in[2];
    const Tensor& bias = in[3];
    if (weight.dim() != 3) fail("bilinear(): weight must be 3-dimensional, got ", weight.dim(), " dimensions");
    if (x1.dim() < 1 || x1.dim() != x2.dim()) {
      fail("bilinear(): input dimensions do not match: got ", x1.dim(), " and ", x2.dim());
    }
    for (int64_t d = 0; d + 1 < x1.dim(); ++d) {
      if (x1.size(d) == x2.size(d)) continue;
      fail("bilinear(): input batch dimensions do not match at dim ", d, ": got ", x1.size(d), " and ", x2.size(d));
    }
    const int64_t outputs = weight.size(0);
    const int64_t m = weight.size(1);
    const int64_t n = weight.size(2);
    if (x1.size(-1) != m) {
      fail("bilinear(): input1 size does not match weight size: got ", x1.size(-1), " but expected ", m);
    }
    if (x2.size(-1) != n) {
      fail("bilinear(): input2 size does not match weight size: got ", x2.size(-1), " but expected ", n);
    }
    if (bias.defined() && (bias.dim() != 1 || bias.size(0) != outputs)) {
      fail("bilinear(): bias size does not match weight size: got ", to_string(bias.sizes()), " but expected [",
           outputs, "]");
    }
    Shape sizes = x1.sizes();
    sizes.back() = outputs;
    const int64_t rows = numel_of(Ints(sizes).first(sizes.size() - 1));
    const Tensor by_input = reshape(permute(weight, {1, 0, 2}), {m, numel_of(Shape{outputs, n})});
    const Tensor half = reshape(mm(reshape(x1, {rows, m}), by_input), {rows, outputs, n});
    const Tensor out = reshape(bmm(half, reshape(x2, {rows, n, 1})), sizes);
    return bias.defined() ? add(out, bias) : out;
  }
};

const OpFamily kFamily{op_def<Mm>(), op_def<Bmm>(), op_def<Matmul>(), op_def<Linear>(), op_def<Bilinear>()};

}  // namespace

Tensor mm(const Tensor& x, const Tensor& mat2) { return apply<Mm>({}, {x, mat2}); }
Tensor bmm(const Tensor& x, const Tensor& mat2) { return apply<Bmm>({}, {x, mat2}); }
Tensor matmul(const Tensor& x, const Tensor& other) { return apply<Matmul>({}, {x, other}); }
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return apply<Linear>({}, {x, weight, bias});
}
Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias) {
  return apply<Bilinear>({}, {x1, x2, weight, bias});
}

}  // namespace tapewire
