#include "core/nn/recurrent_cell.h"

#include <cmath>

#include "core/base/error.h"
#include "core/nn/arguments.h"
#include "core/nn/init.h"
#include "core/nn/registry.h"
#include "core/ops/product.h"
#include "core/ops/view_ops.h"

namespace tapewire {

RecurrentCell::RecurrentCell(std::string_view name, const RecurrentCellOptions& options, int64_t gates,
                             RecurrentStep* step)
    : options_(options), gates_(gates), step_(step) {
  int64_t rows = 0;
  if (options.input_size < 0 || options.hidden_size < 0) {
    fail(name, ": input_size and hidden_size must not be negative, got ", options.input_size, " and ",
         options.hidden_size);
  }
  if (__builtin_mul_overflow(gates, options.hidden_size, &rows)) {
    fail(name, ": hidden_size ", options.hidden_size, " is too large");
  }
  const double bound = options.hidden_size > 0 ? 1 / std::sqrt(static_cast<double>(options.hidden_size)) : 0;
  const auto add = [&](const char* parameter, std::initializer_list<int64_t> sizes) {
    const Tensor slot = Tensor::empty(sizes);
    init::uniform_(slot, {-bound, bound});
    register_parameter(parameter, slot);
  };
  add("weight_ih", {rows, options.input_size});
  add("weight_hh", {rows, options.hidden_size});
  if (!options.bias) return;
  add("bias_ih", {rows});
  add("bias_hh", {rows});
}

RecurrentWeights RecurrentCell::weights() const {
  const std::vector<NamedTensor>& own = own_parameters();
  const auto bias = [&](size_t i) { return options_.bias ? own[i].tensor : Tensor(); };
  return {own[0].tensor, own[1].tensor, bias(2), bias(3), {}};
}

Value RecurrentCell::forward(const Args& args) {
  const ModuleArguments arguments(type(), {"input", "hx"}, args);
  const Tensor& input = arguments.tensor("input");
  check_input(input);
  const bool batched = input.dim() == 2;
  const Tensor x = batched ? input : unsqueeze(input, 0);
  const RecurrentWeights own = weights();
  const RecurrentState before = first_state(arguments.value("hx"), x, batched);
  const RecurrentState after = step_(linear(x, own.weight_ih, own.bias_ih), before, own);
  const auto unbatched = [batched](const Tensor& state) { return batched ? state : squeeze(state, 0); };
  if (!has_cell()) return unbatched(after.h);
  return Tuple{unbatched(after.h), unbatched(after.c)};
}

void RecurrentCell::check_input(const Tensor& input) const {
  if (input.dim() != 1 && input.dim() != 2) {
    fail(type(), ": Expected input to be 1D or 2D, got ", input.dim(), "D instead");
  }
  if (input.size(-1) != options_.input_size) {
    fail(type(), ": input has inconsistent input_size: got ", input.size(-1), " expected ", options_.input_size);
  }
}

Tensor RecurrentCell::batched_state(const Tensor& state, std::string_view label, size_t index, const Tensor& x,
                                    bool batched) const {
  if (state.dim() != 1 && state.dim() != 2) {
    fail(type(), ": Expected ", label, " to be 1D or 2D, got ", state.dim(), "D instead");
  }
  if (state.dim() != (batched ? 2 : 1)) {
    fail(type(), ": Expected ", label, " to be ", batched ? 2 : 1, "D like the input, got ", state.dim(), "D instead");
  }
  const Tensor out = batched ? state : unsqueeze(state, 0);
  if (out.size(0) != x.size(0)) {
    fail(type(), ": Input batch size ", x.size(0), " doesn't match hidden", index, " batch size ", out.size(0));
  }
  if (out.size(1) != options_.hidden_size) {
    fail(type(), ": hidden", index, " has inconsistent hidden_size: got ", out.size(1), ", expected ",
         options_.hidden_size);
  }
  return out;
}

RecurrentState RecurrentCell::first_state(const Value& hx, const Tensor& x, bool batched) const {
  if (hx.is_none()) {
    const Tensor zeros = Tensor::zeros({x.size(0), options_.hidden_size}, x.dtype());
    return {zeros, has_cell() ? zeros : Tensor()};
  }
  if (!has_cell()) {
    if (!hx.is_tensor()) fail(type(), ": argument 'hx': expected a tensor, got ", hx.describe());
    return {batched_state(hx.tensor(), "hidden", 0, x, batched), {}};
  }
  const bool pair = hx.is_tuple() && hx.tuple().size() == 2 && hx.tuple()[0].is_tensor() && hx.tuple()[1].is_tensor();
  if (!pair) fail(type(), ": argument 'hx': expected a tuple of two tensors, got ", hx.describe());
  return {batched_state(hx.tuple()[0].tensor(), "hx[0]", 0, x, batched),
          batched_state(hx.tuple()[1].tensor(), "hx[1]", 1, x, batched)};
}

std::string RecurrentCell::extra_repr() const {
  return str_cat(options_.input_size, ", ", options_.hidden_size, options_.bias ? "" : ", bias=False");
}

RNNCell::RNNCell(const Options& options)
    : RecurrentCell(kName, options, 1,
                    options.nonlinearity == RecurrentNonlinearity::kTanh ? rnn_tanh_step : rnn_relu_step),
      nonlinearity_(options.nonlinearity) {}
LSTMCell::LSTMCell(const Options& options) : RecurrentCell(kName, options, 4, lstm_step) {}
GRUCell::GRUCell(const Options& options) : RecurrentCell(kName, options, 3, gru_step) {}

std::string RNNCell::extra_repr() const {
  return str_cat(RecurrentCell::extra_repr(),
                 nonlinearity_ == RecurrentNonlinearity::kRelu ? ", nonlinearity=relu" : "");
}

namespace {
const ModuleFamily kFamily{module_def<RNNCell>(), module_def<LSTMCell>(), module_def<GRUCell>()};
}  // namespace

}  // namespace tapewire
