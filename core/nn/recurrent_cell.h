#pragma once

#include <string>
#include <string_view>

#include "core/base/fields.h"
#include "core/nn/module.h"
#include "core/nn/recurrent.h"
#include "core/nn/recurrent_step.h"

namespace tapewire {

struct RecurrentCellOptions {
  int64_t input_size = 0;
  int64_t hidden_size = 0;
  bool bias = true;
  static constexpr auto fields() {
    return std::tuple{required_field("input_size", &RecurrentCellOptions::input_size, "features of the input"),
                      required_field("hidden_size", &RecurrentCellOptions::hidden_size, "features of the hidden state"),
                      field("bias", &RecurrentCellOptions::bias, "add learned biases")};
  }
};
struct RNNCellOptions : RecurrentCellOptions {
  RecurrentNonlinearity nonlinearity = RecurrentNonlinearity::kTanh;
  static constexpr auto fields() {
    return std::tuple_cat(RecurrentCellOptions::fields(),
                          std::tuple{field("nonlinearity", &RNNCellOptions::nonlinearity,
                                           "'tanh' or 'relu', which makes the new state")});
  }
};

/// What RNNCell, LSTMCell and GRUCell share: one step of the layer of that name. torch.nn.modules.rnn.RNNCellBase.
///
/// Called with (input, hx): input [N, input_size] or [input_size]; hx (left out: zeros) h [N, hidden_size] or
/// [hidden_size], for an LSTMCell a tuple of h and c. Gives the new h, of an LSTMCell the tuple (h, c), in those
/// shapes.
///
/// Parameters: weight_ih, weight_hh, bias_ih, bias_hh; all start as U(±1/sqrt(hidden_size)).
///
/// Throws for other sizes, as PyTorch: "input has inconsistent input_size: got 4 expected 3".
class RecurrentCell : public Module {
 public:
  Value forward(const Args& args) final;
  std::string extra_repr() const override;

 protected:
  RecurrentCell(std::string_view name, const RecurrentCellOptions& options, int64_t gates, RecurrentStep* step);

 private:
  bool has_cell() const { return gates_ == 4; }
  RecurrentWeights weights() const;
  void check_input(const Tensor& input) const;
  /// One of the given states with a batch, checked. `label`: how errors call it.
  Tensor batched_state(const Tensor& state, std::string_view label, size_t index, const Tensor& x, bool batched) const;
  RecurrentState first_state(const Value& hx, const Tensor& x, bool batched) const;

  RecurrentCellOptions options_;
  int64_t gates_;
  RecurrentStep* step_;
};

/// h' = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh), or relu of it. torch.nn.RNNCell.
class RNNCell final : public RecurrentCell {
 public:
  using Options = RNNCellOptions;
  static constexpr auto kName = "RNNCell";
  static constexpr auto kDoc = "one step of an RNN";
  explicit RNNCell(const Options& options);
  std::string_view type() const override { return kName; }
  std::string extra_repr() const override;

 private:
  RecurrentNonlinearity nonlinearity_;
};

/// One step of long short-term memory. torch.nn.LSTMCell.
class LSTMCell final : public RecurrentCell {
 public:
  using Options = RecurrentCellOptions;
  static constexpr auto kName = "LSTMCell";
  static constexpr auto kDoc = "one step of an LSTM: (h, c)";
  explicit LSTMCell(const Options& options);
  std::string_view type() const override { return kName; }
};

/// One step of gated recurrent units. torch.nn.GRUCell.
class GRUCell final : public RecurrentCell {
 public:
  using Options = RecurrentCellOptions;
  static constexpr auto kName = "GRUCell";
  static constexpr auto kDoc = "one step of a GRU";
  explicit GRUCell(const Options& options);
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
