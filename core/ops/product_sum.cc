#include "core/ops/product_sum.h"

#include <cmath>

#include "core/base/error.h"
#include "core/kernels/binary.h"
#include "core/kernels/copy.h"
#include "core/kernels/matmul.h"
#include "core/ops/arithmetic.h"
#include "core/ops/contraction.h"
#include "core/ops/op.h"
#include "core/ops/product.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

bool equals(const Scalar& factor, double number) { return factor.to<double>() == number; }

// As the dtype has it: integers are multiplied by whole numbers.
Scalar factor_of(std::string_view op, const Scalar& factor, DType dtype) {
  if (is_floating(dtype) || !factor.is_float()) return factor;
  const auto number = factor.to<double>();
  if (!(std::abs(number) < 0x1p63)) fail(op, ": value cannot be converted to type int64_t without overflow: ", number);
  return static_cast<int64_t>(number);
}

// addr alone refuses what would lose digits.
void check_factor(std::string_view op, const char* which, const Scalar& factor, DType dtype) {
  if (factor.is_float() && !is_floating(dtype)) {
    fail(op, ": For integral input tensors, argument ", which, " must not be a floating point number.");
  }
  if (factor.is_bool() && dtype != DType::kBool) {
    fail(op, ": Boolean ", which, " only supported for Boolean results.");
  }
}

// What the five have in common; `Product` says the rest:
//   Shape sizes(const Spec& a, const Spec& b);              // of the product; throws
//   void product(const Tensor& a, const Tensor& b, const Tensor& out);
//   Tensor to_first(const Tensor& g, const Tensor& b), to_second(const Tensor& g, const Tensor& a);
template <class Product>
struct ProductSum {
  using Attrs = ProductSumAttrs;
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(1).to_grad(2), save_input(2).to_grad(1)};

  static TensorSpecs infer(const Attrs& a, Specs in) {
    constexpr auto kName = Product::name;
    const DType dtype = in[0].dtype;
    if (in[1].dtype != dtype || in[2].dtype != dtype) {
      fail(kName, ": expected operands of one dtype, got ", name_of(dtype), ", ", name_of(in[1].dtype), " and ",
           name_of(in[2].dtype));
    }
    if (dtype == DType::kBool && !Product::kTakesBool) fail(kName, ": not implemented for dtype bool");
    if (Product::kTakesBool) {
      check_factor(kName, "beta", a.beta, dtype);
      check_factor(kName, "alpha", a.alpha, dtype);
    }
    const Shape sizes = Product::sizes(in[1], in[2]);
    if (in[0].dim() > static_cast<int64_t>(sizes.size()) || broadcast_shapes(kName, in[0].sizes, sizes) != sizes) {
      fail(kName, ": input of sizes ", to_string(in[0].sizes), " cannot be expanded to ", to_string(sizes));
    }
    return {{dtype, sizes}};
  }

  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const DType dtype = out[0].dtype();
    const Scalar beta = factor_of(Product::name, a.beta, dtype);
    const Scalar alpha = factor_of(Product::name, a.alpha, dtype);
    const Tensor product = Tensor::empty(out[0].sizes(), dtype);
    Product::product(in[1], in[2], product);
    using kernels::BinaryOp;
    const auto times = [&](const Tensor& x, const Scalar& factor, const Tensor& to) {
      kernels::binary(BinaryOp::kMul, x, Tensor::scalar(factor, dtype), to);
    };
    if (equals(beta, 0)) return times(product, alpha, out[0]);
    if (dtype == DType::kBool) {
      times(product, alpha, product);
      times(in[0], beta, out[0]);
      return kernels::binary(BinaryOp::kAdd, out[0], product, out[0]);
    }
    if (equals(beta, 1)) return kernels::add_scaled(in[0], product, alpha, out[0]);
    times(in[0], beta, out[0]);
    kernels::add_scaled(out[0], product, alpha, out[0]);
  }

  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const auto scaled = [](const Tensor& t, const Scalar& factor) { return equals(factor, 1) ? t : mul(t, factor); };
    Tensors out(3);
    if (v.needs(0)) out[0] = scaled(g, a.beta);
    if (v.needs(1)) out[1] = scaled(Product::to_first(g, v.input(2)), a.alpha);
    if (v.needs(2)) out[2] = scaled(Product::to_second(g, v.input(1)), a.alpha);
    return out;
  }
};

[[noreturn]] void fail_shapes(std::string_view op, const Spec& a, const Spec& b) {
  fail(op, ": mat1 and mat2 shapes cannot be multiplied (", a.size(0), "x", a.size(1), " and ", b.size(0), "x",
       b.size(1), ")");
}

struct Addmm : ProductSum<Addmm> {
  static constexpr auto name = "addmm";
  static constexpr auto doc = "beta * input + alpha * mat1 times mat2";
  static constexpr std::array inputs{input("input"), input("mat1"), input("mat2")};
  static constexpr std::array<std::string_view, 3> order{"input", "mat1", "mat2"};
  static constexpr bool kTakesBool = false;
  static Shape sizes(const Spec& a, const Spec& b) {
    if (a.dim() != 2) fail("addmm: mat1 must be a matrix, got ", a.dim(), "-D tensor");
    if (b.dim() != 2) fail("addmm: mat2 must be a matrix, got ", b.dim(), "-D tensor");
    if (a.size(1) != b.size(0)) fail_shapes(name, a, b);
    return {a.size(0), b.size(1)};
  }
  static void product(const Tensor& a, const Tensor& b, const Tensor& out) { kernels::gemm(a, b, out); }
  static Tensor to_first(const Tensor& g, const Tensor& b) { return mm(g, t(b)); }
  static Tensor to_second(const Tensor& g, const Tensor& a) { return mm(t(a), g); }
};

struct Addmv : ProductSum<Addmv> {
  static constexpr auto name = "addmv";
  static constexpr auto doc = "beta * input + alpha * mat times vec";
  static constexpr std::array inputs{input("input"), input("mat"), input("vec")};
  static constexpr std::array<std::string_view, 3> order{"input", "mat", "vec"};
  static constexpr bool kTakesBool = false;
  static Shape sizes(const Spec& a, const Spec& b) {
    if (a.dim() != 2 || b.dim() != 1) {
      fail("addmv: vector + matrix @ vector expected, got ", 1, ", ", a.dim(), ", ", b.dim());
    }
    if (a.size(1) != b.size(0)) {
      fail("addmv: size mismatch, got input (", a.size(0), "), mat (", a.size(0), "x", a.size(1), "), vec (", b.size(0),
           ")");
    }
    return {a.size(0)};
  }
  static void product(const Tensor& a, const Tensor& b, const Tensor& out) {
    kernels::gemm(a, b.alias(views::unsqueeze(b.geometry(), 1)), out.alias(views::unsqueeze(out.geometry(), 1)));
  }
  static Tensor to_first(const Tensor& g, const Tensor& b) { return outer(g, b); }
  static Tensor to_second(const Tensor& g, const Tensor& a) { return mv(t(a), g); }
};

struct Addr : ProductSum<Addr> {
  static constexpr auto name = "addr";
  static constexpr auto doc = "beta * input + alpha * the outer product of vec1 and vec2";
  static constexpr std::array inputs{input("input"), input("vec1"), input("vec2")};
  static constexpr std::array<std::string_view, 3> order{"input", "vec1", "vec2"};
  static constexpr bool kTakesBool = true;
  static constexpr auto promotion = Promotion::kCommon;
  static Shape sizes(const Spec& a, const Spec& b) {
    if (a.dim() != 1) fail("addr: Expected 1-D argument vec1, but got ", a.dim(), "-D");
    if (b.dim() != 1) fail("addr: Expected 1-D argument vec2, but got ", b.dim(), "-D");
    return {a.size(0), b.size(0)};
  }
  static void product(const Tensor& a, const Tensor& b, const Tensor& out) {
    kernels::binary(kernels::BinaryOp::kMul, a.alias(views::unsqueeze(a.geometry(), 1)), b, out);
  }
  static Tensor to_first(const Tensor& g, const Tensor& b) { return mv(g, b); }
  static Tensor to_second(const Tensor& g, const Tensor& a) { return mv(t(g), a); }
};

Shape batch_sizes(std::string_view op, const Spec& a, const Spec& b) {
  if (a.dim() != 3) fail(op, ": batch1 must be a 3D tensor, got ", a.dim(), "D");
  if (b.dim() != 3) fail(op, ": batch2 must be a 3D tensor, got ", b.dim(), "D");
  if (a.size(0) != b.size(0) || a.size(2) != b.size(1)) {
    fail(op, ": Expected size for first two dimensions of batch2 tensor to be: [", a.size(0), ", ", a.size(2),
         "] but got: [", b.size(0), ", ", b.size(1), "].");
  }
  return {a.size(0), a.size(1), b.size(2)};
}

struct Baddbmm : ProductSum<Baddbmm> {
  static constexpr auto name = "baddbmm";
  static constexpr auto doc = "beta * input + alpha * batch1 times batch2, matrix by matrix";
  static constexpr std::array inputs{input("input"), input("batch1"), input("batch2")};
  static constexpr std::array<std::string_view, 3> order{"input", "batch1", "batch2"};
  static constexpr bool kTakesBool = false;
  static Shape sizes(const Spec& a, const Spec& b) { return batch_sizes(name, a, b); }
  static void product(const Tensor& a, const Tensor& b, const Tensor& out) { kernels::bmm(a, b, out); }
  static Tensor to_first(const Tensor& g, const Tensor& b) { return bmm(g, transpose(b, 1, 2)); }
  static Tensor to_second(const Tensor& g, const Tensor& a) { return bmm(transpose(a, 1, 2), g); }
};

struct Addbmm : ProductSum<Addbmm> {
  static constexpr auto name = "addbmm";
  static constexpr auto doc = "beta * input + alpha * the sum over the batch of batch1 times batch2";
  static constexpr std::array inputs{input("input"), input("batch1"), input("batch2")};
  static constexpr std::array<std::string_view, 3> order{"input", "batch1", "batch2"};
  static constexpr bool kTakesBool = false;
  static Shape sizes(const Spec& a, const Spec& b) {
    const Shape each = batch_sizes(name, a, b);
    return {each[1], each[2]};
  }
  // The sum over the batch too is one product: [m, b * k] by [b * k, n].
  static void product(const Tensor& a, const Tensor& b, const Tensor& out) {
    const auto matrix = [](const Tensor& x, int64_t rows, int64_t cols) {
      const Tensor plain = kernels::contiguous(x);
      return plain.alias(views::view(plain.geometry(), Shape{rows, cols}));
    };
    const int64_t terms = a.size(0) * a.size(2);
    kernels::gemm(matrix(a.alias(views::transpose(a.geometry(), 0, 1)), a.size(1), terms), matrix(b, terms, b.size(2)),
                  out);
  }
  static Tensor each(const Tensor& g, int64_t batch) { return expand(g, {batch, g.size(0), g.size(1)}); }
  static Tensor to_first(const Tensor& g, const Tensor& b) { return bmm(each(g, b.size(0)), transpose(b, 1, 2)); }
  static Tensor to_second(const Tensor& g, const Tensor& a) { return bmm(transpose(a, 1, 2), each(g, a.size(0))); }
};

const OpFamily kFamily{op_def<Addmm>(), op_def<Addmv>(), op_def<Addr>(), op_def<Baddbmm>(), op_def<Addbmm>()};

}  // namespace

Tensor addmm(const Tensor& x, const Tensor& mat1, const Tensor& mat2, const ProductSumAttrs& attrs) {
  return apply<Addmm>(attrs, {x, mat1, mat2});
}
Tensor addmv(const Tensor& x, const Tensor& mat, const Tensor& vec, const ProductSumAttrs& attrs) {
  return apply<Addmv>(attrs, {x, mat, vec});
}
Tensor addr(const Tensor& x, const Tensor& vec1, const Tensor& vec2, const ProductSumAttrs& attrs) {
  return apply<Addr>(attrs, {x, vec1, vec2});
}
Tensor baddbmm(const Tensor& x, const Tensor& batch1, const Tensor& batch2, const ProductSumAttrs& attrs) {
  return apply<Baddbmm>(attrs, {x, batch1, batch2});
}
Tensor addbmm(const Tensor& x, const Tensor& batch1, const Tensor& batch2, const ProductSumAttrs& attrs) {
  return apply<Addbmm>(attrs, {x, batch1, batch2});
}

}  // namespace tapewire
