#pragma once

#include <cstdint>
#include <variant>

namespace tapewire {

/// A Python number: bool, int or float. Ops take it where PyTorch takes a Number.
class Scalar {
 public:
  Scalar() : value_(0.0) {}
  Scalar(bool v) : value_(v) {}
  Scalar(int v) : value_(int64_t{v}) {}
  Scalar(int64_t v) : value_(v) {}
  Scalar(double v) : value_(v) {}

  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_float() const { return std::holds_alternative<double>(value_); }

  template <class T>
  T to() const {
    return std::visit([](auto v) { return static_cast<T>(v); }, value_);
  }
  friend bool operator==(const Scalar&, const Scalar&) = default;

 private:
  std::variant<bool, int64_t, double> value_;
};

}  // namespace tapewire
