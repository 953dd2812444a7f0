#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/conv_impl.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/gemm_impl.h"

namespace tapewire::kernels::conv_columns {
namespace {

// Columns are made for so many elements at a time, whole output rows.
constexpr int64_t kColumnElements = 1 << 18;
// A row that needs more is cut, too: a kernel may be as large as memory.
constexpr int64_t kMostColumnElements = 4 * kColumnElements;
constexpr int64_t kTaskProducts = 2 << 20;

// Output rows [row, row + rows), of each the outputs [column, column + columns).
struct Tile {
  int64_t row;
  int64_t rows;
  int64_t column;
  int64_t columns;

  int64_t outputs() const { return rows * columns; }
};

// An image's outputs cut into tiles: several whole rows, or parts of one.
class Tiling {
 public:
  Tiling(const ConvShape& s, int64_t tasks) : all_rows_(s.out[0] * s.out[1]), width_(s.out[2]), columns_(width_) {
    const int64_t filter = s.group_in() * s.kernel_plane();
    const int64_t per_row = std::max<int64_t>(1, filter * width_);
    rows_ = std::clamp<int64_t>(kColumnElements / per_row, 1, (all_rows_ + tasks - 1) / tasks);
    if (per_row > kMostColumnElements) columns_ = std::min(width_, std::max<int64_t>(16, kMostColumnElements / filter));
    parts_ = (width_ + columns_ - 1) / columns_;
  }
  int64_t count() const { return (all_rows_ + rows_ - 1) / rows_ * parts_; }
  int64_t most_outputs() const { return rows_ * columns_; }
  Tile operator[](int64_t i) const {
    const int64_t row = i / parts_ * rows_;
    const int64_t column = i % parts_ * columns_;
    return {row, std::min(rows_, all_rows_ - row), column, std::min(columns_, width_ - column)};
  }

 private:
  int64_t all_rows_;
  int64_t width_;
  int64_t rows_;
  int64_t columns_;
  int64_t parts_;
};

// Calls f(column row, x offset or -1 where the whole row of outputs misses the image, first column, kw) for each
// element of the kernel and each output row of a tile.
template <class F>
void for_each_patch_row(const ConvShape& s, const Tile& tile, const F& f) {
  int64_t k = 0;
  for (int64_t c = 0; c < s.group_in(); ++c) {
    for (int64_t kd = 0; kd < s.kernel[0]; ++kd) {
      for (int64_t kh = 0; kh < s.kernel[1]; ++kh) {
        for (int64_t kw = 0; kw < s.kernel[2]; ++kw, ++k) {
          count_work(tile.outputs());
          for (int64_t r = 0; r < tile.rows; ++r) {
            const int64_t od = (tile.row + r) / s.out[1];
            const int64_t oh = (tile.row + r) % s.out[1];
            const int64_t id = od * s.stride[0] - s.padding[0] + kd * s.dilation[0];
            const int64_t ih = oh * s.stride[1] - s.padding[1] + kh * s.dilation[1];
            const bool inside = id >= 0 && id < s.in[0] && ih >= 0 && ih < s.in[1];
            f(k, r, inside ? ((c * s.in[0] + id) * s.in[1] + ih) * s.in[2] : -1,
              kw * s.dilation[2] - s.padding[2] + tile.column * s.stride[2]);
          }
        }
      }
    }
  }
}

// Of a row's `width` outputs, those that see the image at ow * stride + shift: [low, high).
std::pair<int64_t, int64_t> seen(const ConvShape& s, int64_t shift, int64_t width) {
  const int64_t stride = s.stride[2];
  const int64_t limit = s.in[2] - shift;
  // Divisions that round up; the stride may be any positive number.
  const int64_t low = shift >= 0 ? 0 : std::min(width, (-shift - 1) / stride + 1);
  const int64_t high = limit <= 0 ? 0 : std::min(width, (limit - 1) / stride + 1);
  return {low, std::max(low, high)};
}

template <class T>
void to_columns(const ConvShape& s, const T* x, const Tile& tile, T* columns) {
  const int64_t width = tile.columns;
  const int64_t stride = s.stride[2];
  for_each_patch_row(s, tile, [&](int64_t k, int64_t r, int64_t offset, int64_t shift) {
    T* to = columns + (k * tile.rows + r) * width;
    if (offset < 0) {
      std::fill_n(to, width, T{0});
      return;
    }
    const auto [low, high] = seen(s, shift, width);
    std::fill_n(to, low, T{0});
    const T* from = x + offset + shift;
    if (stride == 1) {
      std::copy(from + low, from + high, to + low);
    } else {
      for (int64_t i = low; i < high; ++i) to[i] = from[i * stride];
    }
    std::fill(to + high, to + width, T{0});
  });
}

template <class T>
void add_columns(const ConvShape& s, const T* columns, const Tile& tile, T* x) {
  const int64_t width = tile.columns;
  const int64_t stride = s.stride[2];
  for_each_patch_row(s, tile, [&](int64_t k, int64_t r, int64_t offset, int64_t shift) {
    if (offset < 0) return;
    const T* from = columns + (k * tile.rows + r) * width;
    const auto [low, high] = seen(s, shift, width);
    T* to = x + offset + shift;
    if (stride == 1) {
      TW_INDEPENDENT
      for (int64_t i = low; i < high; ++i) to[i] += from[i];
    } else {
      for (int64_t i = low; i < high; ++i) to[i * stride] += from[i];
    }
  });
}

template <class T>
void fill_zeros(T* to, int64_t n) {
  in_pieces(n, [to](int64_t begin, int64_t end) { std::fill(to + begin, to + end, T{0}); });
}

template <class T>
T* room(Tensor& holder, int64_t count) {
  holder = Tensor::empty({count}, dtype_for<T>());
  return holder.mutable_data<T>();
}

// The image itself is the matrix of columns.
bool needs_no_columns(const ConvShape& s) {
  return s.kernel_plane() == 1 && s.in == s.out && s.padding == std::array<int64_t, 3>{0, 0, 0} &&
         s.stride == std::array<int64_t, 3>{1, 1, 1};
}

}  // namespace

template <class T>
void forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* out) {
  const int64_t filter = s.group_in() * s.kernel_plane();
  // The forward pass may cut an image into tasks: a few for a batch of one.
  const int64_t tasks = std::clamp<int64_t>(s.products() / (s.batch * kTaskProducts), 1, s.batch > 4 ? 1 : 8);
  const Tiling tiling(s, tasks);
  const int64_t tiles = tiling.count();
  const bool plain = needs_no_columns(s);
  const int64_t work = std::max<int64_t>(1, s.products() / (s.batch * s.groups * tiles));
  parallel_for(s.batch * s.groups * tiles, std::max<int64_t>(1, kTaskProducts / work), [&](int64_t begin, int64_t end) {
    Tensor holder;
    T* columns = plain ? nullptr : room<T>(holder, filter * tiling.most_outputs());
    for (int64_t item = begin; item < end; ++item) {
      const Tile tile = tiling[item % tiles];
      const int64_t group = item / tiles % s.groups;
      const int64_t n = item / tiles / s.groups;
      const int64_t first = tile.row * s.out[2] + tile.column;
      const int64_t width = tile.outputs();
      const T* image = x + (n * s.in_channels + group * s.group_in()) * s.in_plane();
      T* to = out + (n * s.out_channels + group * s.group_out()) * s.out_plane() + first;
      MatrixView<T> patches{columns, filter, width, width, 1};
      if (plain) {
        patches = {image + first, filter, width, s.in_plane(), 1};
      } else {
        to_columns(s, image, tile, columns);
      }
      for (int64_t o = 0; bias != nullptr && o < s.group_out(); ++o) {
        count_work(width);
        std::fill_n(to + o * s.out_plane(), width, bias[group * s.group_out() + o]);
      }
      const MatrixView<T> filters{w + group * s.group_out() * filter, s.group_out(), filter, filter, 1};
      gemm_serial(filters, patches, to, s.out_plane(), bias != nullptr);
    }
  });
}

template <class T>
void backward_input(const ConvShape& s, const T* grad, const T* w, T* grad_x) {
  const int64_t filter = s.group_in() * s.kernel_plane();
  const Tiling tiling(s, 1);
  const int64_t work = std::max<int64_t>(1, s.products() / (s.batch * s.groups));
  parallel_for(s.batch * s.groups, std::max<int64_t>(1, kTaskProducts / work), [&](int64_t begin, int64_t end) {
    Tensor holder;
    T* columns = room<T>(holder, filter * tiling.most_outputs());
    for (int64_t item = begin; item < end; ++item) {
      const int64_t group = item % s.groups;
      const int64_t n = item / s.groups;
      T* image = grad_x + (n * s.in_channels + group * s.group_in()) * s.in_plane();
      const T* from = grad + (n * s.out_channels + group * s.group_out()) * s.out_plane();
      const MatrixView<T> filters{w + group * s.group_out() * filter, s.group_out(), filter, filter, 1};
      fill_zeros(image, s.group_in() * s.in_plane());
      for (int64_t i = 0; i < tiling.count(); ++i) {
        const Tile tile = tiling[i];
        const int64_t width = tile.outputs();
        const MatrixView<T> part{from + tile.row * s.out[2] + tile.column, s.group_out(), width, s.out_plane(), 1};
        gemm_serial(filters.transposed(), part, columns, width, false);
        add_columns(s, columns, tile, image);
      }
    }
  });
}

template <class T>
void backward_weight(const ConvShape& s, const T* grad, const T* x, T* grad_w) {
  const int64_t filter = s.group_in() * s.kernel_plane();
  const Tiling tiling(s, 1);
  const bool plain = needs_no_columns(s);
  // Each part of the batch sums into weights of its own; they are added in order.
  constexpr int64_t kParts = 8;
  const int64_t per_image = std::max<int64_t>(1, s.products() / s.batch);
  const int64_t grain = std::max((s.batch + kParts - 1) / kParts, kTaskProducts / per_image);
  const int64_t parts = (s.batch + grain - 1) / grain;
  Tensor sums_holder;
  T* sums = parts > 1 ? room<T>(sums_holder, parts * s.weight_count()) : grad_w;
  parallel_for(s.batch, grain, [&](int64_t begin, int64_t end) {
    Tensor holder;
    T* columns = plain ? nullptr : room<T>(holder, filter * tiling.most_outputs());
    T* sum = sums + begin / grain * s.weight_count();
    fill_zeros(sum, s.weight_count());
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t group = 0; group < s.groups; ++group) {
        const T* image = x + (n * s.in_channels + group * s.group_in()) * s.in_plane();
        const T* from = grad + (n * s.out_channels + group * s.group_out()) * s.out_plane();
        for (int64_t i = 0; i < tiling.count(); ++i) {
          const Tile tile = tiling[i];
          const int64_t first = tile.row * s.out[2] + tile.column;
          const int64_t width = tile.outputs();
          MatrixView<T> patches{columns, filter, width, width, 1};
          if (plain) {
            patches = {image + first, filter, width, s.in_plane(), 1};
          } else {
            to_columns(s, image, tile, columns);
          }
          const MatrixView<T> part{from + first, s.group_out(), width, s.out_plane(), 1};
          gemm_serial(part, patches.transposed(), sum + group * s.group_out() * filter, filter, true);
        }
      }
    }
  });
  if (parts == 1) return;
  const int64_t count = s.weight_count();
  std::copy_n(sums, count, grad_w);
  for (int64_t part = 1; part < parts; ++part) {
    const T* sum = sums + part * count;
    in_pieces(count, [&](int64_t begin, int64_t end) {
      TW_INDEPENDENT
      for (int64_t i = begin; i < end; ++i) grad_w[i] += sum[i];
    });
  }
}

template void forward<float>(const ConvShape&, const float*, const float*, const float*, float*);
template void forward<double>(const ConvShape&, const double*, const double*, const double*, double*);
template void backward_input<float>(const ConvShape&, const float*, const float*, float*);
template void backward_input<double>(const ConvShape&, const double*, const double*, double*);
template void backward_weight<float>(const ConvShape&, const float*, const float*, float*);
template void backward_weight<double>(const ConvShape&, const double*, const double*, double*);

}  // namespace tapewire::kernels::conv_columns
