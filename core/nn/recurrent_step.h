#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// One step in time of the recurrent layers and cells, differentiable to any order. H is the hidden size, P the size of
/// h: H, or that of the projection. The input's share of the gates, weight_ih x + bias_ih, comes computed: layers do it
/// for all steps at once.

/// What a step takes from the one before, and gives to the next: h [N, P]; c [N, H], of an LSTM alone.
struct RecurrentState {
  Tensor h;
  Tensor c;
};

/// Weights of one direction of one layer, under PyTorch's names without suffix. G gates: 4 of an LSTM, 3 of a GRU, 1 of
/// an RNN.
struct RecurrentWeights {
  Tensor weight_ih;  // [G H, input]
  Tensor weight_hh;  // [G H, P]
  Tensor bias_ih;    // [G H], or undefined
  Tensor bias_hh;    // likewise
  Tensor weight_hr;  // [P, H], or undefined: h is not projected
};

using RecurrentStep = RecurrentState(const Tensor& projected, const RecurrentState& state,
                                     const RecurrentWeights& weights);

/// h' = tanh(projected + weight_hh h + bias_hh), or relu of it. Elman, 1990.
RecurrentState rnn_tanh_step(const Tensor& projected, const RecurrentState& state, const RecurrentWeights& weights);
RecurrentState rnn_relu_step(const Tensor& projected, const RecurrentState& state, const RecurrentWeights& weights);
/// Gates in the order i, f, g, o: c' = f c + i g, h' = o tanh(c'), projected by weight_hr. Hochreiter and Schmidhuber,
/// 1997; Sak et al., 2014.
RecurrentState lstm_step(const Tensor& projected, const RecurrentState& state, const RecurrentWeights& weights);
/// Gates in the order r, z, n: n = tanh(projected_n + r (weight_hn h + bias_hn)), h' = (1 - z) n + z h. Cho et al.,
/// 2014.
RecurrentState gru_step(const Tensor& projected, const RecurrentState& state, const RecurrentWeights& weights);

}  // namespace tapewire
