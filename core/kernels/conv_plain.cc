#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/conv_impl.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels::conv_plain {
namespace {

// Calls f(offset in x, offset in w, offset in out) for each product of one image.
template <class F>
void for_each_product(const ConvShape& s, int64_t n, const F& f) {
  const int64_t kernel = s.kernel_plane();
  for (int64_t o = 0; o < s.out_channels; ++o) {
    const int64_t group = o / s.group_out();
    for (int64_t c = 0; c < s.group_in(); ++c) {
      const int64_t x_plane = (n * s.in_channels + group * s.group_in() + c) * s.in_plane();
      const int64_t out_plane = (n * s.out_channels + o) * s.out_plane();
      for (int64_t k = 0; k < kernel; ++k) {
        const int64_t kd = k / (s.kernel[1] * s.kernel[2]);
        const int64_t kh = k / s.kernel[2] % s.kernel[1];
        const int64_t kw = k % s.kernel[2];
        count_work(8 * s.out_plane());
        const auto run = [&](int64_t begin, int64_t end) {
          for (int64_t at = begin; at < end; ++at) {
            const int64_t d = at / (s.out[1] * s.out[2]) * s.stride[0] - s.padding[0] + kd * s.dilation[0];
            const int64_t h = at / s.out[2] % s.out[1] * s.stride[1] - s.padding[1] + kh * s.dilation[1];
            const int64_t w = at % s.out[2] * s.stride[2] - s.padding[2] + kw * s.dilation[2];
            if (d < 0 || d >= s.in[0] || h < 0 || h >= s.in[1] || w < 0 || w >= s.in[2]) continue;
            f(x_plane + (d * s.in[1] + h) * s.in[2] + w, (o * s.group_in() + c) * kernel + k, out_plane + at);
          }
        };
        in_pieces(s.out_plane(), run);
      }
    }
  }
}

int64_t image_grain(const ConvShape& s) {
  return std::max<int64_t>(1, kHeavyGrain / std::max<int64_t>(1, s.products() / std::max<int64_t>(1, s.batch)));
}

}  // namespace

void forward(const ConvShape& s, const int64_t* x, const int64_t* w, const int64_t* bias, int64_t* out) {
  parallel_for(s.batch, image_grain(s), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t o = 0; o < s.out_channels; ++o) {
        std::fill_n(out + (n * s.out_channels + o) * s.out_plane(), s.out_plane(), bias != nullptr ? bias[o] : 0);
      }
      for_each_product(s, n,
                       [&](int64_t from, int64_t by, int64_t to) { out[to] = add(out[to], multiply(x[from], w[by])); });
    }
  });
}

void backward_input(const ConvShape& s, const int64_t* grad, const int64_t* w, int64_t* grad_x) {
  parallel_for(s.batch, image_grain(s), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      std::fill_n(grad_x + n * s.in_channels * s.in_plane(), s.in_channels * s.in_plane(), 0);
      for_each_product(s, n, [&](int64_t to, int64_t by, int64_t from) {
        grad_x[to] = add(grad_x[to], multiply(grad[from], w[by]));
      });
    }
  });
}

}  // namespace tapewire::kernels::conv_plain
