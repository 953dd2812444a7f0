#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tapewire/v1/autograd_service.pb.h"
#include "tapewire/v1/call.pb.h"
#include "tapewire/v1/hook_service.pb.h"
#include "tapewire/v1/model_service.pb.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

/// What the fake server saw of one call that changes a model.
struct SeenCall {
  std::string method;
  v1::CallId call_id;
  bool has_call_id = false;
};

/// A server in this process that speaks the contract and computes nothing: it remembers models, tapes and hooks,
/// answers with made-up numbers, and fails, waits or misbehaves on demand. What it makes up:
/// - Forward returns its first input as "output";
/// - step n of a Train stream has loss 1/n;
/// - every step sends one event a hook: "grad_output" with l2 norm n, where n steps were before it;
/// - Evaluate's accuracy is the share of int64 targets that equal the index of their input row's largest element.
class FakeServer {
 public:
  FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer();

  const std::string& address() const { return address_; }

  void add_model(const std::string& name);
  bool has_model(const std::string& name) const;
  size_t hook_count() const;

  /// The next `times` calls of `method` ("GetModel") fail so, before they do anything.
  void fail_next(const std::string& method, const absl::Status& status, int times = 1);
  /// Calls of `method` wait before they do anything, until it is released.
  void hold(const std::string& method);
  void release(const std::string& method);
  /// Waits until a call of `method` has come.
  bool wait_for_call(const std::string& method) const;
  /// What ReadGradients and ReadState stream.
  void set_chunks(std::vector<v1::TensorChunk> chunks);
  /// The messages of the last WriteState that ended.
  std::vector<v1::WriteStateRequest> written_state() const;
  /// What WriteState answers.
  void set_write_state_response(const v1::WriteStateResponse& response);

  /// Train streams read this many steps before they answer, and then wait for release_train_answers.
  void hold_train_answers(int64_t count);
  void release_train_answers();
  /// The n-th step (from 1) of a Train stream ends it with this error.
  void fail_train_at(int64_t step, const absl::Status& status);
  /// Steps received over all Train streams.
  std::vector<v1::TrainStepRequest> train_steps() const;
  int64_t train_steps_received() const;
  bool wait_for_train_steps(int64_t count) const;

  /// Waits until somebody watches hooks.
  bool wait_for_watcher() const;
  /// Sends events as a step would.
  void send_hook_events(int64_t step);
  void end_watchers(const absl::Status& status);
  /// What later events say was dropped so far.
  void set_drops(int64_t buffer_full, int64_t memory);
  /// The last that came.
  v1::WatchHooksRequest watch_request() const;
  /// All that were ever registered.
  std::vector<v1::Hook> registered_hooks() const;
  /// Norms in events are reported with this many nans.
  void set_nonfinite(int64_t nans);

  std::vector<SeenCall> seen_calls() const;
  void set_serving(bool serving);

 private:
  class Services;
  std::unique_ptr<Services> services_;
  std::string address_;
};

}  // namespace tapewire::client
