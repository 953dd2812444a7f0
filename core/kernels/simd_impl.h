#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

// For the .cc files of this room: 256-bit vectors of float and double as the compilers have them (operators work lane
// by lane, comparisons give integer lanes of ones or zeros that ?: takes) and the elementary functions over them. These
// come from glibc's libmvec, exp and log of floats are our own, which are more accurate.
namespace tapewire::kernels::simd {

using VecF = float __attribute__((vector_size(32)));
using VecD = double __attribute__((vector_size(32)));
using VecI = int32_t __attribute__((vector_size(32)));
using VecU = uint32_t __attribute__((vector_size(32)));
using VecL = int64_t __attribute__((vector_size(32)));

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  using type = VecF;
  using Bits = VecI;
};
template <>
struct VecOf<double> {
  using type = VecD;
  using Bits = VecL;
};
template <class T>
using Vec = typename VecOf<T>::type;

template <class T>
inline constexpr int64_t kLanes = 32 / static_cast<int64_t>(sizeof(T));

template <class T>
Vec<T> load(const T* from) {
  Vec<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
void store(T* to, Vec<T> v) {
  std::memcpy(to, &v, sizeof v);
}

inline VecF splat(float x) { return VecF{x, x, x, x, x, x, x, x}; }
inline VecD splat(double x) { return VecD{x, x, x, x}; }
/// A number as a vector of v's kind.
inline VecF like(VecF, double x) { return splat(static_cast<float>(x)); }
inline VecD like(VecD, double x) { return splat(x); }

inline VecI bits(VecF v) { return reinterpret_cast<VecI>(v); }
inline VecL bits(VecD v) { return reinterpret_cast<VecL>(v); }
inline VecF from_bits(VecI v) { return reinterpret_cast<VecF>(v); }
inline VecD from_bits(VecL v) { return reinterpret_cast<VecD>(v); }

template <class V>
V abs(V x) {
  return from_bits(bits(x) & ~bits(like(x, -0.0)));
}
/// The larger and the smaller; NaN in either gives NaN.
template <class V>
V max(V a, V b) {
  return ((a > b) | (a != a)) ? a : b;
}
template <class V>
V min(V a, V b) {
  return ((a < b) | (a != a)) ? a : b;
}

/// The sum, or largest, of the lanes, always in the same order.
inline float sum_lanes(VecF v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }
inline double sum_lanes(VecD v) { return (v[0] + v[2]) + (v[1] + v[3]); }

// Below: name(V x) for VecF and VecD, with glibc's results for zeros, infinities and NaN.
#if defined(__AVX2__) && defined(__GLIBC__)
#define TW_VECTOR_FUNCTION(name, float_symbol, double_symbol) \
  extern "C" VecF float_symbol(VecF);                         \
  extern "C" VecD double_symbol(VecD);                        \
  namespace raw {                                             \
  inline VecF name(VecF x) { return float_symbol(x); }        \
  inline VecD name(VecD x) { return double_symbol(x); }       \
  }
#define TW_VECTOR_FUNCTION2(name, float_symbol, double_symbol)     \
  extern "C" VecF float_symbol(VecF, VecF);                        \
  extern "C" VecD double_symbol(VecD, VecD);                       \
  namespace raw {                                                  \
  inline VecF name(VecF x, VecF y) { return float_symbol(x, y); }  \
  inline VecD name(VecD x, VecD y) { return double_symbol(x, y); } \
  }
#else
#define TW_VECTOR_FUNCTION(name, float_symbol, double_symbol)                   \
  namespace raw {                                                               \
  template <class V>                                                            \
  V name(V x) {                                                                 \
    for (size_t i = 0; i < sizeof x / sizeof x[0]; ++i) x[i] = std::name(x[i]); \
    return x;                                                                   \
  }                                                                             \
  }
#define TW_VECTOR_FUNCTION2(name, float_symbol, double_symbol)                        \
  namespace raw {                                                                     \
  template <class V>                                                                  \
  V name(V x, V y) {                                                                  \
    for (size_t i = 0; i < sizeof x / sizeof x[0]; ++i) x[i] = std::name(x[i], y[i]); \
    return x;                                                                         \
  }                                                                                   \
  }
#endif
// NOLINTBEGIN(bugprone-reserved-identifier): the names of the vector ABI
TW_VECTOR_FUNCTION(exp, _ZGVdN8v_expf, _ZGVdN4v_exp)
TW_VECTOR_FUNCTION(exp2, _ZGVdN8v_exp2f, _ZGVdN4v_exp2)
TW_VECTOR_FUNCTION(expm1, _ZGVdN8v_expm1f, _ZGVdN4v_expm1)
TW_VECTOR_FUNCTION(log, _ZGVdN8v_logf, _ZGVdN4v_log)
TW_VECTOR_FUNCTION(log2, _ZGVdN8v_log2f, _ZGVdN4v_log2)
TW_VECTOR_FUNCTION(log10, _ZGVdN8v_log10f, _ZGVdN4v_log10)
TW_VECTOR_FUNCTION(log1p, _ZGVdN8v_log1pf, _ZGVdN4v_log1p)
TW_VECTOR_FUNCTION(sin, _ZGVdN8v_sinf, _ZGVdN4v_sin)
TW_VECTOR_FUNCTION(cos, _ZGVdN8v_cosf, _ZGVdN4v_cos)
TW_VECTOR_FUNCTION(tan, _ZGVdN8v_tanf, _ZGVdN4v_tan)
TW_VECTOR_FUNCTION(asin, _ZGVdN8v_asinf, _ZGVdN4v_asin)
TW_VECTOR_FUNCTION(acos, _ZGVdN8v_acosf, _ZGVdN4v_acos)
TW_VECTOR_FUNCTION(atan, _ZGVdN8v_atanf, _ZGVdN4v_atan)
TW_VECTOR_FUNCTION(sinh, _ZGVdN8v_sinhf, _ZGVdN4v_sinh)
TW_VECTOR_FUNCTION(cosh, _ZGVdN8v_coshf, _ZGVdN4v_cosh)
TW_VECTOR_FUNCTION(tanh, _ZGVdN8v_tanhf, _ZGVdN4v_tanh)
TW_VECTOR_FUNCTION(asinh, _ZGVdN8v_asinhf, _ZGVdN4v_asinh)
TW_VECTOR_FUNCTION(acosh, _ZGVdN8v_acoshf, _ZGVdN4v_acosh)
TW_VECTOR_FUNCTION(atanh, _ZGVdN8v_atanhf, _ZGVdN4v_atanh)
TW_VECTOR_FUNCTION(erf, _ZGVdN8v_erff, _ZGVdN4v_erf)
TW_VECTOR_FUNCTION(erfc, _ZGVdN8v_erfcf, _ZGVdN4v_erfc)
TW_VECTOR_FUNCTION2(pow, _ZGVdN8vv_powf, _ZGVdN4vv_pow)
TW_VECTOR_FUNCTION2(atan2, _ZGVdN8vv_atan2f, _ZGVdN4vv_atan2)
TW_VECTOR_FUNCTION2(hypot, _ZGVdN8vv_hypotf, _ZGVdN4vv_hypot)
// NOLINTEND(bugprone-reserved-identifier)
#undef TW_VECTOR_FUNCTION
#undef TW_VECTOR_FUNCTION2

// libmvec gives +0 for -0 where the function is odd.
#define TW_ODD_FUNCTION(name)                  \
  template <class V>                           \
  V name(V x) {                                \
    return x == like(x, 0) ? x : raw::name(x); \
  }
TW_ODD_FUNCTION(expm1)
TW_ODD_FUNCTION(log1p)
TW_ODD_FUNCTION(sin)
TW_ODD_FUNCTION(tan)
TW_ODD_FUNCTION(asin)
TW_ODD_FUNCTION(atan)
TW_ODD_FUNCTION(sinh)
TW_ODD_FUNCTION(tanh)
TW_ODD_FUNCTION(asinh)
TW_ODD_FUNCTION(atanh)
TW_ODD_FUNCTION(erf)
#undef TW_ODD_FUNCTION
using raw::acos;
using raw::acosh;
using raw::atan2;
using raw::cos;
using raw::cosh;
using raw::erfc;
using raw::exp2;
using raw::hypot;
using raw::log10;
using raw::log2;
using raw::pow;

inline VecD exp(VecD x) { return raw::exp(x); }
inline VecD log(VecD x) { return raw::log(x); }

/// Within 1 ulp: x = n ln 2 + r, a polynomial for exp(r) (Cephes), scaled by 2^n in two steps so that both ends of the
/// range come out right.
inline VecF exp(VecF x) {
  x = x > splat(89.0f) ? splat(89.0f) : x;
  x = x < splat(-104.0f) ? splat(-104.0f) : x;
  const VecF shift = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const VecF n = (x * splat(1.44269504088896341f) + shift) - shift;
  VecF r = x - n * splat(0.693359375f);
  r = r - n * splat(-2.12194440e-4f);
  VecF p = splat(1.9875691500e-4f);
  p = p * r + splat(1.3981999507e-3f);
  p = p * r + splat(8.3334519073e-3f);
  p = p * r + splat(4.1665795894e-2f);
  p = p * r + splat(1.6666665459e-1f);
  p = p * r + splat(5.0000001201e-1f);
  p = p * (r * r) + r + splat(1.0f);
  const VecI whole = __builtin_convertvector(n, VecI);
  const VecI half = whole >> 1;
  p = p * from_bits((half + 127) << 23);
  return p * from_bits((whole - half + 127) << 23);
}

/// Within 1 ulp, after FreeBSD's e_logf.c.
inline VecF log(VecF x) {
  const VecI tiny = x < splat(0x1p-126f);
  const VecF scaled = tiny ? x * splat(0x1p25f) : x;
  // NaN wraps around.
  VecI ix = reinterpret_cast<VecI>(reinterpret_cast<VecU>(scaled) + (0x3f800000u - 0x3f3504f3u));
  const VecI exponent = (ix >> 23) - 127 - (tiny & 25);
  ix = (ix & 0x007fffff) + 0x3f3504f3;
  const VecF f = from_bits(ix) - splat(1.0f);
  const VecF k = __builtin_convertvector(exponent, VecF);
  const VecF s = f / (splat(2.0f) + f);
  const VecF z = s * s;
  const VecF w = z * z;
  const VecF t1 = w * (splat(0xccce13.0p-25f) + w * splat(0xf89e26.0p-26f));
  const VecF t2 = z * (splat(0xaaaaaa.0p-24f) + w * splat(0x91e9ee.0p-25f));
  const VecF half = splat(0.5f) * f * f;
  VecF y = s * (half + (t1 + t2)) + k * splat(9.0580006145e-06f) - half + f + k * splat(6.9313812256e-01f);
  y = x == splat(INFINITY) ? x : y;
  y = x == splat(0.0f) ? splat(-INFINITY) : y;
  return ((x < splat(0.0f)) | (x != x)) ? splat(NAN) : y;
}

/// 1 / (1 + exp(-x)).
template <class V>
V sigmoid(V x) {
  return like(x, 1) / (like(x, 1) + exp(-x));
}
/// log(1 + exp(x)).
template <class V>
V softplus(V x) {
  const V tail = log1p(exp(-abs(x)));
  return (x < like(x, 0) ? like(x, 0) : x) + tail;
}
/// x, but the least number in place of -infinity: a product with what goes to 0 faster is then 0, as it is in the
/// limit.
template <class V>
V from_finite(V x) {
  using T = std::remove_cvref_t<decltype(x[0])>;
  const V least = like(x, static_cast<double>(std::numeric_limits<T>::lowest()));
  return x < least ? least : x;
}
/// x between -1000 and 1000, where the slopes of activations change no more; likewise for both infinities.
template <class V>
V in_reach(V x) {
  const V high = like(x, 1000);
  const V raised = x < -high ? -high : x;
  return raised > high ? high : raised;
}

/// out[i] = f(x[i]) for f over vectors; the tail is a vector of its own, so an element's value does not depend on where
/// it stands.
template <class T, class F>
void map(int64_t n, T* out, const T* x, const F& f) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(out + i, f(load(x + i)));
  if (i < n) {
    T tail[kLanes<T>] = {};
    const size_t bytes = static_cast<size_t>(n - i) * sizeof(T);
    std::memcpy(tail, x + i, bytes);
    store<T>(tail, f(load(tail)));
    std::memcpy(out + i, tail, bytes);
  }
}

/// out[i] = f(a[i], b[i]).
template <class T, class F>
void map(int64_t n, T* out, const T* a, const T* b, const F& f) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(out + i, f(load(a + i), load(b + i)));
  if (i < n) {
    T tail_a[kLanes<T>] = {};
    T tail_b[kLanes<T>] = {};
    const size_t bytes = static_cast<size_t>(n - i) * sizeof(T);
    std::memcpy(tail_a, a + i, bytes);
    std::memcpy(tail_b, b + i, bytes);
    store<T>(tail_a, f(load(tail_a), load(tail_b)));
    std::memcpy(out + i, tail_a, bytes);
  }
}

}  // namespace tapewire::kernels::simd
