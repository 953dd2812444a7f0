#include "core/ops/embedding.h"

#include <cmath>
#include <unordered_map>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/index.h"
#include "core/ops/arithmetic.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"
#include "core/tensor/allocator.h"

namespace tapewire {
namespace {

struct LookupAttrs {
  int64_t padding_idx = -1;
  static constexpr auto fields() {
    return std::tuple{field("padding_idx", &LookupAttrs::padding_idx, "row that gets no gradient; -1: none")};
  }
};
struct LookupBackwardAttrs : LookupAttrs {
  int64_t rows = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("rows", &LookupBackwardAttrs::rows, "of the table"),
                      field("padding_idx", &LookupBackwardAttrs::padding_idx, "row that gets no gradient; -1: none")};
  }
};

// 1 / (how often its row is asked for) at each index; without `by_frequency` 1, but 0 at those of the padding row.
Tensor index_weights(const Tensor& indices, int64_t padding_idx, bool by_frequency, DType dtype) {
  const Tensor plain = kernels::contiguous(indices);
  const int64_t* index = plain.data<int64_t>();
  std::unordered_map<int64_t, int64_t> counts;
  for (int64_t i = 0; by_frequency && i < plain.numel(); ++i) {
    count_work(16);
    ++counts[index[i]];
  }
  Shape sizes = indices.sizes();
  sizes.push_back(1);
  const Tensor out = Tensor::empty(sizes, dtype);
  dispatch_floating("embedding", dtype, [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    for (int64_t i = 0; i < plain.numel(); ++i) {
      count_work(by_frequency ? 16 : 1);
      to[i] = by_frequency ? T{1} / static_cast<T>(counts[index[i]]) : index[i] == padding_idx ? T{0} : T{1};
    }
  });
  return out;
}

struct Lookup {
  using Attrs = LookupAttrs;
  static constexpr auto name = "embedding_lookup";
  static constexpr auto doc = "rows of weight [rows, width] for each index; the padding row gets no gradient";
  static constexpr std::array inputs{input("input").fixed(), input("weight")};
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[0].dtype != DType::kInt64) fail(name, ": expects int64 indices, got ", name_of(in[0].dtype));
    if (in[1].dim() != 2) fail(name, ": 'weight' must be 2-D, got ", to_string(in[1].sizes));
    Shape out = in[0].shape();
    out.push_back(in[1].size(1));
    return {{in[1].dtype, out}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::embedding(in[1], in[0], out[0]); }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};

void check_looked_up(std::string_view op, const Spec& rows, const Spec& indices) {
  bool fits = indices.dtype == DType::kInt64 && rows.dim() == indices.dim() + 1 && is_floating(rows.dtype);
  for (size_t i = 0; fits && i < indices.sizes.size(); ++i) fits = rows.size(i) == indices.size(i);
  if (!fits) {
    fail(op, ": expects floating [*, width] for int64 indices [*], got ", to_string(rows), " and ", to_string(indices));
  }
}

struct LookupBackward {
  using Attrs = LookupBackwardAttrs;
  static constexpr auto name = "embedding_backward";
  static constexpr auto doc = "the gradients of looked up rows added up in a table of so many rows";
  static constexpr std::array inputs{input("grad"), input("indices").fixed()};
  static constexpr std::array saves{save_input(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_looked_up(name, in[0], in[1]);
    return {{in[0].dtype, {a.rows, in[0].sizes.back()}}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::embedding_backward(in[0], in[1], a.padding_idx, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor indices = v.input(1);
    const Tensor picked = apply<Lookup>({-1}, {indices, v.grad()});
    if (a.padding_idx < 0) return {picked, Tensor()};
    return {mul(picked, index_weights(indices, a.padding_idx, false, picked.dtype())), Tensor()};
  }
};

Tensors Lookup::vjp(const Attrs& a, const Vjp& v) {
  LookupBackwardAttrs back;
  back.rows = v.sizes(1)[0];
  back.padding_idx = a.padding_idx;
  return {Tensor(), apply<LookupBackward>(back, {v.grad(), v.input(0)})};
}

// The same values; a gradient on its way back is divided by how often its row was looked up.
struct ScaleByFrequency {
  using Attrs = NoAttrs;
  static constexpr auto name = "embedding_scale_grad";
  static constexpr auto doc = "input [*, width] itself; its gradient is divided by how often its index occurs";
  static constexpr std::array inputs{input("input"), input("indices").fixed()};
  static constexpr std::array saves{save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_looked_up(name, in[0], in[1]);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::copy(in[0], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    return {mul(g, index_weights(v.input(1), -1, true, g.dtype())), Tensor()};
  }
};

// Rows that are longer than max_norm become max_norm long, each once; without history. When it is cancelled, each row
// is as it was or done.
void renorm(const Tensor& weight, const Tensor& indices, double max_norm, double p) {
  if (weight.numel() == 0) return;
  for (size_t d = 0; d < 2; ++d) {
    if (weight.sizes()[d] < 2 || weight.strides()[d] != 0) continue;
    fail("embedding: max_norm changes weight in place, but more than one element of it, ", to_string(weight.spec()),
         ", refers to a single memory location. Please clone() the tensor before performing the operation.");
  }
  const Tensor plain = kernels::contiguous(indices);
  const int64_t* index = plain.data<int64_t>();
  CountedVector<bool> done(static_cast<size_t>(weight.size(0)));
  const int64_t row_stride = weight.strides()[0];
  const int64_t stride = weight.strides()[1];
  bool changed = false;
  dispatch_floating("embedding", weight.dtype(), [&]<class T>(TypeTag<T>) {
    T* table = weight.mutable_data<T>();
    for (int64_t i = 0; i < plain.numel(); ++i) {
      count_work(1);
      if (index[i] < 0 || index[i] >= weight.size(0) || done[static_cast<size_t>(index[i])]) continue;
      done[static_cast<size_t>(index[i])] = true;
      T* row = table + index[i] * row_stride;
      double sum = 0;
      constexpr int64_t kCost = 16;
      count_work(kCost * weight.size(1));
      const auto add_sizes = [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
          const double size = std::abs(static_cast<double>(row[c * stride]));
          sum = std::isinf(p) ? std::max(sum, size) : sum + std::pow(size, p);
        }
      };
      in_pieces(weight.size(1), add_sizes, kCost);
      const double norm = std::isinf(p) ? sum : std::pow(sum, 1 / p);
      if (!(norm > max_norm)) continue;
      changed = true;
      const T factor = static_cast<T>(max_norm / (norm + 1e-7));
      for (int64_t c = 0; c < weight.size(1); ++c) row[c * stride] *= factor;
    }
  });
  if (changed) weight.storage().bump_version();
}

struct Embedding {
  using Attrs = EmbeddingAttrs;
  static constexpr auto name = "embedding";
  static constexpr auto doc = "rows of weight [rows, width] for each index of input";
  static constexpr std::array inputs{input("input"), input("weight")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& weight = in[1];
    if (in[0].dtype() != DType::kInt64 && in[0].dtype() != DType::kInt32) {
      fail(name,
           ": Expected tensor for argument 'indices' to have one of the following scalar types: Long, Int; but got ",
           name_of(in[0].dtype()), " instead");
    }
    if (weight.dim() != 2) fail(name, ": 'weight' must be 2-D, got ", to_string(weight.sizes()));
    if (a.sparse) fail(name, ": sparse gradients are not supported");
    const int64_t rows = weight.size(0);
    int64_t padding = -1;
    if (a.padding_idx) {
      if (*a.padding_idx >= rows || *a.padding_idx < -rows) fail(name, ": Padding_idx must be within num_embeddings");
      padding = *a.padding_idx < 0 ? *a.padding_idx + rows : *a.padding_idx;
    }
    const Tensor indices = to(in[0], DType::kInt64);
    if (a.max_norm) {
      if (!(*a.max_norm >= 0)) fail(name, ": max_norm must not be negative, got ", *a.max_norm);
      if (!(a.norm_type > 0)) fail(name, ": norm_type must be positive, got ", a.norm_type);
      renorm(weight, indices, *a.max_norm, a.norm_type);
    }
    const Tensor out = apply<Lookup>({padding}, {indices, weight});
    if (!a.scale_grad_by_freq || !is_floating(out.dtype())) return out;
    return apply<ScaleByFrequency>({}, {out, indices});
  }
};

const OpFamily kFamily{op_def<Lookup>(), op_def<LookupBackward>(), op_def<ScaleByFrequency>(), op_def<Embedding>()};

}  // namespace

Tensor embedding(const Tensor& indices, const Tensor& weight, const EmbeddingAttrs& attrs) {
  return apply<Embedding>(attrs, {indices, weight});
}

}  // namespace tapewire
