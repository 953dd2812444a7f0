#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/nn/module.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

// Another dtype for a tensor that stays the same object.
void convert_in_place(const Tensor& x, DType dtype) {
  if (!x.defined() || !is_floating(x.dtype()) || x.dtype() == dtype) return;
  NoGradGuard no_grad;
  const Tensor converted = to(detach(x), dtype);
  if (AutogradMeta* meta = find_autograd_meta(x)) {
    // The accumulator of a tape that still lives expects gradients of the old dtype.
    MutexLock lock(meta->mutex);
    meta->accumulator = nullptr;
  }
  x.impl()->storage = converted.storage_ref();
  x.impl()->geometry = converted.geometry();
  x.impl()->dtype = dtype;
  x.impl()->contiguous = true;
  if (const Tensor grad = gradient(x); grad.defined()) convert_in_place(grad, dtype);
}

[[noreturn]] void fail_dtype(const char* dtype) {
  fail_with(absl::StatusCode::kUnimplemented, "dtype ", dtype, " is not supported; modules are float32 or float64");
}

// "cuda" or "cuda:" and digits.
bool names_cuda(std::string_view device) {
  if (!device.starts_with("cuda")) return false;
  device.remove_prefix(4);
  if (device.empty()) return true;
  return device.starts_with(':') && device.size() > 1 &&
         device.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

}  // namespace

void Module::to(DType dtype) {
  if (!is_floating(dtype)) {
    fail("nn.Module.to only accepts floating point dtypes, but got desired dtype=", name_of(dtype));
  }
  apply([dtype](Module& module) {
    for (const NamedTensor& p : module.parameters_) convert_in_place(p.tensor, dtype);
    for (const Buffer& b : module.buffers_) convert_in_place(b.tensor, dtype);
  });
}

void Module::to(std::string_view device) {
  if (device == "cpu" || device == "cpu:0") return;
  if (names_cuda(device)) cuda();
  fail("Invalid device string: ", quoted(device), "; this build has 'cpu' alone");
}

void Module::cuda() {
  fail_with(absl::StatusCode::kUnimplemented, "this build has no CUDA device; modules stay on the CPU");
}

void Module::half() { fail_dtype("float16"); }
void Module::bfloat16() { fail_dtype("bfloat16"); }

}  // namespace tapewire
