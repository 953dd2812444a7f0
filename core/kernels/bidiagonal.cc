#include "core/kernels/bidiagonal.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/parallel_for.h"
#include "core/kernels/simd_impl.h"

namespace tapewire::kernels {

Columns::Columns(const double* from, int64_t rows, int64_t cols)
    : rows_(rows), cols_(cols), data_(static_cast<size_t>((rows + kPanel - 1) / kPanel * kPanel * cols)) {
  for (int64_t col = 0; col < cols; ++col) {
    count_work(rows);
    for (int64_t row = 0; row < rows; ++row) at(row, col) = from[col * rows + row];
  }
}

namespace {

// A column of a panel, in registers.
struct Lanes {
  simd::VecD a, b, c, d;

  static Lanes load(const double* from) {
    return {simd::load(from), simd::load(from + 4), simd::load(from + 8), simd::load(from + 12)};
  }
  void store(double* to) const {
    simd::store(to, a);
    simd::store(to + 4, b);
    simd::store(to + 8, c);
    simd::store(to + 12, d);
  }
};

// p x + q y
Lanes combine(const simd::VecD& p, const Lanes& x, const simd::VecD& q, const Lanes& y) {
  return {p * x.a + q * y.a, p * x.b + q * y.b, p * x.c + q * y.c, p * x.d + q * y.d};
}

}  // namespace

void Columns::rotate(const std::vector<Rotation>& rotations) {
  static_assert(kPanel == 16);
  if (rotations.empty()) return;
  const int64_t panels = (rows_ + kPanel - 1) / kPanel;
  parallel_for(panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      count_work(static_cast<int64_t>(rotations.size()));
      double* columns = data_.data() + panel * cols_ * kPanel;
      // A step's rotations are of neighbours one after the other: the column that two of them share stays here.
      int64_t held = rotations[0].i;
      Lanes x = Lanes::load(columns + held * kPanel);
      for (const Rotation& r : rotations) {
        if (r.i != held) {
          x.store(columns + held * kPanel);
          x = Lanes::load(columns + r.i * kPanel);
        }
        const Lanes y = Lanes::load(columns + r.j * kPanel);
        const simd::VecD c = simd::splat(r.c);
        const simd::VecD s = simd::splat(r.s);
        combine(c, x, s, y).store(columns + r.i * kPanel);
        x = combine(c, y, -s, x);
        held = r.j;
      }
      x.store(columns + held * kPanel);
    }
  });
}

namespace {

// Rotations that are made together, so that a panel stays in the cache meanwhile.
constexpr size_t kBatch = 16384;
// Steps for each singular value, of which two or three are usual.
constexpr int64_t kMaxSteps = 60;
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kTiny = std::numeric_limits<double>::min();

class Diagonalizer {
 public:
  Diagonalizer(std::vector<double>& d, std::vector<double>& e, Columns& u, Columns& v) : d_(d), e_(e), u_(u), v_(v) {}

  void run() {
    const auto size = static_cast<int64_t>(d_.size());
    int64_t steps_left = kMaxSteps * size;
    for (int64_t high = size - 1; high > 0;) {
      count_work(size);
      const int64_t low = block_begin(high);
      if (low == high) {
        --high;
        continue;
      }
      if (--steps_left < 0) fail("svd: The algorithm failed to converge.");
      if (const int64_t zero = zero_on_diagonal(low, high); zero == high) {
        clear_column(low, high);
      } else if (zero >= low) {
        clear_row(zero, high);
      } else {
        step(low, high);
      }
      if (left_.size() >= kBatch || right_.size() >= kBatch) flush();
    }
    flush();
    std::ranges::fill(e_, 0.0);
  }

 private:
  using Rotation = Columns::Rotation;

  double& d(int64_t i) { return d_[static_cast<size_t>(i)]; }
  double& e(int64_t i) { return e_[static_cast<size_t>(i)]; }
  void left(int64_t i, int64_t j, const Rotation& r) { left_.push_back({i, j, r.c, r.s}); }
  void right(int64_t i, int64_t j, const Rotation& r) { right_.push_back({i, j, r.c, r.s}); }

  // Where the part that ends with `high` begins, in which no number above the diagonal is zero.
  int64_t block_begin(int64_t high) {
    for (int64_t i = high; i > 0; --i) {
      if (std::abs(e(i - 1)) <= kTiny + kEpsilon * (std::abs(d(i - 1)) + std::abs(d(i)))) {
        e(i - 1) = 0;
        return i;
      }
    }
    return 0;
  }

  // The last number on the diagonal of the part that is zero beside its neighbours; -1: none.
  int64_t zero_on_diagonal(int64_t low, int64_t high) {
    for (int64_t i = high; i >= low; --i) {
      const double beside = (i < high ? std::abs(e(i)) : 0) + (i > low ? std::abs(e(i - 1)) : 0);
      if (std::abs(d(i)) <= kTiny + kEpsilon * beside) {
        d(i) = 0;
        return i;
      }
    }
    return -1;
  }

  // The rotation that makes (x, y) to (r, 0).
  static Rotation to_zero(double x, double y, double& r) {
    r = std::hypot(x, y);
    return r == 0 ? Rotation{0, 0, 1, 0} : Rotation{0, 0, x / r, y / r};
  }

  // With a zero at the end of the diagonal: its column goes, from below.
  void clear_column(int64_t low, int64_t high) {
    double f = e(high - 1);
    e(high - 1) = 0;
    for (int64_t j = high - 1; j >= low && f != 0; --j) {
      const Rotation r = to_zero(d(j), f, d(j));
      right(j, high, r);
      if (j == low) break;
      f = -r.s * e(j - 1);
      e(j - 1) *= r.c;
    }
  }

  // With a zero in the diagonal: its row goes, from the left.
  void clear_row(int64_t zero, int64_t high) {
    double f = e(zero);
    e(zero) = 0;
    for (int64_t j = zero + 1; j <= high && f != 0; ++j) {
      const Rotation r = to_zero(d(j), f, d(j));
      left(j, zero, r);
      if (j == high) break;
      f = -r.s * e(j);
      e(j) *= r.c;
    }
  }

  // The eigenvalue of the last 2 x 2 of B^T B that is nearer to its last number, less that number; all scaled.
  double shift(double before, double last, double above) {
    const double b = ((before + last) * (before - last) + above * above) / 2;
    const double c = (last * above) * (last * above);
    if (b == 0 && c == 0) return 0;
    const double root = std::sqrt(b * b + c);
    return c / (b + (b < 0 ? -root : root));
  }

  void step(int64_t low, int64_t high) {
    const double scale =
        std::max({std::abs(d(high)), std::abs(d(high - 1)), std::abs(e(high - 1)), std::abs(d(low)), std::abs(e(low))});
    const double last = d(high) / scale;
    const double first = d(low) / scale;
    double f = (first + last) * (first - last) + shift(d(high - 1) / scale, last, e(high - 1) / scale);
    double g = first * (e(low) / scale);
    for (int64_t j = low; j < high; ++j) {
      double rest;
      Rotation r = to_zero(f, g, rest);
      if (j > low) e(j - 1) = rest;
      f = r.c * d(j) + r.s * e(j);
      e(j) = r.c * e(j) - r.s * d(j);
      g = r.s * d(j + 1);
      d(j + 1) *= r.c;
      right(j, j + 1, r);
      r = to_zero(f, g, d(j));
      f = r.c * e(j) + r.s * d(j + 1);
      d(j + 1) = r.c * d(j + 1) - r.s * e(j);
      left(j, j + 1, r);
      if (j + 1 == high) break;
      g = r.s * e(j + 1);
      e(j + 1) *= r.c;
    }
    e(high - 1) = f;
  }

  void flush() {
    u_.rotate(left_);
    v_.rotate(right_);
    left_.clear();
    right_.clear();
  }

  std::vector<double>& d_;
  std::vector<double>& e_;
  Columns& u_;
  Columns& v_;
  std::vector<Rotation> left_;
  std::vector<Rotation> right_;
};

}  // namespace

void diagonalize_bidiagonal(std::vector<double>& d, std::vector<double>& e, Columns& u, Columns& v) {
  if (e.size() != d.size()) {
    fail_internal("diagonalize_bidiagonal: ", d.size(), " numbers on the diagonal, but ", e.size(), " above it");
  }
  Diagonalizer(d, e, u, v).run();
}

}  // namespace tapewire::kernels
