#include "core/nn/recurrent_step.h"

#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/product.h"
#include "core/ops/split.h"

namespace tapewire {
namespace {

Tensor hidden_gates(const RecurrentState& state, const RecurrentWeights& weights) {
  return linear(state.h, weights.weight_hh, weights.bias_hh);
}

}  // namespace

RecurrentState rnn_tanh_step(const Tensor& projected, const RecurrentState& state, const RecurrentWeights& weights) {
  return {tanh(add(hidden_gates(state, weights), projected)), {}};
}

RecurrentState rnn_relu_step(const Tensor& projected, const RecurrentState& state, const RecurrentWeights& weights) {
  return {relu(add(hidden_gates(state, weights), projected)), {}};
}

RecurrentState lstm_step(const Tensor& projected, const RecurrentState& state, const RecurrentWeights& weights) {
  const Tensors gates = chunk(add(hidden_gates(state, weights), projected), 4, 1);
  const Tensor c = add(mul(sigmoid(gates[1]), state.c), mul(sigmoid(gates[0]), tanh(gates[2])));
  const Tensor h = mul(sigmoid(gates[3]), tanh(c));
  return {weights.weight_hr.defined() ? linear(h, weights.weight_hr) : h, c};
}

RecurrentState gru_step(const Tensor& projected, const RecurrentState& state, const RecurrentWeights& weights) {
  const Tensors from_input = chunk(projected, 3, 1);
  const Tensors from_hidden = chunk(hidden_gates(state, weights), 3, 1);
  const Tensor reset = sigmoid(add(from_hidden[0], from_input[0]));
  const Tensor update = sigmoid(add(from_hidden[1], from_input[1]));
  const Tensor fresh = tanh(add(from_input[2], mul(from_hidden[2], reset)));
  return {add(mul(sub(state.h, fresh), update), fresh), {}};
}

}  // namespace tapewire
