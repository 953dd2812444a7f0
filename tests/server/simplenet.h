#pragma once

namespace tapewire {

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

}  // namespace tapewire
