#pragma once

#include <future>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
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
  std::shared_ptr<LiveModel> create(const std::string& text, const std::string& name = "net", uint64_t seed = 1) {
    return registry_.create(name, spec_of(text), seed);
  }

  /// Runs work in the model's turn; throws what it throws, as a status's code and message.
  template <class Work>
  auto in_turn(const std::shared_ptr<LiveModel>& model, Work work, std::shared_ptr<CancelSource> cancel = nullptr) {
    using R = decltype(work(*model));
    std::promise<absl::StatusOr<R>> promise;
    auto future = promise.get_future();
    model->submit(std::move(cancel), std::move(work),
                  [&promise](absl::StatusOr<R> result) { promise.set_value(std::move(result)); });
    return future.get();
  }

  Metrics metrics_{BuildInfo{}};
  ComputePool pool_{{.permits = 2}};
  ModelRegistry registry_{{}, pool_, metrics_};
};

}  // namespace tapewire
