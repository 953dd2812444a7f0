#include "server/rpc/training_calls.h"

#include "core/base/error.h"
#include "server/rpc/message.h"
#include "server/rpc/stream_model.h"

namespace tapewire::rpc {
namespace {

ClipArgs decode_clip(const v1::Clip& clip) {
  ClipArgs out;
  if (clip.has_max_norm()) out.max_norm = clip.max_norm();
  if (clip.norm_type() != 0) out.norm_type = clip.norm_type();
  if (clip.has_max_value()) out.max_value = clip.max_value();
  return out;
}

TrainStepArgs decode_train_step(v1::TrainStepRequest&& request, const Backend& backend) {
  TrainStepArgs args;
  args.max_answer_bytes = backend.max_answer_bytes;
  args.inputs = codec::decode_tensors(std::move(*request.mutable_inputs()), "inputs", backend.tensors);
  args.targets = codec::decode_tensors(std::move(*request.mutable_targets()), "targets", backend.tensors);
  if (request.has_loss()) args.loss = request.loss();
  args.accumulate_only = request.accumulate_only();
  if (request.loss_scale() != 0) args.loss_scale = request.loss_scale();
  if (request.has_seed()) args.seed = static_cast<uint64_t>(request.seed());
  args.detect_anomaly = request.detect_anomaly();
  args.return_outputs = request.return_outputs();
  args.step.clip = decode_clip(request.clip());
  if (request.has_learning_rate()) args.step.learning_rate = request.learning_rate();
  args.step.keep_gradients = true;
  args.step.end_of_epoch = request.end_of_epoch();
  if (request.has_metric()) args.step.metric = request.metric();
  if (request.has_expected_version()) args.step.expected_version = request.expected_version();
  return args;
}

// A stream of training steps on the model that its first message names. It ends when the model does.
class TrainHandler final : public BidiHandler<v1::TrainRequest, v1::TrainResponse> {
 public:
  TrainHandler(const Backend& backend, const Context& call) : backend_(backend), call_(call), model_(call) {}

  void message(v1::TrainRequest request, Answer<v1::TrainResponse> answer) override {
    const std::string& name = request.step().model();
    if (!model_) {
      model_.set(backend_.models.require(name));
    } else if (!name.empty() && name != model_->name()) {
      fail("step.model: a stream trains one model, ", model_->name(), "; got ", name);
    }
    last_ = decode_call_id(request.step().call_id());
    submit_train_step(model_.handle(), call_->cancel(), std::move(*request.mutable_step()), backend_,
                      Answer<v1::TrainStepResponse>([answer](absl::StatusOr<v1::TrainStepResponse> result) {
                        if (!result.ok()) return answer(result.status());
                        v1::TrainResponse out;
                        *out.mutable_result() = *std::move(result);
                        answer(std::move(out));
                      }));
  }

  // The client sent all: others may have its place. Whether it got the last answers is not known.
  void end(const Answer<void>& answer) override {
    if (!model_ || last_.sequence == 0) return answer(absl::OkStatus());
    model_->submit_internal([last = last_](ModelState& m) { m.once().may_forget(last); },
                            [answer](const absl::Status&) { answer(absl::OkStatus()); });
  }

 private:
  const Backend& backend_;
  const Context call_;
  StreamModel model_;
  ChangeId last_;
};

// Batches of one evaluation, all on the same snapshot.
class EvaluateHandler final : public ClientStreamHandler<v1::EvaluateRequest, v1::EvaluateResponse> {
 public:
  EvaluateHandler(const Backend& backend, const Context& call) : backend_(backend), call_(call), model_(call) {}

  void message(v1::EvaluateRequest request, Answer<void> answer) override {
    if (!model_) {
      model_.set(model_of(call_, backend_.models, request.model()));
      sums_ = std::make_shared<Evaluation>(model_->begin_evaluation(
          {request.metrics().begin(), request.metrics().end()}, request.has_loss() ? &request.loss() : nullptr));
    } else if (!request.model().empty() && request.model() != model_->name()) {
      fail("model: an evaluation is of one model, ", model_->name(), "; got ", request.model());
    } else if (request.metrics_size() > 0 || request.has_loss()) {
      fail("metrics, loss: belong into the first message of an evaluation");
    }
    auto batch = std::make_shared<EvaluateBatch>();
    batch->inputs = codec::decode_tensors(std::move(*request.mutable_inputs()), "inputs", backend_.tensors);
    batch->targets = codec::decode_tensors(std::move(*request.mutable_targets()), "targets", backend_.tensors);
    if (snapshot_) return evaluate(std::move(batch), answer);
    model_->take_snapshot(call_->cancel(), [this, batch, answer](auto snapshot) {
      // The handler lives until its answer has come, so `this` does.
      if (!snapshot.ok()) return answer(snapshot.status());
      snapshot_ = *std::move(snapshot);
      sums_->parameter_version = snapshot_->parameter_version;
      evaluate(batch, answer);
    });
  }

  void end(Answer<v1::EvaluateResponse> answer) override {
    if (!model_) fail("model: the stream ended before its first message");
    v1::EvaluateResponse out;
    out.set_samples(sums_->samples());
    out.set_parameter_version(sums_->parameter_version);
    if (const std::optional<double> loss = sums_->loss()) out.set_loss(*loss);
    for (const auto& [name, value] : sums_->metrics()) (*out.mutable_metrics())[name] = value;
    answer(std::move(out));
  }

 private:
  void evaluate(std::shared_ptr<EvaluateBatch> batch, const Answer<void>& answer) {
    model_->read(
        call_->cancel(), snapshot_,
        [model = model_.handle().get(), batch = std::move(batch), sums = sums_](SnapshotReader& reader) {
          model->evaluate(reader, *batch, *sums);
        },
        answer);
  }

  const Backend& backend_;
  const Context call_;
  StreamModel model_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::shared_ptr<Evaluation> sums_;
};

}  // namespace

StepArgs decode_step(const v1::StepRequest& request) {
  StepArgs args;
  if (request.has_learning_rate()) args.learning_rate = request.learning_rate();
  args.clip = decode_clip(request.clip());
  args.keep_gradients = request.keep_gradients();
  args.end_of_epoch = request.end_of_epoch();
  if (request.has_metric()) args.metric = request.metric();
  if (request.has_expected_version()) args.expected_version = request.expected_version();
  return args;
}

void submit_train_step(const std::shared_ptr<LiveModel>& model, const std::shared_ptr<CancelSource>& cancel,
                       v1::TrainStepRequest request, const Backend& backend, Answer<v1::TrainStepResponse> answer) {
  const ChangeId id = decode_call_id(request.call_id());
  model->submit(
      cancel,
      [args = decode_train_step(std::move(request), backend), id](ModelState& m) {
        return once<v1::TrainStepResponse>(m, id, [&] {
          const StepResult result = m.train_step(args);
          v1::TrainStepResponse out;
          *out.mutable_info() = encode_step(result);
          codec::encode_tensors(result.outputs, *out.mutable_outputs());
          return out;
        });
      },
      std::move(answer));
}

std::unique_ptr<BidiHandler<v1::TrainRequest, v1::TrainResponse>> make_train_handler(const Backend& backend,
                                                                                     const Context& call) {
  return std::make_unique<TrainHandler>(backend, call);
}

std::unique_ptr<ClientStreamHandler<v1::EvaluateRequest, v1::EvaluateResponse>> make_evaluate_handler(
    const Backend& backend, const Context& call) {
  return std::make_unique<EvaluateHandler>(backend, call);
}

}  // namespace tapewire::rpc
