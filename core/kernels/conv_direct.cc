#include <algorithm>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/conv_impl.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"
#include "core/tensor/allocator.h"

// Three passes over padded copies of an image, each a tile of vector accumulators that lives in registers: a few
// channels by a few vectors of outputs. Rows of outputs are cut into whole vectors; the copies have room behind a row's
// end, so the last vector needs no mask.
namespace tapewire::kernels::conv_direct {
namespace {

using T = float;
using Vec = simd::VecF;
constexpr int64_t kLanes = simd::kLanes<float>;

constexpr int64_t kTaskProducts = 4 << 20;

// Keeps a loaded vector in a register: without it the compiler loads it again for each use as a memory operand, and
// loads are what these loops run out of.
inline Vec held(Vec v) {
#if defined(__x86_64__)
  asm("" : "+x"(v));
#endif
  return v;
}

int64_t vectors_of(int64_t width) { return (width + kLanes - 1) / kLanes; }

// Images a task takes.
int64_t batch_grain(const ConvShape& s) {
  return std::clamp<int64_t>(kTaskProducts / std::max<int64_t>(1, s.products() / s.batch), 1, s.batch);
}

struct Plane {
  CountedVector<T> data;
  int64_t pitch = 0;  // of a row
  int64_t size = 0;   // of a channel

  // Zeros for `channels` planes of rows x columns, with a vector's room behind the end. The planes lie a cache line
  // further apart than they are long, or the same place in each would fall into the same few sets of the cache.
  Plane(int64_t channels, int64_t rows, int64_t columns)
      : data(static_cast<size_t>(channels * (rows * columns + kGap) + kLanes)),
        pitch(columns),
        size(rows * columns + kGap) {}
  static constexpr int64_t kGap = 16;
  T* channel(int64_t c) { return data.data() + c * size; }
  const T* channel(int64_t c) const { return data.data() + c * size; }

  // Copies plain planes to `down` rows and `right` columns in.
  void put(const T* from, int64_t channels, int64_t rows, int64_t columns, int64_t down, int64_t right) {
    for (int64_t c = 0; c < channels; ++c) {
      T* to = channel(c) + down * pitch + right;
      for (int64_t h = 0; h < rows; ++h, from += columns, to += pitch) std::copy_n(from, columns, to);
    }
  }
};

bool has_width(int64_t width) { return width <= 3 || width == 5 || width == 7; }

// Calls f with the kernel's width as a constant.
template <class F>
void with_width(int64_t width, const F& f) {
  switch (width) {
    case 1:
      return f.template operator()<1>();
    case 2:
      return f.template operator()<2>();
    case 3:
      return f.template operator()<3>();
    case 5:
      return f.template operator()<5>();
    default:
      return f.template operator()<7>();
  }
}

// --- forward: kOut output channels by kPos vectors of outputs ---

// `at` are the positions' offsets in a padded plane, `w` the filters as [c][kh][kw][kOut]; out[o][p] lies at
// to[p] + o * out_stride. The accumulators are local and indexed by constants only, or they would not be registers.
template <int kOut, int kPos, int kWidth>
void forward_tile(const ConvShape& s, const T* x, int64_t plane, int64_t pitch, const int64_t (&at)[kPos], const T* w,
                  const T (&start)[kOut], T* const (&to)[kPos], int64_t out_stride) {
  Vec acc[kOut][kPos];
  for (int o = 0; o < kOut; ++o) {
    for (int p = 0; p < kPos; ++p) acc[o][p] = simd::splat(start[o]);
  }
  for (int64_t c = 0; c < s.in_channels; ++c) {
    for (int64_t kh = 0; kh < s.kernel[1]; ++kh) {
      const T* row = x + c * plane + kh * pitch;
      for (int kw = 0; kw < kWidth; ++kw, w += kOut) {
        Vec v[kPos];
        for (int p = 0; p < kPos; ++p) v[p] = held(simd::load(row + at[p] + kw));
        for (int o = 0; o < kOut; ++o) {
          const Vec factor = simd::splat(w[o]);
          for (int p = 0; p < kPos; ++p) acc[o][p] += factor * v[p];
        }
      }
    }
  }
  for (int o = 0; o < kOut; ++o) {
    for (int p = 0; p < kPos; ++p) simd::store<T>(to[p] + o * out_stride, acc[o][p]);
  }
}

template <int kOut, int kPos, int kWidth>
void forward_image(const ConvShape& s, Plane& x, const T* packed, const T* bias, T* out) {
  const int64_t across = vectors_of(s.out[2]);
  const int64_t positions = s.out[1] * across;
  const int64_t filter = s.in_channels * s.kernel[1] * kWidth;
  const bool whole_rows = s.out[2] % kLanes == 0;
  alignas(32) T buffer[kOut * kPos * kLanes];
  for (int64_t o = 0; o < s.out_channels; o += kOut) {
    const T* w = packed + o * filter;
    const int64_t channels = std::min<int64_t>(kOut, s.out_channels - o);
    T start[kOut] = {};
    for (int64_t i = 0; bias != nullptr && i < channels; ++i) start[i] = bias[o + i];
    count_work(positions * filter * kOut);  // some ten of these are done in a nanosecond
    for (int64_t p = 0; p < positions; p += kPos) {
      const int64_t count = std::min<int64_t>(kPos, positions - p);
      int64_t at[kPos];
      T* to[kPos];
      for (int i = 0; i < kPos; ++i) {
        const int64_t position = std::min(p + i, positions - 1);
        const int64_t row = position / across;
        const int64_t column = position % across * kLanes;
        at[i] = row * x.pitch + column;
        to[i] = out + o * s.out_plane() + row * s.out[2] + column;
      }
      if (whole_rows && channels == kOut) {
        forward_tile<kOut, kPos, kWidth>(s, x.channel(0), x.size, x.pitch, at, w, start, to, s.out_plane());
        continue;
      }
      T* aside[kPos];
      for (int i = 0; i < kPos; ++i) aside[i] = buffer + i * kLanes;
      forward_tile<kOut, kPos, kWidth>(s, x.channel(0), x.size, x.pitch, at, w, start, aside, kPos * kLanes);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t width = std::min(kLanes, s.out[2] - (p + i) % across * kLanes);
        for (int64_t c = 0; c < channels; ++c) {
          std::copy_n(aside[i] + c * kPos * kLanes, width, to[i] + c * s.out_plane());
        }
      }
    }
  }
}

template <int kOut, int kPos, int kWidth>
void forward_with(const ConvShape& s, const T* x, const T* w, const T* bias, T* out) {
  const int64_t taps = s.in_channels * s.kernel[1] * kWidth;
  const int64_t blocks = (s.out_channels + kOut - 1) / kOut;
  CountedVector<T> packed(static_cast<size_t>(blocks * kOut * taps));
  for (int64_t o = 0; o < s.out_channels; ++o) {
    for (int64_t t = 0; t < taps; ++t) {
      packed[static_cast<size_t>((o / kOut * taps + t) * kOut + o % kOut)] = w[o * taps + t];
    }
  }
  const int64_t across = vectors_of(s.out[2]) * kLanes;
  const int64_t pitch = std::max(across + kWidth - 1, s.in[2] + s.padding[2]);
  parallel_for(s.batch, batch_grain(s), [&](int64_t begin, int64_t end) {
    Plane padded(s.in_channels, s.in[1] + 2 * s.padding[1], pitch);
    for (int64_t n = begin; n < end; ++n) {
      const T* image = x + n * s.in_channels * s.in_plane();
      padded.put(image, s.in_channels, s.in[1], s.in[2], s.padding[1], s.padding[2]);
      forward_image<kOut, kPos, kWidth>(s, padded, packed.data(), bias, out + n * s.out_channels * s.out_plane());
    }
  });
}

// --- backward_input: kIn input channels by the kernel's width by two images, for one vector of output gradients ---

template <int kWidth>
constexpr int kInBlock = kWidth >= 5   ? 1
                         : kWidth == 3 ? 2
                         : kWidth == 2 ? 3
                                       : 6;
template <int kWidth>
constexpr int kImageBlock = kWidth >= 7 ? 1 : 2;

// `w` are the filters as [o][kh][kIn][kw]; the images' planes follow one another in `grad` and `sums`.
template <int kWidth, int kImages>
void input_images(const ConvShape& s, Plane& grad, const T* packed, Plane& sums) {
  constexpr int kIn = kInBlock<kWidth>;
  const int64_t across = vectors_of(s.out[2]);
  const int64_t per_out = s.kernel[1] * kIn * kWidth;
  const int64_t grad_image = s.out_channels * grad.size;
  const int64_t sums_image = s.in_channels * sums.size;
  for (int64_t ih = 0; ih < s.in[1]; ++ih) {
    const int64_t first = std::max<int64_t>(0, ih + s.padding[1] - s.out[1] + 1);
    const int64_t last = std::min(s.kernel[1] - 1, ih + s.padding[1]);
    for (int64_t c = 0; c < s.in_channels; c += kIn) {
      const T* w_block = packed + c / kIn * s.out_channels * per_out;
      count_work(across * s.out_channels * per_out);
      for (int64_t v = 0; v < across; ++v) {
        Vec acc[kImages][kIn][kWidth] = {};
        for (int64_t o = 0; o < s.out_channels; ++o) {
          const T* plane = grad.channel(o) + (ih + s.padding[1]) * grad.pitch + v * kLanes;
          const T* w = w_block + o * per_out;
          for (int64_t kh = first; kh <= last; ++kh) {
            Vec g[kImages];
            for (int n = 0; n < kImages; ++n) g[n] = held(simd::load(plane - kh * grad.pitch + n * grad_image));
            const T* tap = w + kh * kIn * kWidth;
            for (int i = 0; i < kIn; ++i) {
              for (int kw = 0; kw < kWidth; ++kw) {
                const Vec factor = held(simd::splat(tap[i * kWidth + kw]));
                for (int n = 0; n < kImages; ++n) acc[n][i][kw] += factor * g[n];
              }
            }
          }
        }
        for (int n = 0; n < kImages; ++n) {
          for (int i = 0; i < kIn && c + i < s.in_channels; ++i) {
            T* to = sums.channel(c + i) + n * sums_image + ih * sums.pitch + v * kLanes;
            for (int kw = 0; kw < kWidth; ++kw) simd::store<T>(to + kw, simd::load(to + kw) + acc[n][i][kw]);
          }
        }
      }
    }
  }
}

template <int kWidth>
void input_with(const ConvShape& s, const T* grad, const T* w, T* grad_x) {
  constexpr int kIn = kInBlock<kWidth>;
  constexpr int kImages = kImageBlock<kWidth>;
  const int64_t blocks = (s.in_channels + kIn - 1) / kIn;
  const int64_t per_out = s.kernel[1] * kIn * kWidth;
  CountedVector<T> packed(static_cast<size_t>(blocks * s.out_channels * per_out));
  const T* from = w;
  for (int64_t o = 0; o < s.out_channels; ++o) {
    for (int64_t c = 0; c < s.in_channels; ++c) {
      for (int64_t kh = 0; kh < s.kernel[1]; ++kh, from += kWidth) {
        const int64_t at = (c / kIn * s.out_channels + o) * per_out + (kh * kIn + c % kIn) * kWidth;
        std::copy_n(from, kWidth, packed.data() + at);
      }
    }
  }
  const int64_t across = vectors_of(s.out[2]) * kLanes;
  parallel_for(s.batch, batch_grain(s), [&](int64_t begin, int64_t end) {
    // Columns of `sums` count from the padding's first.
    Plane padded(kImages * s.out_channels, s.out[1], across);
    Plane sums(kImages * s.in_channels, s.in[1], std::max(across + kWidth - 1, s.in[2] + s.padding[2]));
    for (int64_t n = begin; n < end; n += kImages) {
      const int64_t images = std::min<int64_t>(kImages, end - n);
      const T* g = grad + n * s.out_channels * s.out_plane();
      padded.put(g, images * s.out_channels, s.out[1], s.out[2], 0, 0);
      std::fill(sums.data.begin(), sums.data.end(), T{0});
      if (images == kImages) {
        input_images<kWidth, kImages>(s, padded, packed.data(), sums);
      } else {
        input_images<kWidth, 1>(s, padded, packed.data(), sums);
      }
      T* to = grad_x + n * s.in_channels * s.in_plane();
      for (int64_t row = 0; row < images * s.in_channels * s.in[1]; ++row) {
        const T* from_row = sums.channel(row / s.in[1]) + row % s.in[1] * sums.pitch + s.padding[2];
        std::copy_n(from_row, s.in[2], to + row * s.in[2]);
      }
    }
  });
}

// --- backward_weight: kOut output channels by the kernel's width, summed over the images of a task ---

template <int kWidth>
constexpr int kOutBlock = kWidth >= 7   ? 1
                          : kWidth >= 5 ? 2
                          : kWidth == 3 ? 3
                          : kWidth == 2 ? 4
                                        : 6;

template <int kWidth>
void weight_part(const ConvShape& s, const Plane& x, const Plane& grad, int64_t images, T* sum) {
  constexpr int kOut = kOutBlock<kWidth>;
  const int64_t across = vectors_of(s.out[2]);
  for (int64_t o = 0; o < s.out_channels; o += kOut) {
    for (int64_t c = 0; c < s.in_channels; ++c) {
      for (int64_t kh = 0; kh < s.kernel[1]; ++kh) {
        count_work(images * s.out[1] * across * kOut * kWidth);
        Vec acc[kOut][kWidth] = {};
        for (int64_t n = 0; n < images; ++n) {
          const T* image = x.channel(n * s.in_channels + c) + kh * x.pitch;
          const T* g[kOut];
          for (int i = 0; i < kOut; ++i) {
            g[i] = grad.channel(n * s.out_channels + std::min(o + i, s.out_channels - 1));
          }
          for (int64_t oh = 0; oh < s.out[1]; ++oh) {
            for (int64_t v = 0; v < across; ++v) {
              Vec factor[kOut];
              for (int i = 0; i < kOut; ++i) factor[i] = held(simd::load(g[i] + oh * grad.pitch + v * kLanes));
              const T* row = image + oh * x.pitch + v * kLanes;
              for (int kw = 0; kw < kWidth; ++kw) {
                const Vec value = held(simd::load(row + kw));
                for (int i = 0; i < kOut; ++i) acc[i][kw] += factor[i] * value;
              }
            }
          }
        }
        for (int i = 0; i < kOut && o + i < s.out_channels; ++i) {
          T* to = sum + (((o + i) * s.in_channels + c) * s.kernel[1] + kh) * kWidth;
          for (int kw = 0; kw < kWidth; ++kw) to[kw] += simd::sum_lanes(acc[i][kw]);
        }
      }
    }
  }
}

template <int kWidth>
void weight_with(const ConvShape& s, const T* grad, const T* x, T* grad_w) {
  const int64_t across = vectors_of(s.out[2]) * kLanes;
  const int64_t pitch = std::max(across + kWidth - 1, s.in[2] + s.padding[2]);
  const int64_t grain = batch_grain(s);
  const int64_t parts = (s.batch + grain - 1) / grain;
  const int64_t count = s.weight_count();
  CountedVector<T> sums(static_cast<size_t>(parts * count));
  // So many images at once that their copies stay in the second cache.
  constexpr int64_t kCacheElements = 48 << 10;
  const int64_t height = s.in[1] + 2 * s.padding[1];
  const int64_t per_image = s.in_channels * height * pitch + s.out_channels * s.out[1] * across;
  const int64_t at_once = std::clamp<int64_t>(kCacheElements / per_image, 1, grain);
  parallel_for(s.batch, grain, [&](int64_t begin, int64_t end) {
    Plane images(at_once * s.in_channels, height, pitch);
    Plane grads(at_once * s.out_channels, s.out[1], across);
    for (int64_t first = begin; first < end; first += at_once) {
      const int64_t n = std::min(at_once, end - first);
      const T* from = x + first * s.in_channels * s.in_plane();
      images.put(from, n * s.in_channels, s.in[1], s.in[2], s.padding[1], s.padding[2]);
      const T* g = grad + first * s.out_channels * s.out_plane();
      grads.put(g, n * s.out_channels, s.out[1], s.out[2], 0, 0);
      weight_part<kWidth>(s, images, grads, n, sums.data() + begin / grain * count);
    }
  });
  std::copy_n(sums.data(), count, grad_w);
  for (int64_t part = 1; part < parts; ++part) {
    const T* sum = sums.data() + part * count;
    for (int64_t i = 0; i < count; ++i) grad_w[i] += sum[i];
  }
}

}  // namespace

bool fits(const ConvShape& s) {
  // A block of channels of an image is done without a look at the cancel token.
  constexpr int64_t kMostProducts = 64 << 20;  // for one output channel
  if (s.out_plane() > kMostProducts / (s.in_channels * s.kernel_plane())) return false;
  const bool plain = s.rank <= 2 && s.groups == 1 && s.stride == std::array<int64_t, 3>{1, 1, 1} &&
                     s.dilation == std::array<int64_t, 3>{1, 1, 1};
  return plain && has_width(s.kernel[2]) && vectors_of(s.out[2]) * kLanes <= 2 * s.out[2] &&
         s.padding[1] < s.kernel[1] && s.padding[2] < s.kernel[2] &&
         s.out[1] == s.in[1] + 2 * s.padding[1] - s.kernel[1] + 1 &&
         s.out[2] == s.in[2] + 2 * s.padding[2] - s.kernel[2] + 1;
}

void forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* out) {
  // The tile that wastes least at the edges.
  const int64_t positions = s.out[1] * vectors_of(s.out[2]);
  const auto cost = [&](int64_t channels, int64_t vectors) {
    return (s.out_channels + channels - 1) / channels * channels * ((positions + vectors - 1) / vectors * vectors);
  };
  with_width(s.kernel[2], [&]<int kWidth>() {
    if (cost(4, 3) <= std::min(cost(5, 2), cost(6, 2))) return forward_with<4, 3, kWidth>(s, x, w, bias, out);
    if (cost(6, 2) <= cost(5, 2)) return forward_with<6, 2, kWidth>(s, x, w, bias, out);
    forward_with<5, 2, kWidth>(s, x, w, bias, out);
  });
}

void backward_input(const ConvShape& s, const T* grad, const T* w, T* grad_x) {
  with_width(s.kernel[2], [&]<int kWidth>() { input_with<kWidth>(s, grad, w, grad_x); });
}

void backward_weight(const ConvShape& s, const T* grad, const T* x, T* grad_w) {
  with_width(s.kernel[2], [&]<int kWidth>() { weight_with<kWidth>(s, grad, x, grad_w); });
}

}  // namespace tapewire::kernels::conv_direct
