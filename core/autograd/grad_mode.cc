#include "core/autograd/grad_mode.h"

#include "core/tensor/tensor.h"

namespace tapewire {
namespace {
thread_local bool recording = true;
thread_local bool detecting_anomalies = false;
}  // namespace

bool grad_enabled() { return recording; }
GradModeGuard::GradModeGuard(bool enabled) : previous_(recording) { recording = enabled; }
GradModeGuard::~GradModeGuard() { recording = previous_; }

InferenceModeGuard::InferenceModeGuard(bool enabled) : grad_mode_(!enabled), previous_(set_inference_mode(enabled)) {}
InferenceModeGuard::~InferenceModeGuard() { set_inference_mode(previous_); }

bool anomaly_enabled() { return detecting_anomalies; }
AnomalyGuard::AnomalyGuard(bool enabled) : previous_(detecting_anomalies) { detecting_anomalies = enabled; }
AnomalyGuard::~AnomalyGuard() { detecting_anomalies = previous_; }

}  // namespace tapewire
