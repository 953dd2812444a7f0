#pragma once

#include <future>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "server/model/model_registry.h"

namespace tapewire {

inline v1::ModelSpec spec_of(const std::string& text) {
  v1::ModelSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

/// fc1 Linear(10, 5), relu, fc2 Linear(5, 1); MSE; SGD.
inline const char* const kSimpleNet = R"pb(
  modules {
    path: ""
    type: "Graph"
    forward {
      inputs { name: "x" }
      calls {
        module: "fc1"
        args { ref: "x" }
        results: "h"
      }
      calls {
        op: "relu"
        args { ref: "h" }
        results: "a"
      }
      calls {
        module: "fc2"
        args { ref: "a" }
        results: "y"
      }
      outputs: "y"
    }
  }
  modules {
    path: "fc1"
    type: "Linear"
    attributes {
      key: "in_features"
      value { int_value: 10 }
    }
    attributes {
      key: "out_features"
      value { int_value: 5 }
    }
  }
  modules {
    path: "fc2"
    type: "Linear"
    attributes {
      key: "in_features"
      value { int_value: 5 }
    }
    attributes {
      key: "out_features"
      value { int_value: 1 }
    }
  }
  loss { type: "MSELoss" }
  optimizer {
    type: "SGD"
    attributes {
      key: "lr"
      value { double_value: 0.1 }
    }
    attributes {
      key: "momentum"
      value { double_value: 0.9 }
    }
  }
)pb";

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
