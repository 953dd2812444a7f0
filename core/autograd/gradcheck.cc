#include "core/autograd/gradcheck.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace tapewire {
namespace {

// Where the element with that row-major number lies, counted from the tensor's first.
int64_t place_of(const Tensor& x, int64_t number) {
  int64_t at = 0;
  for (size_t d = x.sizes().size(); d-- > 0;) {
    at += number % x.sizes()[d] * x.strides()[d];
    number /= x.sizes()[d];
  }
  return at;
}

std::string index_of(const Tensor& x, int64_t number) {
  Shape index(x.sizes().size());
  for (size_t d = index.size(); d-- > 0;) {
    index[d] = number % x.sizes()[d];
    number /= x.sizes()[d];
  }
  return to_string(index);
}

// The same values at twice the strides.
Tensor strided_copy(const Tensor& x) {
  if (x.numel() == 0) return x;
  Geometry geometry{x.sizes(), contiguous_strides(x.sizes()), 1};
  for (int64_t& stride : geometry.strides) stride *= 2;
  const Tensor out = Tensor::full({2 * x.numel()}, 77.0, x.dtype()).alias(std::move(geometry));
  const std::vector<double> values = x.to_vector<double>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    if (x.dtype() == DType::kFloat64) {
      out.mutable_data<double>()[place_of(out, i)] = values[static_cast<size_t>(i)];
    } else {
      out.mutable_data<float>()[place_of(out, i)] = static_cast<float>(values[static_cast<size_t>(i)]);
    }
  }
  return out;
}

Tensor one_hot(const Tensor& like, int64_t number) {
  Tensor out = Tensor::zeros(like.sizes(), like.dtype());
  if (like.dtype() == DType::kFloat64) {
    out.mutable_data<double>()[number] = 1;
  } else {
    out.mutable_data<float>()[number] = 1;
  }
  return out;
}

Tensor random_like(const Tensor& like, Generator& generator) {
  Tensor out = Tensor::empty(like.sizes(), like.dtype());
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double value = 2 * generator.uniform_double() - 1;
    if (like.dtype() == DType::kFloat64) {
      out.mutable_data<double>()[i] = value;
    } else {
      out.mutable_data<float>()[i] = static_cast<float>(value);
    }
  }
  return out;
}

// Hands back no gradient at all for what it stands over.
class UndefinedGrad final : public Node {
 public:
  explicit UndefinedGrad(const Tensor& x) {
    add_output(x.spec());
    add_next_edge(gradient_edge(x));
  }
  std::string name() const override { return "UndefinedGradBackward"; }
  Tensors apply(Tensors) override { return Tensors(1); }
};

Tensor without_gradient(const Tensor& x) {
  Tensor out = x.alias();
  set_history(out, make_ref<UndefinedGrad>(x), 0);
  return out;
}

bool undefined_or_zero(const Tensor& x) {
  if (!x.defined()) return true;
  return std::ranges::all_of(x.to_vector<double>(), [](double v) { return v == 0; });
}

// Values of a matrix: one row an output element, one column an input element.
struct Jacobian {
  int64_t columns = 0;
  std::vector<double> values;

  Jacobian(int64_t rows, int64_t cols) : columns(cols), values(static_cast<size_t>(rows * cols)) {}
  double& at(int64_t row, int64_t column) { return values[static_cast<size_t>(row * columns + column)]; }
};

class Check {
 public:
  Check(const GradcheckFunction& fn, const Tensors& inputs, const GradcheckOptions& options)
      : fn_(fn), inputs_(inputs), options_(options) {}

  GradcheckResult run() {
    find_inputs();
    outputs_ = fn_(inputs_);
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (!outputs_[i].defined()) fail("gradcheck: output ", i, " is none");
    }
    compare_jacobians();
    if (result_.ok && options_.noncontiguous_grads) check_strided_gradients();
    if (result_.ok && options_.check_undefined_grad) check_undefined_gradients();
    return result_;
  }

 private:
  void find_inputs() {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const Tensor& x = inputs_[i];
      if (!x.defined() || !x.requires_grad()) continue;
      if (!is_leaf(x) || x.dtype() != DType::kFloat64) {
        fail("gradcheck: input ", i, " (", to_string(x.spec()), ") must be a leaf of float64 to be checked");
      }
      for (size_t d = 0; d < x.sizes().size(); ++d) {
        if (x.sizes()[d] > 1 && x.strides()[d] == 0) {
          fail("gradcheck: input ", i, " has elements that share memory: sizes ", to_string(x.sizes()), ", strides ",
               to_string(x.strides()));
        }
      }
      differentiable_.push_back(i);
    }
    if (differentiable_.empty()) {
      fail("gradcheck expects at least one input tensor to require gradient, but none of them has requires_grad=True.");
    }
  }

  Tensors targets() const {
    Tensors out;
    for (const size_t i : differentiable_) out.push_back(inputs_[i]);
    return out;
  }

  bool floating_output(size_t i) const { return is_floating(outputs_[i].dtype()); }

  // One for each output: (outputs at x + eps) - (outputs at x - eps), over 2 eps.
  std::vector<Jacobian> numerical(size_t input) {
    const Tensor& x = inputs_[input];
    std::vector<Jacobian> out;
    for (const Tensor& y : outputs_) out.emplace_back(y.numel(), x.numel());
    for (int64_t column = 0; column < x.numel(); ++column) {
      const int64_t at = place_of(x, column);
      const double value = x.data<double>()[at];
      const auto moved = [&](double to) {
        x.mutable_data<double>()[at] = to;
        std::vector<std::vector<double>> values;
        for (const Tensor& y : fn_(inputs_)) values.push_back(y.to_vector<double>());
        return values;
      };
      std::vector<std::vector<double>> above;
      std::vector<std::vector<double>> below;
      try {
        above = moved(value + options_.eps);
        below = moved(value - options_.eps);
      } catch (...) {
        x.mutable_data<double>()[at] = value;
        throw;
      }
      x.mutable_data<double>()[at] = value;
      for (size_t i = 0; i < outputs_.size(); ++i) {
        if (above.size() != outputs_.size() || above[i].size() != below[i].size() ||
            static_cast<int64_t>(above[i].size()) != outputs_[i].numel()) {
          fail("gradcheck: the function's outputs change in number or size with its inputs");
        }
        for (size_t row = 0; row < above[i].size(); ++row) {
          out[i].at(static_cast<int64_t>(row), column) = (above[i][row] - below[i][row]) / (2 * options_.eps);
        }
      }
    }
    return out;
  }

  Tensors pull_back(const Tensor& output, const Tensor& grad_output) const {
    return grad(std::span(&output, 1), targets(), std::span(&grad_output, 1),
                {.retain_graph = true, .allow_unused = true});
  }

  // One for each differentiable input. Each row twice: two passes must agree.
  std::vector<Jacobian> analytical(size_t output) {
    const Tensor& y = outputs_[output];
    std::vector<Jacobian> out;
    for (const size_t i : differentiable_) out.emplace_back(y.numel(), inputs_[i].numel());
    if (!y.requires_grad()) return out;
    for (int64_t row = 0; row < y.numel(); ++row) {
      const Tensors once = pull_back(y, one_hot(y, row));
      const Tensors again = pull_back(y, one_hot(y, row));
      for (size_t n = 0; n < differentiable_.size(); ++n) {
        const Tensor& x = inputs_[differentiable_[n]];
        if (once[n].defined() && (once[n].sizes() != x.sizes() || once[n].dtype() != x.dtype())) {
          report("the gradient of output ", output, " by input ", differentiable_[n], " is ", to_string(once[n].spec()),
                 ", the input ", to_string(x.spec()));
          return out;
        }
        const std::vector<double> a = values_of(once[n], x);
        const std::vector<double> b = values_of(again[n], x);
        for (size_t column = 0; column < a.size(); ++column) {
          out[n].at(row, static_cast<int64_t>(column)) = a[column];
          if (!(std::abs(a[column] - b[column]) <= options_.nondet_tol) &&
              !(std::isnan(a[column]) && std::isnan(b[column]))) {
            report(
                "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times "
                "gives "
                "different values: output ",
                output, ", input ", differentiable_[n], ", element ", index_of(x, static_cast<int64_t>(column)), ": ",
                number(a[column]), " and then ", number(b[column]));
          }
        }
      }
    }
    return out;
  }

  void compare_jacobians() {
    std::vector<std::vector<Jacobian>> expected;
    for (const size_t i : differentiable_) expected.push_back(numerical(i));
    for (size_t o = 0; o < outputs_.size() && result_.ok; ++o) {
      if (!floating_output(o)) continue;
      std::vector<Jacobian> actual = analytical(o);
      for (size_t n = 0; n < differentiable_.size() && result_.ok; ++n) compare(o, n, expected[n][o], actual[n]);
    }
  }

  void compare(size_t output, size_t n, const Jacobian& expected, const Jacobian& actual) {
    double worst = -1;
    size_t where = 0;
    for (size_t i = 0; i < expected.values.size(); ++i) {
      const double difference = std::abs(expected.values[i] - actual.values[i]);
      double excess = difference - (options_.atol + options_.rtol * std::abs(expected.values[i]));
      if (std::isnan(excess)) excess = std::numeric_limits<double>::infinity();
      if (excess > 0 && excess > worst) {
        worst = excess;
        where = i;
      }
    }
    if (worst < 0) return;
    const Tensor& x = inputs_[differentiable_[n]];
    const auto at = static_cast<int64_t>(where);
    report("Jacobian mismatch for output ", output, " with respect to input ", differentiable_[n], ": d output",
           index_of(outputs_[output], at / expected.columns), " / d input", index_of(x, at % expected.columns),
           ": numerical ", number(expected.values[where]), ", analytical ", number(actual.values[where]),
           outputs_[output].requires_grad() ? "" : " (the output does not require a gradient)");
  }

  void check_strided_gradients() {
    Generator generator(7);
    for (size_t o = 0; o < outputs_.size(); ++o) {
      const Tensor& y = outputs_[o];
      if (!floating_output(o) || !y.requires_grad()) continue;
      const Tensor grad_output = random_like(y, generator);
      const Tensors plain = pull_back(y, grad_output);
      const Tensors strided = pull_back(y, strided_copy(grad_output));
      for (size_t n = 0; n < differentiable_.size(); ++n) {
        const Tensor& x = inputs_[differentiable_[n]];
        const std::vector<double> a = values_of(plain[n], x);
        const std::vector<double> b = values_of(strided[n], x);
        for (size_t i = 0; i < a.size(); ++i) {
          if (std::abs(a[i] - b[i]) <= 1e-10 * (1 + std::abs(a[i])) || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
          report("a strided gradient of output ", o, " gives another gradient of input ", differentiable_[n],
                 " than a row-major one: element ", index_of(x, static_cast<int64_t>(i)), ": ", number(b[i]),
                 " instead of ", number(a[i]));
          return;
        }
      }
    }
  }

  // All output gradients undefined, then one at a time with zeros for the others.
  void check_undefined_gradients() {
    std::vector<size_t> checked;
    for (size_t o = 0; o < outputs_.size(); ++o) {
      if (floating_output(o) && outputs_[o].requires_grad()) checked.push_back(o);
    }
    if (checked.empty()) return;
    const size_t rounds = checked.size() > 1 ? checked.size() + 1 : 1;
    for (size_t round = 0; round < rounds; ++round) {
      Tensors roots;
      Tensors zeros;
      for (size_t n = 0; n < checked.size(); ++n) {
        const Tensor& y = outputs_[checked[n]];
        roots.push_back(round == 0 || round == n + 1 ? without_gradient(y) : y);
        zeros.push_back(Tensor::zeros(y.sizes(), y.dtype()));
      }
      const Tensors grads = grad(roots, targets(), zeros, {.retain_graph = true, .allow_unused = true});
      for (size_t n = 0; n < grads.size(); ++n) {
        if (undefined_or_zero(grads[n])) continue;
        report("Expected all input grads to be undefined or zero when all output grads are undefined or zero; ",
               round == 0 ? std::string("with all undefined")
                          : str_cat("with that of output ", checked[round - 1], " undefined"),
               " input ", differentiable_[n], " got ", to_string(grads[n]));
        return;
      }
    }
  }

  static std::vector<double> values_of(const Tensor& gradient, const Tensor& x) {
    return gradient.defined() ? gradient.to_vector<double>() : std::vector<double>(static_cast<size_t>(x.numel()));
  }
  static std::string number(double value) {
    std::array<char, 32> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 10).ptr;
    return std::string(text.data(), end);
  }

  template <class... Parts>
  void report(const Parts&... parts) {
    if (result_.ok) result_ = {false, str_cat(parts...)};
  }

  const GradcheckFunction& fn_;
  const Tensors& inputs_;
  const GradcheckOptions& options_;
  std::vector<size_t> differentiable_;
  Tensors outputs_;
  GradcheckResult result_;
};

}  // namespace

GradcheckResult gradcheck(const GradcheckFunction& fn, const Tensors& inputs, const GradcheckOptions& options) {
  GradModeGuard recording(true);
  return Check(fn, inputs, options).run();
}

GradcheckResult gradgradcheck(const GradcheckFunction& fn, const Tensors& inputs, const Tensors& grad_outputs,
                              const GradcheckOptions& options) {
  GradModeGuard recording(true);
  const auto differentiable = [](Tensors outputs) {
    Tensors out;
    for (Tensor& y : outputs) {
      if (y.defined() && is_floating(y.dtype()) && y.requires_grad()) out.push_back(std::move(y));
    }
    return out;
  };
  Tensors all = inputs;
  if (grad_outputs.empty()) {
    Generator generator(42);
    for (const Tensor& y : differentiable(fn(inputs))) {
      Tensor made = random_like(y, generator);
      if (options.noncontiguous_grads) made = strided_copy(made);
      all.push_back(set_requires_grad(made));
    }
  } else {
    all.insert(all.end(), grad_outputs.begin(), grad_outputs.end());
  }
  if (all.size() == inputs.size()) fail("gradgradcheck: no output of the function requires a gradient");

  const size_t count = inputs.size();
  const GradcheckFunction gradients = [&](const Tensors& given) {
    const Tensors own(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(count));
    const Tensors cotangents(given.begin() + static_cast<std::ptrdiff_t>(count), given.end());
    Tensors targets;
    for (const Tensor& x : own) {
      if (x.defined() && x.requires_grad()) targets.push_back(x);
    }
    Tensors out;
    for (Tensor& g : grad(differentiable(fn(own)), targets, cotangents, {.create_graph = true, .allow_unused = true})) {
      if (g.defined()) out.push_back(std::move(g));
    }
    return out;
  };
  GradcheckResult result = gradcheck(gradients, all, options);
  if (!result.ok) {
    result.message = str_cat("second order (inputs from ", count, " on are output gradients): ", result.message);
  }
  return result;
}

}  // namespace tapewire
