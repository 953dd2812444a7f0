#include "server/model/stored_spec.h"

#include "core/base/error.h"

namespace tapewire {
namespace {

size_t payload_bytes(const v1::InitSpec& init) { return init.value().data().size(); }

// Tensors among the literals, which the model holds as tensors.
size_t payload_bytes(const v1::ModelSpec& spec) {
  size_t bytes = 0;
  for (const v1::ModuleSpec& module : spec.modules()) {
    for (const v1::ParameterSpec& p : module.parameters()) bytes += payload_bytes(p.init());
    for (const v1::BufferSpec& b : module.buffers()) bytes += payload_bytes(b.init());
    for (const v1::Call& call : module.forward().calls()) {
      for (const v1::Argument& argument : call.args()) bytes += argument.literal().tensor().data().size();
    }
  }
  return bytes;
}

// Measured: a module without tensors takes some 1.5 KiB with its names in the lists that a model keeps, a parameter 500
// bytes beside its data, a call three times what it has on the wire.
size_t kept_bytes(const v1::ModelSpec& spec, size_t wire, size_t payload) {
  constexpr size_t kModule = 2048;
  constexpr size_t kTensor = 512;
  constexpr size_t kPerByte = 3;
  size_t bytes = payload + (1 + kPerByte) * (wire - payload);
  for (const v1::ModuleSpec& module : spec.modules()) {
    bytes += kModule + kTensor * static_cast<size_t>(module.parameters_size() + module.buffers_size());
  }
  return bytes;
}

}  // namespace

StoredSpec::StoredSpec(const v1::ModelSpec& spec) {
  try {
    const size_t wire = spec.ByteSizeLong();
    kept_.add(kept_bytes(spec, wire, payload_bytes(spec)));
    // The message once more, in the engine's own types.
    loaded_bytes_ = spec.SpaceUsedLong();
    building_.add(loaded_bytes_);
  } catch (const Error& error) {
    throw error.within("spec");
  }
  bytes_ = spec.SerializeAsString();
}

v1::ModelSpec StoredSpec::load() const {
  v1::ModelSpec spec;
  if (!spec.ParseFromString(bytes_)) fail_internal("a stored definition does not parse");
  return spec;
}

}  // namespace tapewire
