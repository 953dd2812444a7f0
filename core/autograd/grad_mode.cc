#include "core/autograd/grad_mode.h"

namespace tapewire {
namespace {
thread_local bool recording = true;
thread_local bool detecting_anomalies = false;
}  // namespace

bool grad_enabled() { return recording; }
GradModeGuard::GradModeGuard(bool enabled) : previous_(recording) { recording = enabled; }
GradModeGuard::~GradModeGuard() { recording = previous_; }

bool anomaly_enabled() { return detecting_anomalies; }
AnomalyGuard::AnomalyGuard(bool enabled) : previous_(detecting_anomalies) { detecting_anomalies = enabled; }
AnomalyGuard::~AnomalyGuard() { detecting_anomalies = previous_; }

}  // namespace tapewire
