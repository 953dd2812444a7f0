#include "core/kernels/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "core/base/cancel.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

// Sets every element, one after the other, to draw(): in the order of memory, as ATen's iterator does.
template <class T, class Draw>
void fill_serially(const Tensor& out, const Draw& draw) {
  T* to = out.mutable_data<T>();
  if (out.is_contiguous()) {
    in_pieces(out.numel(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = draw();
    });
    return;
  }
  const Shape strides[] = {out.strides()};
  const LoopNest nest = make_nest(out.sizes(), strides, /*reorder=*/true);
  in_pieces(out.numel(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t rest = i;
      int64_t offset = 0;
      for (size_t d = nest.dims(); d-- > 0;) {
        offset += rest % nest.sizes[d] * nest.strides[0][d];
        rest /= nest.sizes[d];
      }
      to[offset] = draw();
    }
  });
}

template <class T>
T uniform_draw(Generator& generator) {
  if constexpr (std::is_same_v<T, float>) {
    return generator.uniform_float();
  } else {
    return generator.uniform_double();
  }
}

// This file is compiled without contraction: where PyTorch's AVX2 build, the one that runs on any processor of today,
// has a fused multiplication and addition, std::fma says so.

// ATen's normal_fill_16: uniforms to normals, number j paired with j + 8. For floats that build has vector functions of
// its own, here are those of its scalar build.
template <class T>
void normalise_16(T* data, T mean, T std) {
  for (int j = 0; j < 8; ++j) {
    const T u1 = T{1} - data[j];  // (0, 1]: log is finite
    const T u2 = data[j + 8];
    const T radius = std::sqrt(T{-2} * std::log(u1));
    const T theta = static_cast<T>(2.0 * std::numbers::pi * static_cast<double>(u2));
    const T first = radius * std::cos(theta);
    const T second = radius * std::sin(theta);
    if constexpr (std::is_same_v<T, double>) {
      data[j] = std::fma(first, std, mean);
      data[j + 8] = std::fma(second, std, mean);
    } else {
      data[j] = first * std + mean;
      data[j + 8] = second * std + mean;
    }
  }
}

template <class T>
void normal_blocks(T* data, int64_t size, T mean, T std, Generator& generator) {
  in_pieces(size, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) data[i] = uniform_draw<T>(generator);
  });
  in_pieces(size, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i + 16 <= end; i += 16) normalise_16(data + i, mean, std);
  });
  if (size % 16 != 0) {
    // The last sixteen are drawn anew, those done before included.
    T* last = data + size - 16;
    for (int i = 0; i < 16; ++i) last[i] = uniform_draw<T>(generator);
    normalise_16(last, mean, std);
  }
}

}  // namespace

void uniform(const Tensor& out, double from, double to, Generator& generator) {
  dispatch_floating("uniform", out.dtype(), [&]<class T>(TypeTag<T>) {
    const T low = static_cast<T>(from);
    const T range = static_cast<T>(to) - low;
    fill_serially<T>(out, [&] { return std::fma(uniform_draw<T>(generator), range, low); });
  });
}

void normal(const Tensor& out, double mean, double std, Generator& generator) {
  dispatch_floating("normal", out.dtype(), [&]<class T>(TypeTag<T>) {
    if (out.numel() >= 16 && out.is_contiguous()) {
      normal_blocks(out.mutable_data<T>(), out.numel(), static_cast<T>(mean), static_cast<T>(std), generator);
    } else {
      fill_serially<T>(out, [&] { return static_cast<T>(generator.normal_double() * std + mean); });
    }
  });
}

void bernoulli(const Tensor& out, double p, Generator& generator) {
  dispatch_all(out.dtype(), [&]<class T>(TypeTag<T>) {
    fill_serially<T>(out, [&] { return static_cast<T>(generator.uniform_double() < p); });
  });
}

void bernoulli(const Tensor& out, const Tensor& p, Generator& generator) {
  if (p.sizes() != out.sizes()) fail_internal("bernoulli: probabilities differ in shape from the output");
  dispatch_floating("bernoulli", p.dtype(), [&]<class P>(TypeTag<P>) {
    dispatch_all(out.dtype(), [&]<class T>(TypeTag<T>) {
      // The walk is that of `out`; one thread, run after run.
      const Tensor* outputs[] = {&out};
      const Tensor* inputs[] = {&p};
      for_each_run(outputs, inputs, std::max<int64_t>(1, out.numel()), [&](int64_t n, void* const* operands) {
        T* to = static_cast<T*>(operands[0]);
        const P* probability = static_cast<const P*>(operands[1]);
        count_work(n);
        in_pieces(n, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            if (!(probability[i] >= 0 && probability[i] <= 1)) {
              fail("bernoulli: Expected p_in >= 0 && p_in <= 1 to be true, but got false.");
            }
            to[i] = static_cast<T>(uniform_draw<P>(generator) < probability[i]);
          }
        });
      });
    });
  });
}

void rrelu_slopes(const Tensor& out, const Tensor& x, double from, double to, Generator& generator) {
  dispatch_floating("rrelu", x.dtype(), [&]<class T>(TypeTag<T>) {
    const double low = static_cast<double>(static_cast<T>(from));
    const double high = static_cast<double>(static_cast<T>(to));
    const Tensor plain = contiguous(x);
    const T* in = plain.data<T>();
    T* slopes = out.mutable_data<T>();
    in_pieces(x.numel(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        slopes[i] = in[i] <= T{0} ? static_cast<T>(generator.uniform_double() * (high - low) + low) : T{1};
      }
    });
  });
}

namespace {

template <class T>
T rounded(uint64_t number) {
  return static_cast<T>(static_cast<int64_t>(number));
}

// The distance of neighbours among floats of `number`'s size, which they do not hold exactly.
template <class T>
int64_t spacing(uint64_t number) {
  const uint64_t size = static_cast<int64_t>(number) < 0 ? 0 - number : number;
  return int64_t{1} << (std::bit_width(size) - std::numeric_limits<T>::digits);
}

// Floats cannot tell wide integers apart: ATen moves the bounds inwards, to where no number is rounded past them.
template <class T>
void move_bounds(int64_t& low, int64_t& high) {
  const auto fits = [](T number) { return number < T{0x1p63}; };
  const auto first = static_cast<uint64_t>(low) + 1;
  if (const T near = rounded<T>(first); fits(near) && static_cast<int64_t>(near) < low) {
    low = static_cast<int64_t>(near) + spacing<T>(first);
  }
  const auto last = static_cast<uint64_t>(high) - 1;
  if (const T near = rounded<T>(last); fits(near) && static_cast<int64_t>(near) >= high) {
    high = static_cast<int64_t>(near) - spacing<T>(last);
  }
}

}  // namespace

void randint(const Tensor& out, int64_t low, int64_t high, Generator& generator) {
  dispatch_all(out.dtype(), [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_floating_point_v<T>) {
      move_bounds<T>(low, high);
      if (low >= high) fail("randint: the dtype tells no two integers of the range apart");
    }
    const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
    fill_serially<T>(out, [&] {
      const uint64_t draw = range >= (uint64_t{1} << 32) ? generator.random64() : uint64_t{generator.random()};
      return static_cast<T>(static_cast<int64_t>(draw % range + static_cast<uint64_t>(low)));
    });
  });
}

void randperm(const Tensor& out, Generator& generator) {
  const int64_t n = out.numel();
  const Tensor result = out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype());
  int64_t* to = result.mutable_data<int64_t>();
  in_pieces(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = i;
  });
  in_pieces(n - 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::swap(to[i], to[i + static_cast<int64_t>(generator.random() % static_cast<uint64_t>(n - i))]);
    }
  });
  if (!result.is_same(out)) copy(result, out);
}

}  // namespace tapewire::kernels
