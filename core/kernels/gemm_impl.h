#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// A matrix in place: element (i, j) is data[i * row_stride + j * col_stride]; one of the strides is 1.
template <class T>
struct MatrixView {
  const T* data;
  int64_t rows;
  int64_t cols;
  int64_t row_stride;
  int64_t col_stride;

  MatrixView block(int64_t row, int64_t row_count, int64_t col, int64_t col_count) const {
    return {data + row * row_stride + col * col_stride, row_count, col_count, row_stride, col_stride};
  }
  MatrixView transposed() const { return {data, cols, rows, col_stride, row_stride}; }
};

/// out = a b, or out += a b when `add`, on this thread alone; rows of `out` lie out_stride apart. float and double.
/// Checks the cancel token within long products.
template <class T>
void gemm_serial(const MatrixView<T>& a, const MatrixView<T>& b, T* out, int64_t out_stride, bool add);

/// The same, cut into blocks of rows or columns that are spread over threads.
template <class T>
void gemm_parallel(const MatrixView<T>& a, const MatrixView<T>& b, T* out, int64_t out_stride, bool add);

}  // namespace tapewire::kernels
