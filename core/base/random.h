#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace tapewire {

/// PyTorch's CPU generator: mt19937 seeded with the low 32 bits of the seed (Matsumoto and Nishimura, 1998), and the
/// transformations of ATen's TransformationHelper.h. Not thread-safe: one generator, one thread at a time.
class Generator {
 public:
  static constexpr uint64_t kDefaultSeed = 67280421310721;

  explicit Generator(uint64_t seed = kDefaultSeed) { set_seed(seed); }

  void set_seed(uint64_t seed);
  uint64_t seed() const { return state_.seed; }

  /// 32 random bits.
  uint32_t random();
  /// 64 random bits: the first draw is the high word.
  uint64_t random64();
  /// Uniform on [0, 1), 24 bits.
  float uniform_float() { return static_cast<float>(random() & 0xFFFFFFu) * 0x1p-24f; }
  /// Uniform on [0, 1), 53 bits.
  double uniform_double() { return static_cast<double>(random64() & ((uint64_t{1} << 53) - 1)) * 0x1p-53; }
  /// Standard normal by Box-Muller in double; the second of a pair is kept for the next call.
  double normal_double();

  /// All that the stream depends on: a copy can be put back later.
  struct State {
    uint64_t seed = 0;
    std::array<uint32_t, 624> words{};
    int32_t left = 1;
    int32_t next = 0;
    bool has_normal = false;
    double normal = 0;
    friend bool operator==(const State&, const State&) = default;
  };
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  void refill();

  State state_;
};

/// The generator that random ops of this thread draw from: the innermost GeneratorScope's, or one of the thread's own.
Generator& current_generator();

/// Makes `generator` current on this thread for a scope.
class GeneratorScope {
 public:
  explicit GeneratorScope(Generator& generator);
  ~GeneratorScope();
  GeneratorScope(const GeneratorScope&) = delete;
  GeneratorScope& operator=(const GeneratorScope&) = delete;

 private:
  Generator* previous_;
};

/// Seeds the current generator, as torch.manual_seed does.
void manual_seed(uint64_t seed);

}  // namespace tapewire
