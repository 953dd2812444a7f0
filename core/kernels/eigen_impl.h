#pragma once

#include <string_view>

#include "core/base/cancel.h"

// Eigen, for the .cc files of this room: they include it here and nowhere else, or the same function would be compiled
// in two ways. Its assertions stand at the head of every block operation, decomposition step and register tile, so what
// they run is where a long one looks at the cancel token; their conditions are the callers' business. Everything of
// Eigen's may therefore throw, and frees what it holds when it does.
namespace tapewire::kernels {

/// What an assertion counts: a look in a few dozen, which tells of some microseconds to some milliseconds.
inline constexpr int64_t kAssertionWork = detail::kWorkBetweenChecks / 32;

/// Whether an assertion guards one element or one size of a matrix: too many to count.
consteval bool is_trivial(std::string_view condition) {
  return condition.find("index < size()") != std::string_view::npos ||
         condition.find("row < rows()") != std::string_view::npos ||
         condition.find("v == T(Value)") != std::string_view::npos;
}

template <bool kTrivial>
void count_assertion() {
  if constexpr (!kTrivial) count_work(kAssertionWork);
}

}  // namespace tapewire::kernels

#if defined(eigen_assert) || defined(EIGEN_CORE_H)
#error "include Eigen through core/kernels/eigen_impl.h"
#endif
#define eigen_assert(condition) ::tapewire::kernels::count_assertion<::tapewire::kernels::is_trivial(#condition)>()

#include <Eigen/Core>
#include <Eigen/QR>
#include <Eigen/SVD>
