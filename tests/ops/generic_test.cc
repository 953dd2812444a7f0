// What holds for every op, tried on the samples of all families.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/gradcheck.h"
#include "core/base/error.h"
#include "core/ops/bound_call.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"
#include "core/tensor/allocator.h"
#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<std::vector<Sample> (*)()>& families() {
  static std::vector<std::vector<Sample> (*)()> all;
  return all;
}

}  // namespace

SampleFamily::SampleFamily(std::vector<Sample> (*make)()) { families().push_back(make); }

std::vector<Sample> all_samples() {
  std::vector<Sample> out;
  for (auto* make : families()) {
    for (Sample& sample : make()) out.push_back(std::move(sample));
  }
  std::ranges::stable_sort(out, {}, &Sample::op);
  return out;
}

namespace {

Tensors tensors_of(const Value& value) {
  std::vector<Tensor> found;
  flatten_tensors(value, found);
  return Tensors(found.begin(), found.end());
}

Tensors tensors_of(const Args& args) {
  Tensors out;
  for (const Value& value : args.positional) {
    for (Tensor& x : tensors_of(value)) out.push_back(std::move(x));
  }
  return out;
}

Value with_tensors(const Value& value, const Tensors& tensors, size_t& at) {
  if (value.is_tensor()) return tensors[at++];
  if (!value.is_tuple()) return value;
  Tuple items;
  for (const Value& item : value.tuple()) items.push_back(with_tensors(item, tensors, at));
  return value.is_list() ? Value::list(std::move(items)) : Value(std::move(items));
}

// The call with other tensors in the places of its own.
Args with_tensors(const Args& args, const Tensors& tensors) {
  Args out = args;
  size_t at = 0;
  for (Value& value : out.positional) value = with_tensors(value, tensors, at);
  return out;
}

template <class F>
Args mapped(const Args& args, F&& f) {
  Tensors tensors;
  for (const Tensor& x : tensors_of(args)) tensors.push_back(f(x));
  return with_tensors(args, tensors);
}

// Random ops draw the same numbers at every call.
Value call(const std::string& name, const Args& args) {
  Generator generator(5);
  const GeneratorScope scope(generator);
  return call_op(name, args);
}

GradcheckFunction function_of(const Sample& sample) {
  return [&sample](const Tensors& in) { return tensors_of(call(sample.op, with_tensors(sample.args, in))); };
}

bool any_requires_grad(const Sample& sample) {
  return std::ranges::any_of(tensors_of(sample.args), [](const Tensor& x) { return x.requires_grad(); });
}

// The values at twice the strides, in the memory order of the reversed dimensions.
Tensor strided(const Tensor& x) {
  Shape reversed(x.sizes().rbegin(), x.sizes().rend());
  Shape strides = contiguous_strides(reversed);
  std::ranges::reverse(strides);
  for (int64_t& stride : strides) stride *= 2;
  const NoGradGuard no_grad;
  const Tensor room = Tensor::full({2 * x.numel() + 1}, 1, x.dtype());
  Tensor out = room.alias({x.sizes(), strides, 1});
  const std::vector<double> values = x.to_vector<double>();
  size_t at = 0;
  const auto fill = [&](auto&& self, size_t d, int64_t place) -> void {
    if (d == x.sizes().size()) {
      dispatch_all(x.dtype(),
                   [&]<class T>(TypeTag<T>) { out.mutable_data<T>()[place] = static_cast<T>(values[at++]); });
      return;
    }
    for (int64_t i = 0; i < x.sizes()[d]; ++i) self(self, d + 1, place + i * strides[d]);
  };
  fill(fill, 0, 0);
  return x.requires_grad() ? set_requires_grad(out) : out;
}

void expect_near(const Tensor& actual, const Tensor& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.defined(), expected.defined()) << what;
  if (!actual.defined()) return;
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  const std::vector<double> a = actual.to_vector<double>();
  const std::vector<double> b = expected.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    ASSERT_NEAR(a[i], b[i], tolerance * (1 + std::abs(b[i]))) << what << ": element " << i;
  }
}

// Sums of outputs · cotangents by the inputs that require gradients; the cotangents are the same for the same outputs.
Tensors gradients(const Tensors& outputs, const Args& args) {
  std::vector<Tensor> roots;
  std::vector<Tensor> cotangents;
  Tensors wanted;
  for (const Tensor& y : outputs) {
    if (!y.requires_grad()) continue;
    roots.push_back(y);
    Tensor g = Tensor::empty(y.sizes(), y.dtype());
    dispatch_floating("test", g.dtype(), [&]<class T>(TypeTag<T>) {
      for (int64_t i = 0; i < g.numel(); ++i)
        g.mutable_data<T>()[i] = static_cast<T>(0.5 + 0.1 * static_cast<double>(i % 7));
    });
    cotangents.push_back(g);
  }
  for (const Tensor& x : tensors_of(args)) {
    if (x.requires_grad()) wanted.push_back(x);
  }
  if (roots.empty() || wanted.empty()) return {};
  return grad(roots, wanted, cotangents, {.allow_unused = true});
}

class SampleTest : public testing::TestWithParam<Sample> {
 protected:
  const Sample& sample() const { return GetParam(); }
  const OpDef& op() const { return require_op(sample().op); }
};

TEST_P(SampleTest, Gradcheck) {
  if (!any_requires_grad(sample())) return;
  const GradcheckResult result = gradcheck(function_of(sample()), tensors_of(sample().args));
  EXPECT_TRUE(result.ok) << result.message;
}

TEST_P(SampleTest, Gradgradcheck) {
  if (!any_requires_grad(sample()) || !op().differentiable) return;
  const Tensors outputs = tensors_of(call(sample().op, sample().args));
  ASSERT_TRUE(std::ranges::any_of(outputs, [](const Tensor& y) { return y.requires_grad(); }));
  const GradcheckResult result = gradgradcheck(function_of(sample()), tensors_of(sample().args));
  EXPECT_TRUE(result.ok) << result.message;
}

TEST_P(SampleTest, InPlaceFormAgreesAndHasTheSameGradients) {
  if (!op().inplace || !sample().args.positional[0].is_tensor()) return;
  const Tensor x = sample().args.positional[0].tensor();
  const Tensor expected = call(sample().op, sample().args).tensor();
  if (expected.sizes() != x.sizes() || expected.dtype() != x.dtype()) return;
  const auto changed = [&](const Tensors& in, bool through_view) {
    Tensors copies = in;
    copies[0] = clone(in[0]);
    const Tensor base = copies[0];
    if (through_view) copies[0] = view_as_self(base);
    call(sample().op + "_", with_tensors(sample().args, copies));
    return Tensors{base};
  };
  for (const bool through_view : {false, true}) {
    const GradcheckFunction f = [&](const Tensors& in) { return changed(in, through_view); };
    expect_near(f(tensors_of(sample().args))[0], expected, 1e-14, "in place");
    if (!any_requires_grad(sample()) || !expected.requires_grad()) continue;
    const GradcheckResult first = gradcheck(f, tensors_of(sample().args));
    EXPECT_TRUE(first.ok) << first.message;
    const GradcheckResult second = gradgradcheck(f, tensors_of(sample().args));
    EXPECT_TRUE(second.ok) << second.message;
  }
}

TEST_P(SampleTest, EvalFillsWhatInferPromises) {
  if (op().eval == nullptr) return;
  std::vector<std::string> names;
  std::vector<std::string> faults;
  std::vector<Value> values(sample().args.positional.begin(), sample().args.positional.end());
  for (const auto& [name, value] : sample().args.named) {
    names.push_back(name);
    values.push_back(value);
  }
  std::vector<ArgumentHint> hints;
  for (const Value& value : sample().args.positional) hints.push_back(hint_of(value));
  const BoundCall bound(op(), false, hints, names, faults);
  const auto attrs = bound.parse(values, {}, faults);
  ASSERT_THAT(faults, testing::IsEmpty());
  Tensors inputs;
  std::vector<Spec> specs;
  const auto add = [&](const Value& value) {
    const Tensor x = value.is_tensor() ? detach(value.tensor()) : Tensor();
    inputs.push_back(x);
    specs.push_back(x.defined() ? Spec{x.dtype(), x.sizes(), true} : Spec{});
  };
  size_t list_size = 0;
  for (size_t i = 0; i < op().inputs.size(); ++i) {
    Value given;
    for (size_t v = 0; v < values.size(); ++v) {
      if (!bound.is_attribute(v) && bound.input_of(v) == i) given = values[v];
    }
    if (op().inputs[i].is_list) {
      for (const Value& item : given.tuple()) add(item);
      list_size = given.tuple().size();
    } else if (given.is_number() ||
               (given.is_tensor() && op().promotion == Promotion::kFloat && !is_floating(given.tensor().dtype()))) {
      return;  // it would be promoted
    } else {
      add(given);
    }
  }
  const TensorSpecs promised = op().infer(attrs.get(), Specs(specs, op().list_at, list_size));
  ASSERT_EQ(promised.size(), op().outputs.size());
  std::vector<std::vector<std::byte>> first;
  for (const int before : {0x00, 0x7f}) {
    Tensors outputs;
    for (const TensorSpec& spec : promised) {
      outputs.push_back(Tensor::empty(spec.shape, spec.dtype));
      if (spec.dtype == DType::kBool) continue;  // nothing but 0 and 1 may stand there
      std::memset(outputs.back().mutable_raw_data(), before, outputs.back().nbytes());
    }
    Generator generator(5);
    const GeneratorScope scope(generator);
    op().eval(attrs.get(), Inputs(inputs, op().list_at, list_size), outputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto* data = static_cast<const std::byte*>(outputs[i].raw_data());
      const std::vector<std::byte> bytes(data, data + outputs[i].nbytes());
      if (before == 0) {
        first.push_back(bytes);
      } else {
        EXPECT_EQ(bytes, first[i]) << "output " << i << " keeps what was in memory before";
      }
    }
  }
}

TEST_P(SampleTest, StridedInputsGiveTheSame) {
  const Value plain = call(sample().op, sample().args);
  const Args other = mapped(sample().args, strided);
  if (!sample().any_strides) {
    // Either it can be had from these strides, or the error says why not.
    try {
      call(sample().op, other);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(error.message(), testing::HasSubstr("strides"));
      return;
    }
  }
  const Value result = call(sample().op, other);
  const Tensors expected = tensors_of(plain);
  const Tensors actual = tensors_of(result);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) expect_near(actual[i], expected[i], 1e-12, str_cat("output ", i));
  const Tensors expected_gradients = gradients(expected, sample().args);
  const Tensors actual_gradients = gradients(actual, other);
  ASSERT_EQ(actual_gradients.size(), expected_gradients.size());
  for (size_t i = 0; i < expected_gradients.size(); ++i) {
    expect_near(actual_gradients[i], expected_gradients[i], 1e-12, str_cat("gradient ", i));
  }
}

TEST_P(SampleTest, Float32IsCloseToFloat64) {
  if (sample().op == "cast" || sample().op == "to") return;
  if (sample().op == "bernoulli") return;  // by probabilities in float32 it draws other numbers
  const Args single = mapped(sample().args, [](const Tensor& x) {
    if (!is_floating(x.dtype())) return x;
    const Tensor narrow = detach(to(detach(x), DType::kFloat32));
    return x.requires_grad() ? set_requires_grad(narrow) : narrow;
  });
  const Tensors expected = tensors_of(call(sample().op, sample().args));
  const Tensors actual = tensors_of(call(sample().op, single));
  ASSERT_EQ(actual.size(), expected.size());
  const bool asks_for_double =
      std::ranges::any_of(sample().args.named, [](const auto& n) { return n.second.is_dtype(); });
  for (size_t i = 0; i < expected.size(); ++i) {
    if (is_floating(expected[i].dtype()) && !asks_for_double) {
      EXPECT_EQ(actual[i].dtype(), DType::kFloat32);
    }
    expect_near(actual[i], expected[i], 2e-5, str_cat("output ", i));
  }
  const Tensors expected_gradients = gradients(expected, sample().args);
  const Tensors actual_gradients = gradients(actual, single);
  ASSERT_EQ(actual_gradients.size(), expected_gradients.size());
  for (size_t i = 0; i < expected_gradients.size(); ++i) {
    expect_near(actual_gradients[i], expected_gradients[i], 2e-4, str_cat("gradient ", i));
  }
}

// The codes of an input that is at fault, or of a state; INTERNAL would mean that the op's own check is missing.
void expect_clear(const Error& error, const std::string& what) {
  EXPECT_TRUE(error.code() == absl::StatusCode::kInvalidArgument ||
              error.code() == absl::StatusCode::kFailedPrecondition ||
              error.code() == absl::StatusCode::kResourceExhausted)
      << what << ": " << absl::StatusCodeToString(error.code()) << ": " << error.message();
  EXPECT_FALSE(error.message().empty()) << what;
}

// A call that may be refused, but clearly, and otherwise has gradients that may be refused likewise.
void expect_works_or_clear(const std::string& op, const Args& args, const std::string& what) {
  try {
    const Value result = call(op, args);
    gradients(tensors_of(result), args);
  } catch (const Error& error) {
    expect_clear(error, what);
  } catch (const std::exception& error) {
    FAIL() << what << ": " << error.what();
  }
}

Tensor resized(const Tensor& x, const Shape& sizes) {
  Tensor out = Tensor::full(sizes, 1, x.dtype());
  return x.requires_grad() ? set_requires_grad(out) : out;
}

TEST_P(SampleTest, ZeroSizesWorkOrAreRefusedClearly) {
  std::set<int64_t> present;
  for (const Tensor& x : tensors_of(sample().args)) present.insert(x.sizes().begin(), x.sizes().end());
  for (const int64_t size : present) {
    const Args empty = mapped(sample().args, [&](const Tensor& x) {
      Shape sizes = x.sizes();
      std::ranges::replace(sizes, size, 0);
      return resized(x, sizes);
    });
    expect_works_or_clear(sample().op, empty, str_cat("sizes ", size, " made 0"));
  }
  for (size_t d = 0; d < 5; ++d) {
    const Args empty = mapped(sample().args, [&](const Tensor& x) {
      Shape sizes = x.sizes();
      if (d < sizes.size()) sizes[d] = 0;
      return resized(x, sizes);
    });
    expect_works_or_clear(sample().op, empty, str_cat("dimension ", d, " made 0"));
  }
}

// Mutations of a good call: other sizes, other dtypes, absurd numbers. Deterministic.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : generator_(seed) {}

  Args mutated(const Args& args) {
    Args out = args;
    const size_t count = out.positional.size() + out.named.size();
    const size_t changes = 1 + pick(2);
    for (size_t i = 0; i < changes; ++i) {
      const size_t at = pick(count);
      Value& value = at < out.positional.size() ? out.positional[at] : out.named[at - out.positional.size()].second;
      value = mutated(value);
    }
    if (pick(8) == 0) out.named.emplace_back(pick(2) == 0 ? "input" : "size", Value(3));
    return out;
  }

 private:
  size_t pick(size_t count) { return generator_.random() % count; }

  Value mutated(const Value& value) {
    if (pick(12) == 0) return stranger();
    if (value.is_tensor()) return mutated(value.tensor());
    if (value.is_int()) return number();
    if (value.is_double()) return pick(2) == 0 ? Value(std::numeric_limits<double>::quiet_NaN()) : Value(-1e300);
    if (value.is_bool()) return !value.boolean();
    if (value.is_tuple()) {
      Tuple items = value.tuple();
      if (items.empty() || pick(4) == 0)
        items.push_back(number());
      else if (pick(4) == 0)
        items.pop_back();
      else
        items[pick(items.size())] = number();
      return items;
    }
    return stranger();
  }

  Value number() {
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    constexpr std::array<int64_t, 12> kNumbers{
        0, -1, -2, 1, 2, 5, 1000, int64_t{1} << 31, kMost / 2, kMost - 1, kMost, std::numeric_limits<int64_t>::min()};
    return kNumbers[pick(kNumbers.size())];
  }

  Value stranger() {
    switch (pick(6)) {
      case 0:
        return Value();
      case 1:
        return "text";
      case 2:
        return Tuple{1, "two"};
      case 3:
        return Dict{{"k", 1}};
      case 4:
        return DType::kInt32;
      default:
        return Tensor::zeros({2}, DType::kBool);
    }
  }

  Value mutated(const Tensor& x) {
    Shape sizes = x.sizes();
    DType dtype = x.dtype();
    switch (pick(5)) {
      case 0:
        sizes.insert(sizes.begin() + static_cast<std::ptrdiff_t>(pick(sizes.size() + 1)),
                     static_cast<int64_t>(pick(3)));
        break;
      case 1:
        if (!sizes.empty()) sizes.erase(sizes.begin() + static_cast<std::ptrdiff_t>(pick(sizes.size())));
        break;
      case 2:
        if (!sizes.empty()) sizes[pick(sizes.size())] = static_cast<int64_t>(pick(7));
        break;
      case 3:
        sizes = {};
        break;
      default: {
        constexpr std::array kDTypes{DType::kFloat32, DType::kFloat64, DType::kInt64,
                                     DType::kInt32,   DType::kUInt8,   DType::kBool};
        dtype = kDTypes[pick(kDTypes.size())];
      }
    }
    // Indices and classes out of range are a mutation too.
    const Tensor out = Tensor::full(sizes, pick(3) == 0 ? Scalar(int64_t{100}) : Scalar(1), dtype);
    return is_floating(dtype) && x.requires_grad() ? set_requires_grad(out) : out;
  }

  Generator generator_;
};

class MemoryLimit {
 public:
  explicit MemoryLimit(int64_t bytes) : before_(tensor_allocator().limit()) {
    tensor_allocator().set_limit(tensor_allocator().stats().live + bytes, "test's limit");
  }
  ~MemoryLimit() { tensor_allocator().set_limit(before_, "tensor memory limit"); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  int64_t before_;
};

TEST_P(SampleTest, HostileCallsAreRefusedClearly) {
  const MemoryLimit limit(int64_t{64} << 20);
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Mutator mutator(seed);
    const Args args = mutator.mutated(sample().args);
    std::string shown = str_cat("seed ", seed, ": ", sample().op, "(");
    for (const Value& value : args.positional) shown += value.repr() + ", ";
    for (const auto& [name, value] : args.named) shown += str_cat(name, "=", value.repr(), ", ");
    expect_works_or_clear(sample().op, args, shown + ")");
    if (op().inplace) {
      const Args own = mapped(args, [](const Tensor& x) { return clone(detach(x)); });
      expect_works_or_clear(sample().op + "_", own, shown + ") in place");
    }
  }
}

std::string name_of_case(const testing::TestParamInfo<Sample>& info) {
  std::string name = str_cat(info.param.op, "_", info.index);
  std::ranges::replace(name, '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Ops, SampleTest, testing::ValuesIn(all_samples()), name_of_case);

}  // namespace

// What GoogleTest prints of a parameter.
void PrintTo(const Sample& sample, std::ostream* out) {
  *out << sample.op << "(";
  for (const Value& value : sample.args.positional) *out << value.repr() << ", ";
  for (const auto& [name, value] : sample.args.named) *out << name << "=" << value.repr() << ", ";
  *out << ")";
}

}  // namespace tapewire
