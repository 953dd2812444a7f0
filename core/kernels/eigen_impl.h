#pragma once

#include "core/base/cancel.h"

// Eigen, for the .cc files of this room: they include it here and nowhere else, or the same function would be compiled
// in two ways. Its assertions stand at the head of every block operation, decomposition step and register tile, so what
// they run is where a long one looks at the cancel token; their conditions are the callers' business. Everything of
// Eigen's may therefore throw, and frees what it holds when it does.
#if defined(eigen_assert) || defined(EIGEN_CORE_H)
#error "include Eigen through core/kernels/eigen_impl.h"
#endif
#define eigen_assert(condition) ::tapewire::count_work(::tapewire::detail::kWorkBetweenChecks / 256)

#include <Eigen/Core>
#include <Eigen/QR>
#include <Eigen/SVD>
