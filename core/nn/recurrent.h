#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fields.h"
#include "core/nn/module.h"
#include "core/nn/recurrent_step.h"

namespace tapewire {

enum class RecurrentNonlinearity : uint8_t { kTanh, kRelu };
template <>
struct EnumNames<RecurrentNonlinearity> {
  static constexpr std::array<std::string_view, 2> names{"tanh", "relu"};
};

struct RecurrentOptions {
  int64_t input_size = 0;
  int64_t hidden_size = 0;
  int64_t num_layers = 1;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  bool bidirectional = false;
  static constexpr auto fields() {
    return std::tuple{required_field("input_size", &RecurrentOptions::input_size, "features of each step of the input"),
                      required_field("hidden_size", &RecurrentOptions::hidden_size, "features of the hidden state"),
                      field("num_layers", &RecurrentOptions::num_layers, "layers on top of each other"),
                      field("bias", &RecurrentOptions::bias, "add learned biases"),
                      field("batch_first", &RecurrentOptions::batch_first,
                            "input and output are [N, L, *] instead of [L, N, *]; hidden states stay"),
                      field("dropout", &RecurrentOptions::dropout,
                            "in training, probability of dropout after each layer but the last"),
                      field("bidirectional", &RecurrentOptions::bidirectional,
                            "read the sequence from its end, too, with weights of its own")};
  }
};
struct RNNOptions : RecurrentOptions {
  RecurrentNonlinearity nonlinearity = RecurrentNonlinearity::kTanh;
  static constexpr auto fields() {
    return std::tuple_cat(RecurrentOptions::fields(), std::tuple{field("nonlinearity", &RNNOptions::nonlinearity,
                                                                       "'tanh' or 'relu', which makes the new state")});
  }
};
struct LSTMOptions : RecurrentOptions {
  int64_t proj_size = 0;
  static constexpr auto fields() {
    return std::tuple_cat(
        RecurrentOptions::fields(),
        std::tuple{field("proj_size", &LSTMOptions::proj_size,
                         "h is projected to so many features, fewer than hidden_size; 0: it is not")});
  }
};

/// What RNN, LSTM and GRU share. torch.nn.modules.rnn.RNNBase.
///
/// Called with (input, hx): input [L, N, input_size], [N, L, input_size] under batch_first, or [L, input_size] without
/// a batch; L is at least 1 and at most 65536. hx may be left out (zeros): h [D * num_layers, N, P], where D is 2 when
/// bidirectional, else 1, and P is hidden_size, or proj_size if set; for an LSTM a tuple of h and c [.., hidden_size].
/// Without a batch neither has N. Gives the tuple (output, h_n), of an LSTM (output, (h_n, c_n)): output like input
/// with D * P features, the last layer's h of each step, forward's before backward's; and the states after the last
/// step, in the shape of hx.
///
/// Parameters: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0, of further layers l1, ..., of the way
/// back with "_reverse"; all start as U(±1/sqrt(hidden_size)). RecurrentWeights has their shapes.
///
/// Throws for input and states of other sizes or dtype, as PyTorch: "Expected hidden size (1, 3, 20), got [2, 3, 20]".
/// Packed sequences are not supported: pad, or call without a batch.
class RecurrentModule : public Module {
 public:
  Value forward(const Args& args) final;
  std::string extra_repr() const override;

 protected:
  /// `gates`: how many times hidden_size each step computes. Throws for options out of range.
  RecurrentModule(std::string_view name, const RecurrentOptions& options, int64_t gates, RecurrentStep* step,
                  int64_t proj_size = 0);

 private:
  struct Layered {
    Tensor output;                       // [L, N, D P]
    std::vector<RecurrentState> states;  // by layer, then direction
  };

  bool has_cell() const { return gates_ == 4; }
  int64_t directions() const { return options_.bidirectional ? 2 : 1; }
  int64_t output_size() const { return proj_size_ > 0 ? proj_size_ : options_.hidden_size; }
  size_t sequences() const { return static_cast<size_t>(options_.num_layers * directions()); }
  void add_direction(int64_t layer, bool reverse);
  /// Of the i-th sequence, counting by layer, then direction.
  RecurrentWeights weights(size_t i) const;

  void check_input(const Tensor& input) const;
  /// The given states with a batch; undefined when `hx` is none.
  RecurrentState batched_states(const Value& hx, bool batched) const;
  void check_states(const RecurrentState& given, int64_t batch) const;
  std::vector<RecurrentState> first_states(const RecurrentState& given, const Tensor& x) const;
  Layered run(Tensor x, std::vector<RecurrentState> states) const;
  Value result(const Layered& run, bool batched) const;

  RecurrentOptions options_;
  int64_t gates_;
  RecurrentStep* step_;
  int64_t proj_size_;
};

/// h' = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh), or relu of it. torch.nn.RNN.
class RNN final : public RecurrentModule {
 public:
  using Options = RNNOptions;
  static constexpr auto kName = "RNN";
  static constexpr auto kDoc = "Elman's recurrent layers over a sequence [L, N, input_size]: (output, h_n)";
  explicit RNN(const Options& options);
  std::string_view type() const override { return kName; }
};

/// Long short-term memory. torch.nn.LSTM.
class LSTM final : public RecurrentModule {
 public:
  using Options = LSTMOptions;
  static constexpr auto kName = "LSTM";
  static constexpr auto kDoc = "long short-term memory over a sequence [L, N, input_size]: (output, (h_n, c_n))";
  explicit LSTM(const Options& options);
  std::string_view type() const override { return kName; }
};

/// Gated recurrent units. torch.nn.GRU.
class GRU final : public RecurrentModule {
 public:
  using Options = RecurrentOptions;
  static constexpr auto kName = "GRU";
  static constexpr auto kDoc = "gated recurrent units over a sequence [L, N, input_size]: (output, h_n)";
  explicit GRU(const Options& options);
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
