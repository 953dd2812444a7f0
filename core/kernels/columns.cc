#include "core/kernels/columns.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

struct Window {
  Window(const ColumnParams& p, const Tensor& image, const Tensor& columns)
      : kernel{p.kernel[0], p.kernel[1]},
        blocks{p.blocks[0], p.blocks[1]},
        height(image.sizes()[2]),
        width(image.sizes()[3]),
        params(p) {
    const int64_t channels = image.sizes()[1] * kernel[0] * kernel[1];
    if (columns.sizes() != Shape{image.sizes()[0], channels, blocks[0] * blocks[1]}) {
      fail_internal("im2col: ", to_string(image.sizes()), " and ", to_string(columns.sizes()));
    }
  }

  // Calls f(column, image element or -1 outside) for the blocks of one element of the kernel, in order.
  template <class F>
  void for_each_block(int64_t element, const F& f) const {
    const int64_t top = element / kernel[1] * params.dilation[0] - params.padding[0];
    const int64_t left = element % kernel[1] * params.dilation[1] - params.padding[1];
    int64_t at = 0;
    for (int64_t bh = 0; bh < blocks[0]; ++bh) {
      const int64_t row = top + bh * params.stride[0];
      const bool inside = row >= 0 && row < height;
      count_work(blocks[1]);
      in_pieces(blocks[1], [&](int64_t begin, int64_t end) {
        for (int64_t bw = begin; bw < end; ++bw, ++at) {
          const int64_t column = left + bw * params.stride[1];
          f(at, inside && column >= 0 && column < width ? row * width + column : -1);
        }
      });
    }
  }

  int64_t kernel[2];
  int64_t blocks[2];
  int64_t height;
  int64_t width;
  const ColumnParams& params;

  int64_t elements() const { return kernel[0] * kernel[1]; }
  int64_t places() const { return blocks[0] * blocks[1]; }
};

}  // namespace

void im2col(const Tensor& image, const ColumnParams& params, const Tensor& columns) {
  if (columns.numel() == 0) return;
  const Window window(params, image, columns);
  const Tensor plain = contiguous(image);
  const Tensor result = columns.is_contiguous() ? columns : Tensor::empty(columns.sizes(), columns.dtype());
  dispatch_all(image.dtype(), [&]<class T>(TypeTag<T>) {
    const T* from = plain.data<T>();
    T* to = result.mutable_data<T>();
    const int64_t rows = columns.numel() / window.places();
    const int64_t grain = std::max<int64_t>(1, kLightGrain / window.places());
    parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* plane = from + r / window.elements() * (window.height * window.width);
        T* row = to + r * window.places();
        window.for_each_block(r % window.elements(),
                              [&](int64_t at, int64_t element) { row[at] = element >= 0 ? plane[element] : T{}; });
      }
    });
  });
  if (!result.is_same(columns)) copy(result, columns);
}

void col2im(const Tensor& columns, const ColumnParams& params, const Tensor& image) {
  const Tensor result = image.is_contiguous() ? image : Tensor::empty(image.sizes(), image.dtype());
  fill(result, 0);
  if (columns.numel() > 0 && image.numel() > 0) {
    const Window window(params, image, columns);
    const Tensor plain = contiguous(columns);
    dispatch_numeric("col2im", image.dtype(), [&]<class T>(TypeTag<T>) {
      const T* from = plain.data<T>();
      T* to = result.mutable_data<T>();
      const int64_t planes = image.sizes()[0] * image.sizes()[1];
      const int64_t grain = std::max<int64_t>(1, kLightGrain / (window.elements() * window.places()));
      // The windows of a plane overlap, so one task adds them all up, in order.
      parallel_for(planes, grain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin * window.elements(); r < end * window.elements(); ++r) {
          T* plane = to + r / window.elements() * (window.height * window.width);
          const T* row = from + r * window.places();
          window.for_each_block(r % window.elements(), [&](int64_t at, int64_t element) {
            if (element >= 0) plane[element] = add(plane[element], row[at]);
          });
        }
      });
    });
  }
  if (!result.is_same(image)) copy(result, image);
}

}  // namespace tapewire::kernels
