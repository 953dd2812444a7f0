#pragma once

namespace tapewire {

/// Whether ops of this thread record a tape. On unless a guard says otherwise.
bool grad_enabled();

/// Sets grad_enabled() of this thread for a scope.
class GradModeGuard {
 public:
  explicit GradModeGuard(bool enabled);
  ~GradModeGuard();
  GradModeGuard(const GradModeGuard&) = delete;
  GradModeGuard& operator=(const GradModeGuard&) = delete;

 private:
  bool previous_;
};

/// torch.no_grad: nothing inside is recorded.
class NoGradGuard : public GradModeGuard {
 public:
  NoGradGuard() : GradModeGuard(false) {}
};

/// torch.inference_mode: nothing inside is recorded, and tensors made inside never are part of a tape: they cannot be
/// saved for backward, nor changed in place outside. Views of other tensors stay what they are. A guard with false
/// inside one with true records again.
class InferenceModeGuard {
 public:
  explicit InferenceModeGuard(bool enabled = true);
  ~InferenceModeGuard();
  InferenceModeGuard(const InferenceModeGuard&) = delete;
  InferenceModeGuard& operator=(const InferenceModeGuard&) = delete;

 private:
  GradModeGuard grad_mode_;
  bool previous_;
};

/// Whether nodes remember what made them and gradients are checked for NaN (torch.autograd.detect_anomaly).
bool anomaly_enabled();

/// Sets anomaly_enabled() of this thread for a scope.
class AnomalyGuard {
 public:
  explicit AnomalyGuard(bool enabled = true);
  ~AnomalyGuard();
  AnomalyGuard(const AnomalyGuard&) = delete;
  AnomalyGuard& operator=(const AnomalyGuard&) = delete;

 private:
  bool previous_;
};

}  // namespace tapewire
