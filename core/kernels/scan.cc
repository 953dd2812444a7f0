#include "core/base/parallel_for.h"
#include "core/kernels/reduce.h"
#include "core/kernels/reduce_impl.h"

namespace tapewire::kernels {
namespace {

// Along one dimension, a block of neighbouring lines at a time; floats accumulate in double, as in ATen.
template <class From, class To, class Step>
void scan(const Tensor& x, int64_t dim, const Tensor& out, To, const Step& step) {
  using Acc = std::conditional_t<std::is_floating_point_v<From>, double, int64_t>;
  To* to = out.mutable_data<To>();
  const From* from = x.data<From>();
  if (out.numel() == 0) return;
  const size_t along = static_cast<size_t>(dim);
  const bool scalar = x.dim() == 0;
  const int64_t length = scalar ? 1 : x.sizes()[along];
  const int64_t in_step = scalar ? 1 : x.strides()[along];
  const int64_t out_step = scalar ? 1 : out.strides()[along];
  Shape sizes(x.sizes());
  Shape strides[] = {x.strides(), out.strides()};
  if (!scalar) {
    sizes.erase(sizes.begin() + dim);
    strides[0].erase(strides[0].begin() + dim);
    strides[1].erase(strides[1].begin() + dim);
  }
  const LoopNest nest = make_nest(sizes, strides, /*reorder=*/true);
  const int64_t width = nest.sizes.back();
  const int64_t blocks = (width + kColumns - 1) / kColumns;
  const int64_t items = numel_of(nest.sizes) / width * blocks;
  const int64_t in_column = nest.strides[0].back();
  const int64_t out_column = nest.strides[1].back();
  const int64_t work = std::max<int64_t>(1, length * std::min(width, kColumns));
  parallel_for(items, std::max<int64_t>(1, kLightGrain / work), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t column = item % blocks * kColumns;
      const int64_t columns = std::min(kColumns, width - column);
      const int64_t line = item / blocks * width + column;
      const From* in = from + nest_offset(nest, 0, nest.dims(), line);
      To* result = to + nest_offset(nest, 1, nest.dims(), line);
      Acc acc[kColumns];
      for (int64_t c = 0; c < columns; ++c) {
        acc[c] = static_cast<Acc>(in[c * in_column]);
        result[c * out_column] = static_cast<To>(acc[c]);
      }
      for (int64_t r = 1; r < length; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          acc[c] = step(acc[c], static_cast<Acc>(in[r * in_step + c * in_column]));
          result[r * out_step + c * out_column] = static_cast<To>(acc[c]);
        }
      }
    }
  });
}

template <class Step>
void scan_any(const char* op, const Tensor& x, int64_t dim, const Tensor& out, const Step& step) {
  dispatch_all(x.dtype(), [&]<class From>(TypeTag<From>) {
    dispatch_all(out.dtype(), [&]<class To>(TypeTag<To>) {
      constexpr bool kFloats = std::is_floating_point_v<From>;
      if constexpr (std::is_same_v<From, To> || (!kFloats && std::is_same_v<To, int64_t>)) {
        scan<From, To>(x, dim, out, To{}, step);
      } else {
        fail_internal(op, " of ", name_of(x.dtype()), " does not give ", name_of(out.dtype()));
      }
    });
  });
}

}  // namespace

void cumsum(const Tensor& x, int64_t dim, const Tensor& out) {
  scan_any("cumsum", x, dim, out, [](auto a, auto b) { return add(a, b); });
}

void cumprod(const Tensor& x, int64_t dim, const Tensor& out) {
  scan_any("cumprod", x, dim, out, [](auto a, auto b) { return multiply(a, b); });
}

}  // namespace tapewire::kernels
