#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tapewire::kernels {

/// The columns of a matrix [rows, cols] of doubles, in panels of 16 rows, so that two columns turn into each other
/// in registers. Rows beyond the last are zeros.
class Columns {
 public:
  static constexpr int64_t kPanel = 16;

  /// A plane rotation of two columns: x_i becomes c x_i + s x_j, and x_j becomes c x_j - s x_i.
  struct Rotation {
    int64_t i, j;
    double c, s;
  };

  /// `from` is column-major, without gaps.
  Columns(const double* from, int64_t rows, int64_t cols);

  int64_t rows() const { return rows_; }
  double at(int64_t row, int64_t col) const { return data_[index(row, col)]; }
  double& at(int64_t row, int64_t col) { return data_[index(row, col)]; }
  /// One rotation after the other, of all rows; on the threads of the caller.
  void rotate(const std::vector<Rotation>& rotations);

 private:
  size_t index(int64_t row, int64_t col) const {
    return static_cast<size_t>((row / kPanel * cols_ + col) * kPanel + row % kPanel);
  }

  int64_t rows_;
  int64_t cols_;
  std::vector<double> data_;  // [rows / 16, cols, 16]
};

/// u B v^T = u' S v'^T, with B upper bidiagonal: diagonal d [k], k - 1 numbers e above it (e [k], the last is scratch).
/// d becomes the diagonal of S, neither sorted nor without signs, e zeros; u [m, k] and v [n, k] become u' and v'. By
/// implicitly shifted QR steps (Golub and Van Loan, "Matrix Computations", 8.6), which no number in B makes diverge:
/// what is finite and at most 1 comes out finite. Throws when a singular value takes too many steps.
void diagonalize_bidiagonal(std::vector<double>& d, std::vector<double>& e, Columns& u, Columns& v);

}  // namespace tapewire::kernels
