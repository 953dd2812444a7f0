#pragma once

#include <chrono>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "server/model/build.h"
#include "server/model/tape.h"

namespace tapewire {

/// The arguments and results of a live model's calls, decoded. Fields are those of the contract's messages.

struct ForwardArgs {
  std::vector<NamedTensor> inputs;
  std::optional<bool> training;
  bool keep_tape = false;
  std::optional<std::chrono::seconds> lease;
  std::vector<std::string> inputs_require_grad;
  std::vector<std::string> capture;
  std::optional<uint64_t> seed;
  bool detect_anomaly = false;
  int64_t max_answer_bytes = 0;  // 0: no limit
};

struct ForwardResult {
  std::vector<NamedTensor> outputs;
  std::vector<NamedTensor> captured;
  std::shared_ptr<Tape> tape;
  int64_t parameter_version = 0;
};

/// StepInfo of the contract.
struct StepResult {
  int64_t step = 0;
  int64_t parameter_version = 0;
  std::optional<double> loss;
  std::optional<double> grad_norm;
  double learning_rate = 0;
  std::map<std::string, double> metrics;
  std::vector<NamedTensor> outputs;
};

struct BackwardArgs {
  std::shared_ptr<Tape> tape;
  std::vector<NamedTensor> output_grads;
  std::optional<v1::LossSpec> loss;
  std::vector<NamedTensor> targets;
  bool retain_tape = false;
  bool return_input_grads = false;
  std::vector<std::string> capture_grads;
  bool detect_anomaly = false;
  std::optional<int64_t> expected_version;
  int64_t max_answer_bytes = 0;  // 0: no limit
};

struct BackwardResult {
  std::vector<NamedTensor> input_grads;
  std::vector<NamedTensor> captured_grads;
  std::vector<std::pair<std::string, double>> gradient_norms;
  StepResult info;
};

struct GradArgs {
  std::shared_ptr<Tape> tape;
  std::vector<NamedTensor> output_grads;
  std::vector<std::string> outputs;
  std::vector<std::string> wrt;
  bool retain_tape = false;
  bool create_graph = false;
  bool allow_unused = false;
  int64_t max_answer_bytes = 0;  // 0: no limit
};

struct GradResult {
  std::vector<NamedTensor> grads;  // undefined where unused
  std::shared_ptr<Tape> tape;      // when it was kept
};

struct ClipArgs {
  std::optional<double> max_norm;
  double norm_type = 2;
  std::optional<double> max_value;
};

struct StepArgs {
  std::optional<double> learning_rate;
  ClipArgs clip;
  bool keep_gradients = false;
  bool end_of_epoch = false;
  std::optional<double> metric;
  std::optional<int64_t> expected_version;
};

struct TrainStepArgs {
  std::vector<NamedTensor> inputs;
  std::vector<NamedTensor> targets;
  std::optional<v1::LossSpec> loss;
  bool accumulate_only = false;
  double loss_scale = 1;
  std::optional<uint64_t> seed;
  bool detect_anomaly = false;
  bool return_outputs = false;
  int64_t max_answer_bytes = 0;  // 0: no limit
  StepArgs step;
};

/// WriteStateRequest, put together.
struct LoadStateArgs {
  StateDict state;
  bool allow_partial = false;
  int64_t max_answer_bytes = 0;  // 0: no limit
};

struct LoadStateResult {
  LoadResult keys;
  int64_t parameter_version = 0;
};

/// Throws RESOURCE_EXHAUSTED when the tensors make an answer of more than `most` bytes (0: no limit): an answer that
/// cannot be sent must fail before anything is changed.
void check_answer(std::initializer_list<const std::vector<NamedTensor>*> lists, int64_t most);

}  // namespace tapewire
