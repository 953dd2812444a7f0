#include <cmath>
#include <limits>

#include "core/tensor/allocator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/layer_cases.h"

namespace tapewire {
namespace {

constexpr int64_t kHuge = int64_t{1} << 62;

/// While it lives, tensors may take little memory: what a hostile option asks for must be refused, not tried.
class MemoryLimit {
 public:
  MemoryLimit() {
    tensor_allocator().release_cached();
    tensor_allocator().set_limit(tensor_allocator().stats().live + (int64_t{64} << 20), "the test's limit");
  }
  ~MemoryLimit() { tensor_allocator().set_limit(std::numeric_limits<int64_t>::max(), "tensor memory limit"); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
};

const std::vector<Value>& hostile_values() {
  static const std::vector<Value> values{
      0,
      -1,
      kHuge,
      -kHuge,
      std::numeric_limits<int64_t>::min(),
      int64_t{1} << 33,
      std::nan(""),
      std::numeric_limits<double>::infinity(),
      -1e300,
      Value(),
      "",
      std::string(10000, 'x'),
      true,
      Tuple{},
      Tuple{0, 0},
      Tuple{kHuge, kHuge},
      Tuple{1, -1},
      Tuple(100, Value(1)),
      Tuple{Tuple{1}, Value()},
      Dict{},
  };
  return values;
}

class HostileOptionsTest : public testing::TestWithParam<LayerCase> {};

// Whatever one attribute is, the module is made and called, or an Error says why not; nothing else happens.
TEST_P(HostileOptionsTest, AreRefusedOrDoNoHarm) {
  const LayerCase& c = GetParam();
  const MemoryLimit limit;
  for (const AttributeInfo& info : require_module(c.type, ModuleKind::kModule).attributes()) {
    for (const Value& value : hostile_values()) {
      AttributeMap attributes = c.attributes;
      attributes[std::string(info.name)] = value;
      const std::string error = error_of([&] {
        const std::shared_ptr<Module> module = make_module(c.type, attributes);
        module->to(DType::kFloat64);
        call(*module, make_inputs(c));
      });
      // A message of a few lines, whatever came.
      EXPECT_LT(error.size(), 1000u) << info.name << " = " << value.describe();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, HostileOptionsTest, testing::ValuesIn(layer_cases()),
                         [](const auto& test) { return test.param.name; });

std::vector<LayerCase> sequence_layers() {
  const AttributeMap recurrent{{"input_size", 3}, {"hidden_size", 4}};
  const AttributeMap layer{{"d_model", 4}, {"nhead", 2}, {"dim_feedforward", 6}};
  AttributeMap stack = layer;
  stack["num_layers"] = 2;
  std::vector<LayerCase> out;
  for (const char* type : {"RNN", "LSTM", "GRU"}) out.push_back({type, type, recurrent, {{5, 2, 3}}});
  for (const char* type : {"RNNCell", "LSTMCell", "GRUCell"}) out.push_back({type, type, recurrent, {{2, 3}}});
  out.push_back(
      {"Attention", "MultiheadAttention", {{"embed_dim", 4}, {"num_heads", 2}}, {{3, 2, 4}, {5, 2, 4}, {5, 2, 4}}});
  out.push_back({"EncoderLayer", "TransformerEncoderLayer", layer, {{3, 2, 4}}});
  out.push_back({"DecoderLayer", "TransformerDecoderLayer", layer, {{3, 2, 4}, {5, 2, 4}}});
  out.push_back({"Encoder", "TransformerEncoder", stack, {{3, 2, 4}}});
  out.push_back({"Decoder", "TransformerDecoder", stack, {{3, 2, 4}, {5, 2, 4}}});
  out.push_back({"Transformer", "Transformer", layer, {{3, 2, 4}, {5, 2, 4}}});
  return out;
}
INSTANTIATE_TEST_SUITE_P(Sequences, HostileOptionsTest, testing::ValuesIn(sequence_layers()),
                         [](const auto& test) { return test.param.name; });

struct BadOption {
  const char* type;
  AttributeMap attributes;
  const char* error;
};

// Construction itself refuses what no input could make right.
TEST(BadOptionTest, FailsWhenTheModuleIsMade) {
  const double nan = std::nan("");
  const std::vector<BadOption> all{
      {"CELU", {{"alpha", 0.0}}, "CELU: ZeroDivisionError: alpha cannot be 0 for CELU"},
      {"GELU", {{"approximate", "tan"}}, "GELU: approximate argument must be either none or tanh, got 'tan'"},
      {"Hardtanh",
       {{"min_val", 1.0}, {"max_val", 1.0}},
       "Hardtanh: max_val must be larger than min_val, got min_val=1.0 and max_val=1.0"},
      {"Hardtanh",
       {{"min_val", nan}},
       "Hardtanh: max_val must be larger than min_val, got min_val=nan and max_val=1.0"},
      {"Softshrink", {{"lambd", -0.5}}, "Softshrink: lambda must be greater or equal to 0, but found to be -0.5"},
      {"RReLU",
       {{"lower", 0.5}},
       "RReLU: Lower bound should be less than or equal to the upper bound, got lower=0.5 and "
       "upper=0.3333333333333333"},
      {"PReLU", {{"num_parameters", 0}}, "PReLU: num_parameters must be at least 1, got 0"},
      {"MaxPool1d", {{"kernel_size", 0}}, "MaxPool1d: kernel_size must be greater than zero, but got [0]"},
      {"MaxPool3d",
       {{"kernel_size", Tuple{2, 2}}},
       "MaxPool3d: kernel_size must either be a single int, or a tuple of 3 ints, got [2, 2]"},
      {"MaxPool2d",
       {{"kernel_size", kHuge}},
       "MaxPool2d: kernel size 4611686018427387904, dilation 1 or stride 4611686018427387904 is too large"},
      {"MaxPool2d",
       {{"kernel_size", 2}, {"dilation", 0}},
       "MaxPool2d: dilation must be greater than zero, but got [0, 0]"},
      {"MaxUnpool1d", {{"kernel_size", 2}, {"padding", -1}}, "MaxUnpool1d: pad must be non-negative, but got pad: -1"},
      {"AvgPool1d", {{"kernel_size", 2}, {"stride", 0}}, "AvgPool1d: stride must be greater than zero, but got [0]"},
      {"AvgPool2d", {{"kernel_size", 2}, {"divisor_override", 0}}, "AvgPool2d: divisor must be not zero"},
      {"AvgPool3d",
       {{"kernel_size", 2}, {"padding", 2}},
       "AvgPool3d: pad should be at most half of effective kernel size, but got pad=2, kernel_size=2 and dilation=1"},
      {"LPPool1d", {{"norm_type", 0}, {"kernel_size", 2}}, "LPPool1d: norm_type must not be 0"},
      {"LPPool2d", {{"norm_type", nan}, {"kernel_size", 2}}, "LPPool2d: norm_type must be a finite number, got nan"},
      {"AdaptiveAvgPool2d",
       {{"output_size", -1}},
       "AdaptiveAvgPool2d: elements of output_size must be greater than or equal to 0 but received -1"},
      {"AdaptiveMaxPool1d",
       {{"output_size", Tuple{1, 2}}},
       "AdaptiveMaxPool1d: output_size must be one int or 1, got (1, 2)"},
      {"AdaptiveMaxPool2d",
       {{"output_size", kHuge}},
       "AdaptiveMaxPool2d: output_size is too large, got 4611686018427387904"},
      {"BatchNorm1d", {{"num_features", -1}}, "BatchNorm1d: num_features must not be negative, got -1"},
      {"BatchNorm2d", {{"num_features", 2}, {"eps", nan}}, "BatchNorm2d: eps must be a number of at least 0, got nan"},
      {"BatchNorm3d",
       {{"num_features", 2}, {"momentum", nan}},
       "BatchNorm3d: momentum must be a finite number, got nan"},
      {"InstanceNorm2d",
       {{"num_features", 2}, {"eps", -1.0}},
       "InstanceNorm2d: eps must be a number of at least 0, got -1.0"},
      {"LayerNorm",
       {{"normalized_shape", Tuple{}}},
       "LayerNorm: Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but "
       "got "
       "normalized_shape = []"},
      {"RMSNorm", {{"normalized_shape", 2}, {"eps", nan}}, "RMSNorm: eps must be a number of at least 0, got nan"},
      {"GroupNorm",
       {{"num_groups", 3}, {"num_channels", 4}},
       "GroupNorm: num_channels must be divisible by num_groups, got 4 and 3"},
      {"GroupNorm",
       {{"num_groups", 0}, {"num_channels", 4}},
       "GroupNorm: num_groups must be a positive integer, got 0"},
      {"LocalResponseNorm",
       {{"size", 0}},
       "LocalResponseNorm: size must be at least 1 and at most 1099511627776, got 0"},
      {"Dropout", {{"p", nan}}, "Dropout: dropout probability has to be between 0 and 1, but got nan"},
      {"Dropout3d", {{"p", -0.1}}, "Dropout3d: dropout probability has to be between 0 and 1, but got -0.1"},
      {"AlphaDropout", {{"p", 2}}, "AlphaDropout: dropout probability has to be between 0 and 1, but got 2.0"},
      {"Conv3d",
       {{"in_channels", 1}, {"out_channels", 1}, {"kernel_size", Tuple{1, 1}}},
       "Conv3d: kernel_size must be one int or 3, got [1, 1]"},
      {"Conv2d",
       {{"in_channels", 1}, {"out_channels", 1}, {"kernel_size", kHuge}},
       "Conv2d: kernel_size is too large, got [4611686018427387904]"},
      {"ConvTranspose2d",
       {{"in_channels", 1}, {"out_channels", 1}, {"kernel_size", 2}, {"stride", 0}},
       "ConvTranspose2d: stride must be at least 1, got [0]"},
      {"Unfold", {{"kernel_size", 0}}, "Unfold: kernel_size must be at least 1, got [0]"},
      {"Fold",
       {{"output_size", Tuple{1, 2, 3}}, {"kernel_size", 2}},
       "Fold: output_size must be one int or 2, got [1, 2, 3]"},
      {"PixelShuffle", {{"upscale_factor", 0}}, "PixelShuffle: expects a positive upscale_factor, but got 0"},
      {"PixelUnshuffle",
       {{"downscale_factor", kHuge}},
       "PixelUnshuffle: downscale_factor 4611686018427387904 is too large"},
      {"ZeroPad2d", {{"padding", kHuge}}, "ZeroPad2d: padding is too large, got [4611686018427387904]"},
      {"CosineSimilarity", {{"eps", nan}}, "CosineSimilarity: eps must be a number of at least 0, got nan"},
      {"PairwiseDistance", {{"p", nan}}, "PairwiseDistance: p must be a number, got nan"},
  };
  for (const BadOption& bad : all) {
    EXPECT_EQ(error_of([&] { make_module(bad.type, bad.attributes); }), bad.error) << bad.type;
  }
}

}  // namespace
}  // namespace tapewire
