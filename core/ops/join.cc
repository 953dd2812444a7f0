#include "core/ops/join.h"

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/ops/registry.h"
#include "core/ops/slicing.h"
#include "core/ops/view_ops.h"

namespace tapewire {
namespace {

// Left over from when it was the only empty tensor there was: it joins with anything.
bool passed_over(Ints sizes) { return sizes.size() == 1 && sizes[0] == 0; }

struct Cat {
  using Attrs = JoinAttrs;
  static constexpr auto name = "cat";
  static constexpr auto doc = "tensors joined along a dimension they have";
  static constexpr std::array inputs{list_input("tensors")};
  // Where each tensor begins: the gradient is cut there, and the sizes of those that need none are not kept.
  static constexpr std::array outputs{output("output"), output("starts").hidden().no_grad()};
  static constexpr std::array saves{save_output(1)};
  static constexpr auto promotion = Promotion::kCommon;

  static TensorSpecs infer(const Attrs& a, Specs in) {
    const std::span<const Spec> tensors = in.list();
    if (tensors.empty()) fail("cat: torch.cat(): expected a non-empty list of Tensors");
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].sizes.empty()) {
        fail("cat: zero-dimensional tensor (at position ", i, ") cannot be concatenated");
      }
    }
    const Spec* first = nullptr;
    for (const Spec& x : tensors) {
      if (first == nullptr && !passed_over(x.sizes)) first = &x;
    }
    const auto count = static_cast<int64_t>(tensors.size());
    if (first == nullptr) {
      wrap_dim(name, a.dim, 1);
      return {{tensors[0].dtype, {0}}, {DType::kInt64, {count}}};
    }
    const auto dim = static_cast<size_t>(wrap_dim(name, a.dim, first->dim()));
    Shape sizes = first->shape();
    sizes[dim] = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Spec& x = tensors[i];
      if (passed_over(x.sizes)) continue;
      if (x.dim() != first->dim()) {
        fail("cat: Tensors must have same number of dimensions: got ", first->dim(), " and ", x.dim());
      }
      for (size_t d = 0; d < sizes.size(); ++d) {
        if (d != dim && x.size(d) != sizes[d]) {
          fail("cat: Sizes of tensors must match except in dimension ", dim, ". Expected size ", sizes[d],
               " but got size ", x.size(d), " for tensor number ", i, " in the list.");
        }
      }
      if (__builtin_add_overflow(sizes[dim], x.size(dim), &sizes[dim])) fail("cat: the sizes overflow");
    }
    return {{first->dtype, sizes}, {DType::kInt64, {count}}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const int64_t dim = wrap_dim(name, a.dim, out[0].dim());
    auto* starts = out[1].mutable_data<int64_t>();
    int64_t start = 0;
    for (const Tensor& x : in.list()) {
      count_work(kTensorWork);
      *starts++ = start;
      if (passed_over(x.sizes())) continue;
      const int64_t size = x.size(dim);
      kernels::copy(x, out[0].alias(views::narrow(name, out[0].geometry(), dim, start, size)));
      start += size;
    }
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const int64_t dim = wrap_dim(name, a.dim, g.dim());
    const Tensor starts = v.output(1);
    const auto* start = starts.data<int64_t>();
    Tensors out(v.list_size());
    for (size_t n = 0; n < out.size(); ++n) {
      count_work(kTensorWork);
      if (!v.needs_list(n)) continue;
      const Shape& sizes = v.list_sizes(n);
      out[n] = passed_over(sizes) ? Tensor::zeros(sizes, g.dtype())
                                  : narrow(g, dim, start[n], sizes[static_cast<size_t>(dim)]);
    }
    return out;
  }
};

struct Stack {
  using Attrs = JoinAttrs;
  static constexpr auto name = "stack";
  static constexpr auto doc = "tensors of one size joined along a new dimension";
  static constexpr std::array inputs{list_input("tensors")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const std::span<const Tensor> tensors = in.list();
    if (tensors.empty()) fail("stack: stack expects a non-empty TensorList");
    const Shape& sizes = tensors[0].sizes();
    const int64_t dim = wrap_dim(name, a.dim, tensors[0].dim() + 1);
    std::vector<Tensor> rows;
    for (size_t i = 0; i < tensors.size(); ++i) {
      count_work(kTensorWork);
      if (tensors[i].sizes() != sizes) {
        fail("stack: stack expects each tensor to be equal size, but got ", to_string(sizes), " at entry 0 and ",
             to_string(tensors[i].sizes()), " at entry ", i);
      }
      rows.push_back(unsqueeze(tensors[i], dim));
    }
    return cat(rows, dim);
  }
};

// With as many dimensions as `dims` at least; of 1-d tensors that want two, a row.
std::vector<Tensor> at_least(std::string_view op, std::span<const Tensor> tensors, int64_t dims) {
  if (tensors.empty()) fail(op, ": ", op, " expects a non-empty TensorList");
  std::vector<Tensor> out;
  for (Tensor x : tensors) {
    while (x.dim() < dims) x = unsqueeze(x, 0);
    out.push_back(std::move(x));
  }
  return out;
}

struct Hstack {
  using Attrs = NoAttrs;
  static constexpr auto name = "hstack";
  static constexpr auto doc = "tensors joined along the second dimension, 1-d ones along the first";
  static constexpr std::array inputs{list_input("tensors")};
  static Tensor compose(const Attrs&, Inputs in) {
    const std::vector<Tensor> tensors = at_least(name, in.list(), 1);
    return cat(tensors, tensors[0].dim() == 1 ? 0 : 1);
  }
};

struct Vstack {
  using Attrs = NoAttrs;
  static constexpr auto name = "vstack";
  static constexpr auto doc = "tensors joined along the first dimension, 1-d ones as rows";
  static constexpr std::array inputs{list_input("tensors")};
  static Tensor compose(const Attrs&, Inputs in) { return cat(at_least(name, in.list(), 2), 0); }
};

const OpFamily kFamily{op_def<Cat>(), op_def<Stack>(), op_def<Hstack>(), op_def<Vstack>()};

}  // namespace

Tensor cat(std::span<const Tensor> tensors, int64_t dim) {
  return std::move(apply_list<Cat>({dim}, tensors, tensors.size())[0]);
}
Tensor stack(std::span<const Tensor> tensors, int64_t dim) {
  return std::move(apply_list<Stack>({dim}, tensors, tensors.size())[0]);
}
Tensor hstack(std::span<const Tensor> tensors) { return std::move(apply_list<Hstack>({}, tensors, tensors.size())[0]); }
Tensor vstack(std::span<const Tensor> tensors) { return std::move(apply_list<Vstack>({}, tensors, tensors.size())[0]); }

}  // namespace tapewire
