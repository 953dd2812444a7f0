#include "core/kernels/matmul.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/gemm_impl.h"

namespace tapewire::kernels {
namespace {

// Below so many multiplications a product of a batch is one thread's.
constexpr int64_t kBatchProduct = 2 << 20;

bool has_unit_stride(const Tensor& x) {
  const size_t rows = static_cast<size_t>(x.dim()) - 2;
  return x.sizes()[rows] <= 1 || x.sizes()[rows + 1] <= 1 || x.strides()[rows] == 1 || x.strides()[rows + 1] == 1;
}

Tensor with_unit_stride(const Tensor& x) { return has_unit_stride(x) ? x : contiguous(x); }

// The last two dimensions of x as a matrix, `offset` elements in.
template <class T>
MatrixView<T> view_of(const Tensor& x, int64_t offset) {
  const size_t rows = static_cast<size_t>(x.dim()) - 2;
  MatrixView<T> view{x.data<T>() + offset, x.sizes()[rows], x.sizes()[rows + 1], x.strides()[rows],
                     x.strides()[rows + 1]};
  // The stride of a dimension one long is free: let it be what makes the other order's unit.
  if (view.row_stride != 1 && view.col_stride != 1) (view.cols <= 1 ? view.col_stride : view.row_stride) = 1;
  return view;
}

template <class T>
void integer_product(const MatrixView<T>& a, const MatrixView<T>& b, T* out, int64_t out_stride) {
  for (int64_t i = 0; i < a.rows; ++i) {
    T* row = out + i * out_stride;
    for (int64_t p = 0; p < a.cols; ++p) {
      const T factor = a.data[i * a.row_stride + p * a.col_stride];
      const T* right = b.data + p * b.row_stride;
      count_work(b.cols);
      in_pieces(b.cols, [&](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; ++j) row[j] = add(row[j], multiply(factor, right[j * b.col_stride]));
      });
    }
  }
}

// What stands in `out` becomes beta * out; true when the product is to be added to it.
template <class T>
bool scale_output(T* out, int64_t rows, int64_t cols, int64_t stride, double beta) {
  if (beta == 0 && std::is_floating_point_v<T>) return false;
  if (beta == 1) return true;
  const T factor = static_cast<T>(beta);
  for (int64_t i = 0; i < rows; ++i) {
    T* row = out + i * stride;
    count_work(cols);
    in_pieces(cols, [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) row[j] = beta == 0 ? T{0} : multiply(factor, row[j]);
    });
  }
  return true;
}

template <class T>
void product(const MatrixView<T>& a, const MatrixView<T>& b, T* out, double beta, bool parallel) {
  const int64_t stride = b.cols;
  const bool adds = scale_output(out, a.rows, b.cols, stride, beta);
  if constexpr (std::is_floating_point_v<T>) {
    parallel ? gemm_parallel(a, b, out, stride, adds) : gemm_serial(a, b, out, stride, adds);
  } else {
    integer_product(a, b, out, stride);
  }
}

void check(bool fits, const char* op, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (fits && out.is_contiguous()) return;
  fail_internal(op, ": ", to_string(a.sizes()), " by ", to_string(b.sizes()), " into ", to_string(out.sizes()));
}

}  // namespace

void gemm(const Tensor& a, const Tensor& b, const Tensor& out, double beta) {
  check(a.dim() == 2 && b.dim() == 2 && out.dim() == 2 && a.size(1) == b.size(0) && out.size(0) == a.size(0) &&
            out.size(1) == b.size(1),
        "gemm", a, b, out);
  dispatch_numeric("matmul", a.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    const Tensor left = with_unit_stride(a);
    const Tensor right = with_unit_stride(b);
    product(view_of<T>(left, 0), view_of<T>(right, 0), to, beta, /*parallel=*/true);
  });
}

void bmm(const Tensor& a, const Tensor& b, const Tensor& out, double beta) {
  check(a.dim() == 3 && b.dim() == 3 && out.dim() == 3 && a.size(2) == b.size(1) && out.size(0) == a.size(0) &&
            out.size(0) == b.size(0) && out.size(1) == a.size(1) && out.size(2) == b.size(2),
        "bmm", a, b, out);
  if (out.numel() == 0) return;  // however many empty matrices there are
  dispatch_numeric("matmul", a.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    const Tensor left = with_unit_stride(a);
    const Tensor right = with_unit_stride(b);
    const int64_t plane = out.size(1) * out.size(2);
    const int64_t products = plane * a.size(2);
    const auto one = [&](int64_t i, bool parallel) {
      product(view_of<T>(left, i * left.strides()[0]), view_of<T>(right, i * right.strides()[0]), to + i * plane, beta,
              parallel);
    };
    if (products >= kBatchProduct) {
      for (int64_t i = 0; i < out.size(0); ++i) one(i, true);
      return;
    }
    const int64_t grain = std::max<int64_t>(1, kBatchProduct / std::max<int64_t>(1, products));
    parallel_for(out.size(0), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) one(i, false);
    });
  });
}

void linear(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& out) {
  check(x.dim() == 2 && w.dim() == 2 && out.dim() == 2 && x.size(1) == w.size(1) && out.size(0) == x.size(0) &&
            out.size(1) == w.size(0),
        "linear", x, w, out);
  const int64_t width = out.size(1);
  if (bias.defined() && bias.numel() != width) check(false, "linear bias", bias, w, out);
  dispatch_numeric("linear", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    const Tensor left = with_unit_stride(x);
    const Tensor right = with_unit_stride(w);
    if (bias.defined()) {
      const Tensor plain = contiguous(bias);
      const T* row = plain.data<T>();
      for (int64_t i = 0; i < out.size(0); ++i) {
        count_work(width);
        std::copy_n(row, width, to + i * width);
      }
    }
    product(view_of<T>(left, 0), view_of<T>(right, 0).transposed(), to, bias.defined() ? 1.0 : 0.0, /*parallel=*/true);
  });
}

}  // namespace tapewire::kernels
