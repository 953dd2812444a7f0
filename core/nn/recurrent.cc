#include "core/nn/recurrent.h"

#include <cmath>
#include <limits>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/nn/arguments.h"
#include "core/nn/init.h"
#include "core/nn/layer_support.h"
#include "core/nn/registry.h"
#include "core/ops/dropout.h"
#include "core/ops/join.h"
#include "core/ops/product.h"
#include "core/ops/split.h"
#include "core/ops/view_ops.h"

namespace tapewire {
namespace {

// More than anyone stacks; bounds what a definition of a few bytes can ask for.
constexpr int64_t kMaxLayers = 1024;
// Each step makes tensors of its own: some hundred bytes for each of a batch's few.
constexpr int64_t kMaxSteps = 65536;
// All sizes of weights are products of it and at most 4, or 2.
constexpr int64_t kMaxHiddenSize = std::numeric_limits<int64_t>::max() / 4;

void check(std::string_view name, const RecurrentOptions& o, int64_t proj_size) {
  if (!(o.dropout >= 0 && o.dropout <= 1)) {
    fail(name, ": dropout should be a number in range [0, 1] representing the probability of an element being zeroed, ",
         "got ", Value(o.dropout).repr());
  }
  if (o.input_size < 0) fail(name, ": input_size must not be negative, got ", o.input_size);
  if (o.hidden_size <= 0) fail(name, ": hidden_size must be greater than zero, got ", o.hidden_size);
  if (o.hidden_size > kMaxHiddenSize) fail(name, ": hidden_size ", o.hidden_size, " is too large");
  if (o.num_layers <= 0) fail(name, ": num_layers must be greater than zero, got ", o.num_layers);
  if (o.num_layers > kMaxLayers) fail(name, ": num_layers must be at most ", kMaxLayers, ", got ", o.num_layers);
  if (proj_size < 0) {
    fail(name, ": proj_size should be a positive integer or zero to disable projections, got ", proj_size);
  }
  if (proj_size >= o.hidden_size) {
    fail(name, ": proj_size has to be smaller than hidden_size, got ", proj_size, " and ", o.hidden_size);
  }
}

struct Sequence {
  Tensor output;  // [L, N, P]
  RecurrentState last;
};

// One direction of one layer over x [L, N, *].
Sequence run_direction(RecurrentStep* step, const Tensor& x, RecurrentState state, const RecurrentWeights& weights,
                       bool reverse) {
  const Tensors projected = unbind(linear(x, weights.weight_ih, weights.bias_ih), 0);
  const size_t length = projected.size();
  std::vector<Tensor> outputs(length);
  for (size_t i = 0; i < length; ++i) {
    check_cancelled();
    const size_t at = reverse ? length - 1 - i : i;
    state = step(projected[at], state, weights);
    outputs[at] = state.h;
  }
  return {stack(outputs, 0), std::move(state)};
}

}  // namespace

RecurrentModule::RecurrentModule(std::string_view name, const RecurrentOptions& options, int64_t gates,
                                 RecurrentStep* step, int64_t proj_size)
    : options_(options), gates_(gates), step_(step), proj_size_(proj_size) {
  check(name, options, proj_size);
  for (int64_t layer = 0; layer < options.num_layers; ++layer) {
    for (const bool reverse : {false, true}) {
      if (!reverse || options.bidirectional) add_direction(layer, reverse);
    }
  }
}

void RecurrentModule::add_direction(int64_t layer, bool reverse) {
  const double bound = 1 / std::sqrt(static_cast<double>(options_.hidden_size));
  const std::string suffix = str_cat("_l", layer, reverse ? "_reverse" : "");
  const auto add = [&](std::string_view name, std::initializer_list<int64_t> sizes) {
    const Tensor parameter = Tensor::empty(sizes);
    init::uniform_(parameter, {-bound, bound});
    register_parameter(str_cat(name, suffix), parameter);
  };
  const int64_t rows = gates_ * options_.hidden_size;
  add("weight_ih", {rows, layer == 0 ? options_.input_size : output_size() * directions()});
  add("weight_hh", {rows, output_size()});
  if (options_.bias) {
    add("bias_ih", {rows});
    add("bias_hh", {rows});
  }
  if (proj_size_ > 0) add("weight_hr", {proj_size_, options_.hidden_size});
}

RecurrentWeights RecurrentModule::weights(size_t i) const {
  const size_t biases = options_.bias ? 2 : 0;
  const size_t projections = proj_size_ > 0 ? 1 : 0;
  const NamedTensor* own = &own_parameters()[i * (2 + biases + projections)];
  RecurrentWeights out{own[0].tensor, own[1].tensor, {}, {}, {}};
  if (biases > 0) {
    out.bias_ih = own[2].tensor;
    out.bias_hh = own[3].tensor;
  }
  if (projections > 0) out.weight_hr = own[2 + biases].tensor;
  return out;
}

Value RecurrentModule::forward(const Args& args) {
  const ModuleArguments arguments(type(), {"input", "hx"}, args);
  const Tensor& input = arguments.tensor("input");
  check_input(input);
  const bool batched = input.dim() == 3;
  Tensor x = input;
  if (!batched) x = unsqueeze(input, 1);
  if (batched && options_.batch_first) x = transpose(input, 0, 1);
  if (x.size(0) == 0) fail(type(), ": Expected sequence length to be larger than 0 in RNN");
  if (x.size(0) > kMaxSteps) {
    fail(type(), ": input: a sequence of ", x.size(0), " steps; at most ", kMaxSteps, " are unrolled at once");
  }
  const RecurrentState given = batched_states(arguments.value("hx"), batched);
  check_states(given, x.size(1));
  std::vector<RecurrentState> states = first_states(given, x);
  return result(run(std::move(x), std::move(states)), batched);
}

void RecurrentModule::check_input(const Tensor& input) const {
  if (input.dim() != 2 && input.dim() != 3) {
    fail(type(), ": Expected input to be 2D or 3D, got ", input.dim(), "D tensor instead");
  }
  const DType dtype = own_parameters()[0].tensor.dtype();
  if (input.dtype() != dtype) {
    fail(type(), ": input must have the type ", name_of(dtype), ", got type ", name_of(input.dtype()));
  }
  if (input.size(-1) != options_.input_size) {
    fail(type(), ": input.size(-1) must be equal to input_size. Expected ", options_.input_size, ", got ",
         input.size(-1));
  }
}

RecurrentState RecurrentModule::batched_states(const Value& hx, bool batched) const {
  RecurrentState out;
  if (hx.is_none()) return out;
  if (has_cell()) {
    const bool pair = hx.is_tuple() && hx.tuple().size() == 2 && hx.tuple()[0].is_tensor() && hx.tuple()[1].is_tensor();
    if (!pair) fail(type(), ": argument 'hx': expected a tuple of two tensors, got ", hx.describe());
    out = {hx.tuple()[0].tensor(), hx.tuple()[1].tensor()};
  } else {
    if (!hx.is_tensor()) fail(type(), ": argument 'hx': expected a tensor, got ", hx.describe());
    out.h = hx.tensor();
  }
  const int64_t dims = batched ? 3 : 2;
  if (out.h.dim() != dims || (has_cell() && out.c.dim() != dims)) {
    const std::string got =
        has_cell() ? str_cat("(", out.h.dim(), "-D, ", out.c.dim(), "-D) tensors") : str_cat(out.h.dim(), "-D tensor");
    fail(type(), batched ? ": For batched 3-D input, " : ": For unbatched 2-D input, ", has_cell() ? "hx and cx" : "hx",
         " should also be ", dims, "-D but got ", got);
  }
  if (batched) return out;
  return {unsqueeze(out.h, 1), has_cell() ? unsqueeze(out.c, 1) : Tensor()};
}

void RecurrentModule::check_states(const RecurrentState& given, int64_t batch) const {
  if (!given.h.defined()) return;
  const int64_t count = options_.num_layers * directions();
  const auto expect = [&](std::string_view name, const Tensor& state, const Shape& sizes) {
    if (state.sizes() != sizes) {
      fail(type(), ": Expected ", name, " size ", sizes_repr(sizes), ", got ", to_string(state.sizes()));
    }
  };
  expect(has_cell() ? "hidden[0]" : "hidden", given.h, {count, batch, output_size()});
  if (has_cell()) expect("hidden[1]", given.c, {count, batch, options_.hidden_size});
}

std::vector<RecurrentState> RecurrentModule::first_states(const RecurrentState& given, const Tensor& x) const {
  std::vector<RecurrentState> out(sequences());
  if (!given.h.defined()) {
    RecurrentState zeros{Tensor::zeros({x.size(1), output_size()}, x.dtype()), {}};
    if (has_cell()) zeros.c = Tensor::zeros({x.size(1), options_.hidden_size}, x.dtype());
    out.assign(sequences(), zeros);
    return out;
  }
  const Tensors h = unbind(given.h, 0);
  for (size_t i = 0; i < out.size(); ++i) out[i].h = h[i];
  if (!has_cell()) return out;
  const Tensors c = unbind(given.c, 0);
  for (size_t i = 0; i < out.size(); ++i) out[i].c = c[i];
  return out;
}

RecurrentModule::Layered RecurrentModule::run(Tensor x, std::vector<RecurrentState> states) const {
  const size_t ways = options_.bidirectional ? 2 : 1;
  for (size_t at = 0; at < sequences(); at += ways) {
    if (at > 0) x = dropout(x, {.p = options_.dropout, .training = training()});
    std::vector<Tensor> outputs;
    for (size_t way = 0; way < ways; ++way) {
      Sequence one = run_direction(step_, x, std::move(states[at + way]), weights(at + way), /*reverse=*/way == 1);
      outputs.push_back(std::move(one.output));
      states[at + way] = std::move(one.last);
    }
    x = ways == 1 ? std::move(outputs[0]) : cat(outputs, -1);
  }
  return {std::move(x), std::move(states)};
}

Value RecurrentModule::result(const Layered& run, bool batched) const {
  std::vector<Tensor> h;
  std::vector<Tensor> c;
  for (const RecurrentState& state : run.states) {
    h.push_back(state.h);
    if (has_cell()) c.push_back(state.c);
  }
  const auto unbatched = [batched](const Tensor& x) { return batched ? x : squeeze(x, 1); };
  const Tensor output = batched && options_.batch_first ? transpose(run.output, 0, 1) : unbatched(run.output);
  const Tensor h_n = unbatched(stack(h, 0));
  if (!has_cell()) return Tuple{output, h_n};
  return Tuple{output, Tuple{h_n, unbatched(stack(c, 0))}};
}

std::string RecurrentModule::extra_repr() const {
  const RecurrentOptions& o = options_;
  std::string out = str_cat(o.input_size, ", ", o.hidden_size);
  if (proj_size_ != 0) out += str_cat(", proj_size=", proj_size_);
  if (o.num_layers != 1) out += str_cat(", num_layers=", o.num_layers);
  if (!o.bias) out += ", bias=False";
  if (o.batch_first) out += ", batch_first=True";
  if (o.dropout != 0) out += str_cat(", dropout=", Value(o.dropout).repr());
  if (o.bidirectional) out += ", bidirectional=True";
  return out;
}

RNN::RNN(const Options& options)
    : RecurrentModule(kName, options, 1,
                      options.nonlinearity == RecurrentNonlinearity::kTanh ? rnn_tanh_step : rnn_relu_step) {}
LSTM::LSTM(const Options& options) : RecurrentModule(kName, options, 4, lstm_step, options.proj_size) {}
GRU::GRU(const Options& options) : RecurrentModule(kName, options, 3, gru_step) {}

namespace {
const ModuleFamily kFamily{module_def<RNN>(), module_def<LSTM>(), module_def<GRU>()};
}  // namespace

}  // namespace tapewire
