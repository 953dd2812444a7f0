#pragma once

#include <cstdint>

#include "core/base/random.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Fills in the order of memory with the streams of PyTorch's CPU generator.

/// U[from, to); float32 and float64. The bits of PyTorch's AVX2 build.
void uniform(const Tensor& out, double from, double to, Generator& generator);
/// N(mean, std^2); float32 and float64. From 16 contiguous elements on PyTorch's vector layout is used. The bits of
/// PyTorch's AVX2 build, except for 16 and more floats: there it has approximations, these agree to some ulp of the
/// standard normal, and bit for bit with ATEN_CPU_CAPABILITY=default.
void normal(const Tensor& out, double mean, double std, Generator& generator);
/// 1 with probability p, else 0; any dtype. One double a value.
void bernoulli(const Tensor& out, double p, Generator& generator);
/// 1 with probability p[i]; p is float32 or float64 of out's shape. Throws for what is no probability.
void bernoulli(const Tensor& out, const Tensor& p, Generator& generator);
/// The slopes of rrelu in training: U[from, to), one double each, where x is 0 or less, else 1; float32 and float64.
/// REQUIRES: `out` is row-major and has x's dtype and sizes.
void rrelu_slopes(const Tensor& out, const Tensor& x, double from, double to, Generator& generator);
/// Integers of [low, high); any dtype. REQUIRES: low < high.
void randint(const Tensor& out, int64_t low, int64_t high, Generator& generator);
/// A permutation of 0 .. n-1 in an int64 tensor [n].
void randperm(const Tensor& out, Generator& generator);

}  // namespace tapewire::kernels
