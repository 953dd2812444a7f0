#pragma once

#include <string_view>

#include "core/base/cancel.h"

// Eigen, for the .cc files of this room: they include it here and nowhere else, or the same function would be compiled
// in two ways. Its assertions stand at the head of every block operation, decomposition step and register tile, so what
// they run is where a long one looks at the cancel token; their conditions are the callers' business. Everything of
// Eigen's may therefore throw, and frees what it holds when it does.
namespace tapewire::kernels {

/// What an assertion counts: nothing where it guards one element or one size, as there are too many of these; an
/// eighth of what calls for a look where a product is made, which may take milliseconds; else a small part of it.
consteval int64_t assertion_work(std::string_view condition) {
  const auto has = [&](std::string_view part) { return condition.find(part) != std::string_view::npos; };
  if (has("index < size()") || has("row < rows()") || has("v == T(Value)")) return 0;
  return detail::kWorkBetweenChecks / (has("invalid matrix product") ? 8 : 32);
}

template <int64_t kWork>
void count_assertion() {
  if constexpr (kWork > 0) count_work(kWork);
}

}  // namespace tapewire::kernels

#if defined(eigen_assert) || defined(EIGEN_CORE_H)
#error "include Eigen through core/kernels/eigen_impl.h"
#endif
#define eigen_assert(condition) ::tapewire::kernels::count_assertion<::tapewire::kernels::assertion_work(#condition)>()

#include <Eigen/Core>
#include <Eigen/QR>
#include <Eigen/SVD>
