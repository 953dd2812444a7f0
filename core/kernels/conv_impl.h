#pragma once

#include <array>
#include <cstdint>

#include "core/kernels/conv.h"

namespace tapewire::kernels {

/// A convolution with its spatial dimensions filled up to three (leading ones are 1 long). Tensors are row-major.
struct ConvShape {
  int64_t batch = 0;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  int64_t rank = 2;  // spatial dimensions given
  std::array<int64_t, 3> in{1, 1, 1};
  std::array<int64_t, 3> out{1, 1, 1};
  std::array<int64_t, 3> kernel{1, 1, 1};
  std::array<int64_t, 3> stride{1, 1, 1};
  std::array<int64_t, 3> padding{0, 0, 0};
  std::array<int64_t, 3> dilation{1, 1, 1};

  int64_t group_in() const { return in_channels / groups; }
  int64_t group_out() const { return out_channels / groups; }
  int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  int64_t out_plane() const { return out[0] * out[1] * out[2]; }
  int64_t kernel_plane() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t weight_count() const { return out_channels * group_in() * kernel_plane(); }
  /// Multiplications of one pass.
  int64_t products() const { return batch * out_plane() * weight_count(); }
  friend bool operator==(const ConvShape&, const ConvShape&) = default;
};

// Ways to compute each pass, on plain arrays; `bias` may be null. Results are overwritten. All check the cancel token
// every few milliseconds.

/// Patches laid out as columns, and matrix products: any convolution.
namespace conv_columns {
template <class T>
void forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* out);
template <class T>
void backward_input(const ConvShape& s, const T* grad, const T* w, T* grad_x);
template <class T>
void backward_weight(const ConvShape& s, const T* grad, const T* x, T* grad_w);
}  // namespace conv_columns

/// Element by element, for int64.
namespace conv_plain {
void forward(const ConvShape& s, const int64_t* x, const int64_t* w, const int64_t* bias, int64_t* out);
void backward_input(const ConvShape& s, const int64_t* grad, const int64_t* w, int64_t* grad_x);
}  // namespace conv_plain

/// Register tiles over rows of the image: few channels, kernels up to 7 wide, stride 1, one group, up to two
/// dimensions, images of moderate size.
namespace conv_direct {
bool fits(const ConvShape& s);
void forward(const ConvShape& s, const float* x, const float* w, const float* bias, float* out);
void backward_input(const ConvShape& s, const float* grad, const float* w, float* grad_x);
void backward_weight(const ConvShape& s, const float* grad, const float* x, float* grad_w);
}  // namespace conv_direct

}  // namespace tapewire::kernels
