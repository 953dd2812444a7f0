#include "core/base/random.h"

#include <cmath>
#include <numbers>

namespace tapewire {
namespace {

constexpr int kStateSize = 624;
constexpr int kShift = 397;
constexpr uint32_t kMatrix = 0x9908b0df;
constexpr uint32_t kUpper = 0x80000000;
constexpr uint32_t kLower = 0x7fffffff;

uint32_t twist(uint32_t u, uint32_t v) { return (((u & kUpper) | (v & kLower)) >> 1) ^ ((v & 1) != 0 ? kMatrix : 0); }

thread_local Generator* scoped_generator = nullptr;

}  // namespace

void Generator::set_seed(uint64_t seed) {
  state_ = State{};
  state_.seed = seed;
  state_.words[0] = static_cast<uint32_t>(seed & 0xffffffff);
  for (uint32_t i = 1; i < kStateSize; ++i) {
    const uint32_t before = state_.words[i - 1];
    state_.words[i] = 1812433253u * (before ^ (before >> 30)) + i;
  }
}

void Generator::refill() {
  auto& p = state_.words;
  for (int i = 0; i < kStateSize; ++i) {
    p[i] = p[(i + kShift) % kStateSize] ^ twist(p[i], p[(i + 1) % kStateSize]);
  }
  state_.left = kStateSize;
  state_.next = 0;
}

uint32_t Generator::random() {
  if (--state_.left == 0) refill();
  uint32_t y = state_.words[state_.next++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  y ^= y >> 18;
  return y;
}

uint64_t Generator::random64() {
  const uint64_t high = random();
  return (high << 32) | random();
}

double Generator::normal_double() {
  if (state_.has_normal) {
    state_.has_normal = false;
    return state_.normal;
  }
  const double u1 = uniform_double();
  const double u2 = uniform_double();
  const double radius = std::sqrt(-2.0 * std::log1p(-u2));
  const double theta = 2.0 * std::numbers::pi * u1;
  state_.normal = radius * std::sin(theta);
  state_.has_normal = true;
  return radius * std::cos(theta);
}

Generator& current_generator() {
  if (scoped_generator != nullptr) return *scoped_generator;
  thread_local Generator own;
  return own;
}

GeneratorScope::GeneratorScope(Generator& generator) : previous_(scoped_generator) { scoped_generator = &generator; }
GeneratorScope::~GeneratorScope() { scoped_generator = previous_; }

void manual_seed(uint64_t seed) { current_generator().set_seed(seed); }

}  // namespace tapewire
