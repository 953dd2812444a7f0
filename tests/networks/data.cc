#include "tests/networks/data.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>

#include "client/cli/dataset.h"
#include "core/base/strings.h"
#include "core/ops/shape_ops.h"
#include "server/codec/tensor_codec.h"

namespace tapewire::networks {
namespace {

constexpr int64_t kLength = 32;  // of a text's window
constexpr int64_t kApart = 37;   // where one window starts after another
constexpr int64_t kSide = 28;
constexpr int64_t kPixels = kSide * kSide;

struct Digits {
  Tensor pixels;  // uint8 [N, 28, 28]
  Tensor labels;  // int64 [N]
};

const Digits& all_digits() {
  static const Digits digits = [] {
    client::DataSource source;
    source.data = TAPEWIRE_SOURCE_DIR "/client/examples/mnist/data";
    const auto set = client::load_dataset(source, client::Split::kTrain, {});
    if (!set.ok()) throw std::runtime_error(std::string(set.status().message()));
    return Digits{codec::decode_tensor(v1::Tensor(set->pixels.value()), "pixels", {}),
                  codec::decode_tensor(v1::Tensor(set->targets.value()), "labels", {})};
  }();
  return digits;
}

const std::string& all_text() {
  static const std::string text = [] {
    constexpr auto kPath = TAPEWIRE_SOURCE_DIR "/LICENSE";
    std::ifstream file(kPath, std::ios::binary);
    if (!file) throw std::runtime_error(str_cat(kPath, ": cannot be read"));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  return text;
}

// Grey images [batch, 1, 28, 28], normalised in float32.
Tensor images(int64_t batch, int64_t step, DType dtype) {
  const Tensor out = Tensor::empty({batch, 1, kSide, kSide}, DType::kFloat32);
  const uint8_t* from = all_digits().pixels.data<uint8_t>() + batch * step * kPixels;
  auto* to_values = out.mutable_data<float>();
  for (int64_t i = 0; i < out.numel(); ++i) to_values[i] = (static_cast<float>(from[i]) / 255 - 0.1307F) / 0.3081F;
  return to(out, dtype);
}

Batch digits(int64_t batch, int64_t step, DType dtype) {
  const Tensor labels = Tensor::empty({batch}, DType::kInt64);
  std::copy_n(all_digits().labels.data<int64_t>() + batch * step, batch, labels.mutable_data<int64_t>());
  return {{images(batch, step, dtype)}, labels};
}

Batch strokes(int64_t batch, int64_t step, DType dtype) {
  const Tensor ink = Tensor::empty({batch, 1, kSide, kSide}, DType::kFloat32);
  const uint8_t* from = all_digits().pixels.data<uint8_t>() + batch * step * kPixels;
  for (int64_t i = 0; i < ink.numel(); ++i) ink.mutable_data<float>()[i] = from[i] >= 128 ? 1.F : 0.F;
  return {{images(batch, step, dtype)}, to(ink, dtype)};
}

// int64 [batch, kLength]: element (row, t) is what `at` gives for the row's first place in the text and t.
template <class At>
Tensor windows(int64_t batch, int64_t step, At at) {
  const Tensor out = Tensor::empty({batch, kLength}, DType::kInt64);
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t start = (batch * step + row) * kApart;
    for (int64_t t = 0; t < kLength; ++t) out.mutable_data<int64_t>()[row * kLength + t] = at(start, t);
  }
  return out;
}

// The byte at a place of the text, which goes round.
int64_t byte_at(int64_t place) {
  return static_cast<unsigned char>(all_text()[static_cast<size_t>(place) % all_text().size()]);
}

Batch next_bytes(int64_t batch, int64_t step, DType /*dtype*/) {
  return {{windows(batch, step, [](int64_t start, int64_t t) { return byte_at(start + t); })},
          windows(batch, step, [](int64_t start, int64_t t) { return byte_at(start + t + 1); })};
}

Batch reversal(int64_t batch, int64_t step, DType /*dtype*/) {
  const auto backwards = [](int64_t start, int64_t t) { return byte_at(start + kLength - 1 - t); };
  return {{windows(batch, step, [](int64_t start, int64_t t) { return byte_at(start + t); }),
           windows(batch, step, [&](int64_t start, int64_t t) { return t == 0 ? 0 : backwards(start, t - 1); })},
          windows(batch, step, backwards)};
}

}  // namespace

Batch make_batch(const std::string& recipe, int64_t batch, int64_t step, DType dtype) {
  static const std::map<std::string, Batch (*)(int64_t, int64_t, DType)> recipes{
      {"digits", &digits}, {"strokes", &strokes}, {"text", &next_bytes}, {"reversal", &reversal}};
  const auto found = recipes.find(recipe);
  if (found == recipes.end()) throw std::runtime_error(str_cat("no recipe '", recipe, "'"));
  return found->second(batch, step, dtype);
}

}  // namespace tapewire::networks
