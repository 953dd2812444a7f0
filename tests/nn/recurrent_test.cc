#include "core/nn/recurrent.h"

#include "core/nn/recurrent_cell.h"
#include "core/ops/view_ops.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names_of(Module& module) {
  std::vector<std::string> out;
  for (const NamedTensor& p : module.named_parameters()) out.push_back(p.name);
  return out;
}

std::shared_ptr<LSTM> lstm(int64_t layers = 1) {
  return std::make_shared<LSTM>(LSTMOptions{{.input_size = 2, .hidden_size = 3, .num_layers = layers}});
}

TEST(RecurrentTest, NamesItsParametersByLayerAndDirection) {
  LSTMOptions options;
  options.input_size = 2;
  options.hidden_size = 3;
  options.proj_size = 1;
  options.bidirectional = true;
  EXPECT_THAT(
      names_of(*std::make_shared<LSTM>(options)),
      ElementsAre("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0", "weight_ih_l0_reverse",
                  "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse", "weight_hr_l0_reverse"));
  EXPECT_THAT(names_of(*std::make_shared<GRU>(
                  RecurrentOptions{.input_size = 2, .hidden_size = 3, .num_layers = 2, .bias = false})),
              ElementsAre("weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1"));
  EXPECT_THAT(names_of(*std::make_shared<GRUCell>(RecurrentCellOptions{2, 3})),
              ElementsAre("weight_ih", "weight_hh", "bias_ih", "bias_hh"));
}

TEST(RecurrentTest, PrintsAsInPyTorch) {
  EXPECT_EQ(lstm()->repr(), "LSTM(2, 3)");
  EXPECT_EQ(GRU({.input_size = 2,
                 .hidden_size = 3,
                 .num_layers = 2,
                 .bias = false,
                 .batch_first = true,
                 .dropout = 0.5,
                 .bidirectional = true})
                .repr(),
            "GRU(2, 3, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)");
  EXPECT_EQ(LSTM({{.input_size = 2, .hidden_size = 3}, 1}).repr(), "LSTM(2, 3, proj_size=1)");
  EXPECT_EQ(RNN({{.input_size = 2, .hidden_size = 3}, RecurrentNonlinearity::kRelu}).repr(), "RNN(2, 3)");
  EXPECT_EQ(LSTMCell({2, 3, false}).repr(), "LSTMCell(2, 3, bias=False)");
  EXPECT_EQ(RNNCell({{2, 3}, RecurrentNonlinearity::kRelu}).repr(), "RNNCell(2, 3, nonlinearity=relu)");
}

TEST(RecurrentTest, TakesItsStateByPositionOrName) {
  const auto gru = std::make_shared<GRU>(RecurrentOptions{.input_size = 2, .hidden_size = 3});
  const Tensor x = pattern({4, 2, 2}, 7, 3, DType::kFloat32);
  const Tensor h = pattern({1, 2, 3}, 5, 1, DType::kFloat32);
  Args named{x};
  named.named = {{"hx", h}};
  const Value by_position = (*gru)(Args{x, h});
  const Value by_name = (*gru)(named);
  for (const size_t i : {0u, 1u}) {
    EXPECT_EQ(by_position.tuple()[i].tensor().to_vector<float>(), by_name.tuple()[i].tensor().to_vector<float>());
  }
}

// A state carried over: half a sequence after the other is the whole.
TEST(RecurrentTest, ContinuesFromTheStateItGave) {
  const std::shared_ptr<LSTM> module = lstm(2);
  const Tensor x = pattern({6, 2, 2}, 7, 3, DType::kFloat32);
  const std::vector<float> whole = (*module)(Args{x}).tuple()[0].tensor().to_vector<float>();
  const Value head = (*module)(Args{x.alias({{4, 2, 2}, x.strides(), 0})});
  const Value tail = (*module)(Args{x.alias({{2, 2, 2}, x.strides(), 16}), head.tuple()[1]});
  std::vector<float> joined = head.tuple()[0].tensor().to_vector<float>();
  for (const float v : tail.tuple()[0].tensor().to_vector<float>()) joined.push_back(v);
  ASSERT_EQ(joined.size(), whole.size());
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(joined[i], whole[i], 1e-6);
}

TEST(RecurrentTest, DropsNothingInEvaluation) {
  const auto gru =
      std::make_shared<GRU>(RecurrentOptions{.input_size = 2, .hidden_size = 8, .num_layers = 2, .dropout = 0.5});
  const Tensor x = pattern({3, 2, 2}, 7, 3, DType::kFloat32);
  const auto run = [&] { return (*gru)(Args{x}).tuple()[0].tensor().to_vector<float>(); };
  EXPECT_NE(run(), run());
  gru->eval();
  EXPECT_EQ(run(), run());
}

TEST(RecurrentTest, AnEmptyBatchGivesEmptyResults) {
  const Value out = (*lstm())(Args{Tensor::zeros({4, 0, 2})});
  EXPECT_THAT(out.tuple()[0].tensor().sizes(), ElementsAre(4, 0, 3));
  EXPECT_THAT(out.tuple()[1].tuple()[1].tensor().sizes(), ElementsAre(1, 0, 3));
}

TEST(RecurrentTest, RefusesOptionsOutOfRange) {
  const auto error = [](auto change) {
    LSTMOptions options{{.input_size = 2, .hidden_size = 3}};
    change(options);
    return error_of([&] { LSTM module(options); });
  };
  using O = LSTMOptions;
  EXPECT_EQ(error([](O& o) { o.hidden_size = 0; }), "LSTM: hidden_size must be greater than zero, got 0");
  EXPECT_EQ(error([](O& o) { o.num_layers = 0; }), "LSTM: num_layers must be greater than zero, got 0");
  EXPECT_EQ(error([](O& o) { o.num_layers = 5000; }), "LSTM: num_layers must be at most 1024, got 5000");
  EXPECT_EQ(error([](O& o) { o.input_size = -1; }), "LSTM: input_size must not be negative, got -1");
  EXPECT_EQ(error([](O& o) { o.proj_size = 3; }), "LSTM: proj_size has to be smaller than hidden_size, got 3 and 3");
  EXPECT_EQ(error([](O& o) { o.proj_size = -1; }),
            "LSTM: proj_size should be a positive integer or zero to disable projections, got -1");
  EXPECT_EQ(error([](O& o) { o.dropout = 1.5; }),
            "LSTM: dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
            "got 1.5");
  EXPECT_THAT(error([](O& o) { o.hidden_size = INT64_MAX; }), HasSubstr("is too large"));
  EXPECT_EQ(error_of([] { GRUCell({-1, 3}); }),
            "GRUCell: input_size and hidden_size must not be negative, got -1 and 3");
  EXPECT_THAT(error_of([] { LSTMCell({1, INT64_MAX}); }), HasSubstr("is too large"));
}

TEST(RecurrentTest, RefusesInputsInPyTorchsWords) {
  const auto gru = std::make_shared<GRU>(RecurrentOptions{.input_size = 2, .hidden_size = 3});
  const auto error = [&](const Args& args) { return error_of([&] { (*gru)(args); }); };
  const Tensor x = Tensor::zeros({4, 5, 2});
  EXPECT_EQ(error({Tensor::zeros({2})}), "GRU: Expected input to be 2D or 3D, got 1D tensor instead");
  EXPECT_EQ(error({Tensor::zeros({4, 5, 3})}), "GRU: input.size(-1) must be equal to input_size. Expected 2, got 3");
  EXPECT_EQ(error({Tensor::zeros({4, 5, 2}, DType::kFloat64)}),
            "GRU: input must have the type float32, got type float64");
  EXPECT_EQ(error({Tensor::zeros({0, 5, 2})}), "GRU: Expected sequence length to be larger than 0 in RNN");
  EXPECT_EQ(error({Tensor::zeros({65537, 1, 2})}),
            "GRU: input: a sequence of 65537 steps; at most 65536 are unrolled at once");
  EXPECT_EQ(error({x, Tensor::zeros({2, 5, 3})}), "GRU: Expected hidden size (1, 5, 3), got [2, 5, 3]");
  EXPECT_EQ(error({x, Tensor::zeros({5, 3})}), "GRU: For batched 3-D input, hx should also be 3-D but got 2-D tensor");
  EXPECT_EQ(error({Tensor::zeros({4, 2}), Tensor::zeros({1, 1, 3})}),
            "GRU: For unbatched 2-D input, hx should also be 2-D but got 3-D tensor");
  EXPECT_EQ(error({x, 3}), "GRU: argument 'hx': expected a tensor, got int 3");
}

TEST(RecurrentTest, RefusesAnLstmsStatesInPyTorchsWords) {
  const std::shared_ptr<LSTM> module = lstm();
  const Tensor x = Tensor::zeros({4, 5, 2});
  const Tensor good = Tensor::zeros({1, 5, 3});
  const auto error = [&](const Value& hx) { return error_of([&] { (*module)(Args{x, hx}); }); };
  EXPECT_EQ(error(Tuple{Tensor::zeros({1, 4, 3}), good}), "LSTM: Expected hidden[0] size (1, 5, 3), got [1, 4, 3]");
  EXPECT_EQ(error(Tuple{good, Tensor::zeros({1, 5, 4})}), "LSTM: Expected hidden[1] size (1, 5, 3), got [1, 5, 4]");
  EXPECT_EQ(error(Tuple{good, Tensor::zeros({5, 3})}),
            "LSTM: For batched 3-D input, hx and cx should also be 3-D but got (3-D, 2-D) tensors");
  EXPECT_THAT(error(good), HasSubstr("LSTM: argument 'hx': expected a tuple of two tensors, got tensor"));
  EXPECT_THAT(error(Tuple{good}), HasSubstr("LSTM: argument 'hx': expected a tuple of two tensors"));
}

TEST(RecurrentTest, CellsRefuseInputsInPyTorchsWords) {
  const auto gru = std::make_shared<GRUCell>(RecurrentCellOptions{2, 3});
  const auto error = [&](const Args& args) { return error_of([&] { (*gru)(args); }); };
  const Tensor x = Tensor::zeros({4, 2});
  EXPECT_EQ(error({Tensor::zeros({1, 4, 2})}), "GRUCell: Expected input to be 1D or 2D, got 3D instead");
  EXPECT_EQ(error({Tensor::zeros({4, 3})}), "GRUCell: input has inconsistent input_size: got 3 expected 2");
  EXPECT_EQ(error({x, Tensor::zeros({5, 3})}), "GRUCell: Input batch size 4 doesn't match hidden0 batch size 5");
  EXPECT_EQ(error({x, Tensor::zeros({4, 2})}), "GRUCell: hidden0 has inconsistent hidden_size: got 2, expected 3");
  EXPECT_EQ(error({x, Tensor::zeros({1, 4, 3})}), "GRUCell: Expected hidden to be 1D or 2D, got 3D instead");
  EXPECT_EQ(error({x, Tensor::zeros({3})}), "GRUCell: Expected hidden to be 2D like the input, got 1D instead");
  const auto lstm_cell = std::make_shared<LSTMCell>(RecurrentCellOptions{2, 3});
  const Tensor h = Tensor::zeros({4, 3});
  EXPECT_EQ(error_of([&] { (*lstm_cell)(Args{x, Tuple{h, Tensor::zeros({4, 4})}}); }),
            "LSTMCell: hidden1 has inconsistent hidden_size: got 4, expected 3");
  EXPECT_THAT(error_of([&] { (*lstm_cell)(Args{x, h}); }), HasSubstr("expected a tuple of two tensors"));
}

}  // namespace
}  // namespace tapewire
