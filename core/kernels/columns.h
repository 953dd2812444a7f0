#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// A window that slides over two spatial dimensions; each has two numbers, of height and width.
struct ColumnParams {
  Shape kernel;
  Shape dilation;
  Shape padding;
  Shape stride;
  Shape blocks;  // how many places it takes in each dimension
};

/// columns[n][(c, kh, kw)][(bh, bw)] = image[n][c][bh * stride - padding + kh * dilation][...], 0 outside. image is
/// [N, C, H, W]. Any dtype.
void im2col(const Tensor& image, const ColumnParams& params, const Tensor& columns);
/// Its gradient: every column element added to where it came from; `image` is overwritten. Any numeric dtype.
void col2im(const Tensor& columns, const ColumnParams& params, const Tensor& image);

}  // namespace tapewire::kernels
