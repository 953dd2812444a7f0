#pragma once

#include <future>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "server/model/caught.h"
#include "server/model/model_registry.h"
#include "tests/server/simplenet.h"

namespace tapewire {

inline v1::ModelSpec spec_of(const std::string& text) {
  v1::ModelSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

/// Small numbers of either sign.
inline Tensor ramp(std::initializer_list<int64_t> sizes) {
  Tensor out = Tensor::empty(sizes);
  float* data = out.mutable_data<float>();
  for (int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<float>(i % 7) * 0.25f - 0.5f;
  return out;
}

/// A batch of kSimpleNet.
inline TrainStepArgs batch() { return {.inputs = {{"x", ramp({4, 10})}}, .targets = {{"", ramp({4, 1})}}}; }

/// A registry over a pool of two permits, and calls that wait for their turn.
class ModelTest : public testing::Test {
 protected:
  explicit ModelTest(ModelRegistry::Options options = {}) : registry_(std::move(options), pool_, metrics_) {}

  std::shared_ptr<LiveModel> create(const std::string& text, const std::string& name = "net", uint64_t seed = 1) {
    return create_args({.name = name, .spec = spec_of(text), .seed = seed}).value();
  }
  absl::StatusOr<std::shared_ptr<LiveModel>> create_args(CreateArgs args,
                                                         std::shared_ptr<CancelSource> cancel = nullptr) {
    std::promise<absl::StatusOr<std::shared_ptr<LiveModel>>> promise;
    auto future = promise.get_future();
    try {
      registry_.create(std::move(args), cancel, [&promise](auto model) { promise.set_value(std::move(model)); });
    } catch (...) {
      return caught_status();
    }
    return future.get();
  }

  /// Runs work in the model's turn; throws what it throws, as a status's code and message.
  template <class Work>
  auto in_turn(const std::shared_ptr<LiveModel>& model, Work work, std::shared_ptr<CancelSource> cancel = nullptr) {
    using R = decltype(work(std::declval<ModelState&>()));
    std::promise<absl::StatusOr<R>> promise;
    auto future = promise.get_future();
    model->submit(std::move(cancel), std::move(work),
                  [&promise](absl::StatusOr<R> result) { promise.set_value(std::move(result)); });
    return future.get();
  }

  /// The snapshot that reads see now.
  static std::shared_ptr<const Snapshot> snapshot_of(const std::shared_ptr<LiveModel>& model) {
    std::promise<absl::StatusOr<std::shared_ptr<const Snapshot>>> promise;
    model->take_snapshot(nullptr, [&](auto result) { promise.set_value(std::move(result)); });
    return promise.get_future().get().value();
  }
  /// A Forward on a snapshot.
  static absl::StatusOr<ForwardResult> read(const std::shared_ptr<LiveModel>& model,
                                            const std::shared_ptr<const Snapshot>& snapshot, ForwardArgs args) {
    std::promise<absl::StatusOr<ForwardResult>> promise;
    model->read(
        nullptr, snapshot, [&](SnapshotReader& reader) { return model->forward(reader, args); },
        [&](absl::StatusOr<ForwardResult> result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }

  /// An evaluation of these batches on the model's snapshot.
  static absl::StatusOr<Evaluation> evaluate(const std::shared_ptr<LiveModel>& model, std::vector<std::string> metrics,
                                             const std::vector<EvaluateBatch>& batches) {
    try {
      Evaluation evaluation = model->begin_evaluation(std::move(metrics), nullptr);
      std::promise<absl::Status> promise;
      model->read(
          nullptr, snapshot_of(model),
          [&](SnapshotReader& reader) {
            for (const EvaluateBatch& batch : batches) model->evaluate(reader, batch, evaluation);
          },
          [&](absl::Status status) { promise.set_value(std::move(status)); });
      const absl::Status status = promise.get_future().get();
      if (!status.ok()) return status;
      return evaluation;
    } catch (...) {
      return caught_status();
    }
  }

  Metrics metrics_{BuildInfo{}};
  ComputePool pool_{{.permits = 2}};
  ModelRegistry registry_;
};

}  // namespace tapewire
