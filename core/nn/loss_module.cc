#include "core/nn/loss_module.h"

#include "core/base/error.h"

namespace tapewire {
namespace {

// " and would broadcast to [4, 4]", where the two do.
std::string would_broadcast(const Tensor& a, const Tensor& b) {
  try {
    return str_cat(" and would broadcast to ", to_string(broadcast_shapes("", a.sizes(), b.sizes())));
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

void require_equal_sizes(const LossModule& loss, std::span<const Tensor> arguments, size_t count) {
  const Tensor& first = arguments[0];
  for (size_t i = 1; i < count; ++i) {
    const Tensor& other = arguments[i];
    if (other.sizes() == first.sizes()) continue;
    const auto names = loss.argument_names();
    fail(loss.type(), ": ", names[0], " ", to_string(first.sizes()), " and ", names[i], " ", to_string(other.sizes()),
         " differ in shape", would_broadcast(first, other), "; reshape one to the shape of the other");
  }
}

double rows_of(const Tensor& x) {
  if (x.dim() == 0) return 1;
  double rows = 1;
  for (int64_t i = 0; i + 1 < x.dim(); ++i) rows *= static_cast<double>(x.size(i));
  return rows;
}

}  // namespace tapewire
