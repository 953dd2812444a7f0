#pragma once

#include "core/base/fields.h"
#include "core/nn/module.h"

namespace tapewire {

struct LinearOptions {
  int64_t in_features = 0;
  int64_t out_features = 0;
  bool bias = true;
  static constexpr auto fields() {
    return std::tuple{required_field("in_features", &LinearOptions::in_features, "size of each input sample"),
                      required_field("out_features", &LinearOptions::out_features, "size of each output sample"),
                      field("bias", &LinearOptions::bias, "add a learned bias")};
  }
};

/// x [*, in_features] -> [*, out_features]: x weight^T + bias, weight [out_features, in_features]. Both start as
/// U(-1/sqrt(in_features), 1/sqrt(in_features)). torch.nn.Linear.
class Linear : public TensorModule {
 public:
  using Options = LinearOptions;
  static constexpr auto kName = "Linear";
  static constexpr auto kDoc = "input times weight transposed, plus bias";

  explicit Linear(const Options& options);
  Linear(int64_t in_features, int64_t out_features, bool bias = true)
      : Linear(Options{in_features, out_features, bias}) {}

  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 private:
  Options options_;
  Member<Tensor> weight_;
  Member<Tensor> bias_;
};

struct BilinearOptions {
  int64_t in1_features = 0;
  int64_t in2_features = 0;
  int64_t out_features = 0;
  bool bias = true;
  static constexpr auto fields() {
    return std::tuple{required_field("in1_features", &BilinearOptions::in1_features, "size of each first sample"),
                      required_field("in2_features", &BilinearOptions::in2_features, "size of each second sample"),
                      required_field("out_features", &BilinearOptions::out_features, "size of each output sample"),
                      field("bias", &BilinearOptions::bias, "add a learned bias")};
  }
};

/// input1 [*, in1_features], input2 [*, in2_features] -> [*, out_features]: input1^T weight[o] input2 + bias[o], weight
/// [out_features, in1_features, in2_features]. Both start as U(-1/sqrt(in1_features), 1/sqrt(in1_features)).
/// torch.nn.Bilinear; throws for an in1_features that is not positive.
class Bilinear final : public Module {
 public:
  using Options = BilinearOptions;
  static constexpr auto kName = "Bilinear";
  static constexpr auto kDoc = "a bilinear form of two inputs for each output, plus bias";

  explicit Bilinear(const Options& options);

  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;
  Tensor forward(const Tensor& input1, const Tensor& input2);
  std::string extra_repr() const override;

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 private:
  Options options_;
  Member<Tensor> weight_;
  Member<Tensor> bias_;
};

}  // namespace tapewire
