#include "core/autograd/function.h"

#include "core/autograd/engine.h"
#include "core/autograd/gradcheck.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/product.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The examples of PyTorch's "Extending PyTorch".
struct LinearFunction : Function<LinearFunction> {
  static Tensor forward(FunctionContext& ctx, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    ctx.save_for_backward({x, weight, bias});
    const Tensor out = mm(x, t(weight));
    return bias.defined() ? add(out, bias) : out;
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    const Tensors saved = ctx.saved_tensors();
    Tensors out(3);
    if (ctx.needs_input_grad(0)) out[0] = mm(grads[0], saved[1]);
    if (ctx.needs_input_grad(1)) out[1] = mm(t(grads[0]), saved[0]);
    if (saved[2].defined() && ctx.needs_input_grad(2)) out[2] = sum(grads[0], {.dim = Shape{0}});
    return out;
  }
};

struct MulConstant : Function<MulConstant> {
  static Tensor forward(FunctionContext& ctx, const Tensor& x, double constant) {
    ctx.saved_data["constant"] = constant;
    ctx.set_materialize_grads(false);
    return mul(x, constant);
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    if (!grads[0].defined()) return {Tensor(), Tensor()};
    return {mul(grads[0], ctx.saved_data["constant"].real()), Tensor()};
  }
};

TEST(FunctionTest, LinearHasRightGradientsWithAndWithoutBias) {
  const Tensor x = leaf({0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, {2, 3});
  const Tensor w = leaf({1, -1, 0.5, 2, 0.3, -0.7}, {2, 3});
  const Tensor b = leaf({0.5, -0.5});
  const auto linear_of = [](const Tensors& in) {
    return Tensors{LinearFunction::call(in[0], in[1], in.size() > 2 ? in[2] : Tensor())};
  };
  for (const Tensors& inputs : {Tensors{x, w, b}, Tensors{x, w}}) {
    const GradcheckResult first = gradcheck(linear_of, inputs);
    EXPECT_TRUE(first.ok) << first.message;
    const GradcheckResult second = gradgradcheck(linear_of, inputs);
    EXPECT_TRUE(second.ok) << second.message;
  }
  EXPECT_EQ(made_by(LinearFunction::call(x, w, b)), "LinearFunctionBackward");
}

TEST(FunctionTest, PlainMembersReachBackward) {
  const Tensor x = leaf({1, 2});
  backward(sum(MulConstant::call(x, 2.5)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(2.5, 2.5));
}

TEST(FunctionTest, ANodeExistsOnlyWhenNeeded) {
  EXPECT_FALSE(MulConstant::call(Tensor::of<double>({1}), 2.0).requires_grad());
  const Tensor x = leaf({1});
  const NoGradGuard no_grad;
  EXPECT_FALSE(MulConstant::call(x, 2.0).requires_grad());
}

struct AsksWhatIsNeeded : Function<AsksWhatIsNeeded> {
  static Tensor forward(FunctionContext& ctx, const Tensor& a, int, const Tensor& b) {
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(ctx.needs_input_grad(0));
    EXPECT_TRUE(ctx.needs_input_grad(1));
    EXPECT_FALSE(ctx.needs_input_grad(2));
    return add(a, b);
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    EXPECT_TRUE(ctx.needs_input_grad(1));
    return {Tensor(), Tensor(), grads[0]};
  }
};

TEST(FunctionTest, ForwardKnowsWhichGradientsAreNeededAndRunsWithoutGradMode) {
  const Tensor b = leaf({1});
  backward(AsksWhatIsNeeded::call(Tensor::of<double>({1}), 3, b));
  EXPECT_THAT(values(gradient(b)), ElementsAre(1));
}

struct ExpInPlace : Function<ExpInPlace> {
  static Tensor forward(FunctionContext& ctx, const Tensor& x) {
    const Tensor value = exp(x);
    mul_(x, 0.0);
    add_(x, value);
    ctx.mark_dirty({x});
    ctx.save_for_backward({x});  // the output itself
    return x;
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    return {mul(grads[0], ctx.saved_tensors()[0])};
  }
};

TEST(FunctionTest, ADirtyInputTakesTheNewHistory) {
  const Tensor x = leaf({0, 1});
  const Tensor y = mul(x, 1);
  const Tensor z = ExpInPlace::call(y);
  EXPECT_TRUE(z.is_same(y));
  EXPECT_EQ(made_by(y), "ExpInPlaceBackward");
  backward(sum(mul(y, 2)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(2, testing::DoubleNear(2 * 2.718281828459045, 1e-12)));
}

TEST(FunctionTest, ADirtyViewRebasesItsBaseAndHasASecondDerivative) {
  const auto f = [](const Tensors& in) {
    const Tensor base = mul(in[0], 1);
    ExpInPlace::call(as_strided(base, {{2}, {1}, 1}));
    return Tensors{base};
  };
  const Tensors inputs{leaf({0.1, 0.2, 0.3, 0.4})};
  EXPECT_TRUE(gradcheck(f, inputs).ok) << gradcheck(f, inputs).message;
  EXPECT_TRUE(gradgradcheck(f, inputs).ok) << gradgradcheck(f, inputs).message;
}

// Writes past the ops, which would count the change themselves.
struct Overwrites : Function<Overwrites> {
  static Tensor forward(FunctionContext& ctx, const Tensor& x) {
    for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data<double>()[i] = 7;
    ctx.mark_dirty({x});
    return x;
  }
  static Tensors backward(FunctionContext&, const Tensors&) { return {Tensor()}; }
};

TEST(FunctionTest, ADirtyInputHasAnotherVersion) {
  const Tensor y = mul(leaf({1, 2}), 1);
  const Tensor z = mul(y, y);
  Overwrites::call(y);
  EXPECT_EQ(y.version(), 1u);
  EXPECT_THAT(error_of([&] { backward(sum(z)); }), HasSubstr("modified by an inplace operation"));
}

TEST(FunctionTest, AnOverwrittenPartOfABaseHasNoGradient) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor base = mul(x, 1);
  Overwrites::call(as_strided(base, {{2}, {1}, 0}));
  EXPECT_THAT(values(base), ElementsAre(7, 7, 3));
  backward(sum(mul(base, 5)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(0, 0, 5));
}

TEST(FunctionTest, ADirtyLeafIsAnError) {
  EXPECT_THAT(error_of([] { ExpInPlace::call(leaf({1})); }), HasSubstr("a leaf Variable that requires grad"));
}

// What forward does with its marks is the test's choice.
struct Marks : Function<Marks> {
  static Tensors forward(FunctionContext& ctx, const Tensor& x, const std::string& what) {
    if (what == "dirty, not returned") {
      ctx.mark_dirty({x});
      return {mul(x, 2)};
    }
    if (what == "dirty and another") {
      add_(x, 1);
      ctx.mark_dirty({x});
      return {mul(x, 10), x};
    }
    if (what == "dirty stranger") {
      const Tensor y = mul(x, 2);
      ctx.mark_dirty({y});
      return {y};
    }
    if (what == "not differentiable") {
      const Tensor y = mul(x, 2);
      ctx.mark_non_differentiable({y});
      return {y, mul(x, 3)};
    }
    if (what == "as it is") return {x};
    if (what == "view") return {view(x, {-1})};
    if (what == "view, then dirty") {
      const Tensor y = view(x, {-1});
      add_(x, 1);
      ctx.mark_dirty({x});
      return {y, x};
    }
    if (what == "integer") return {gt(x, 0), mul(x, 2)};
    return {};
  }
  static Tensors backward(FunctionContext&, const Tensors& grads) {
    Tensor total;
    for (const Tensor& g : grads) {
      if (is_floating(g.dtype())) total = total.defined() ? add(total, mul(g, 10)) : g;
    }
    return {total, Tensor()};
  }
};

TEST(FunctionTest, WhatIsDirtyMustBeReturnedAndAnInput) {
  const Tensor x = mul(leaf({1}), 1);
  EXPECT_EQ(
      error_of([&] { Marks::call(x, std::string("dirty, not returned")); }),
      "MarksBackward: Some elements marked as dirty during the forward method were not returned as output. The inputs "
      "that are modified inplace must all be outputs of the Function.");
  EXPECT_THAT(error_of([&] { Marks::call(x, std::string("dirty stranger")); }), HasSubstr("that is no input"));
}

TEST(FunctionTest, ADirtyInputMayBeAnyOutput) {
  const Tensor leaf_x = leaf({1});
  const Tensor x = mul(leaf_x, 1);
  const Tensors out = Marks::call(x, std::string("dirty and another"));
  EXPECT_TRUE(out[1].is_same(x));
  EXPECT_EQ(x.autograd().output_nr, 1u);
  backward(x);  // output 1: its gradient counts ten times
  EXPECT_THAT(values(gradient(leaf_x)), ElementsAre(10));
}

TEST(FunctionTest, ADirtyViewMustBeTheOnlyOutput) {
  const Tensor x = view(mul(leaf({1}), 1), {1});
  EXPECT_THAT(error_of([&] { Marks::call(x, std::string("dirty and another")); }),
              HasSubstr("your Function cannot return more than one Tensor"));
}

TEST(FunctionTest, NonDifferentiableOutputsHaveNoHistory) {
  const Tensor x = leaf({1});
  const Tensors out = Marks::call(x, std::string("not differentiable"));
  EXPECT_FALSE(out[0].requires_grad());
  EXPECT_TRUE(out[1].requires_grad());
  const Tensors integer = Marks::call(x, std::string("integer"));
  EXPECT_FALSE(integer[0].requires_grad());
  backward(integer[1]);
  EXPECT_TRUE(gradient(x).defined());
}

TEST(FunctionTest, AnInputReturnedAsItIsBecomesAnotherTensor) {
  const Tensor x = leaf({1});
  const Tensor y = Marks::call(x, std::string("as it is"))[0];
  EXPECT_FALSE(y.is_same(x));
  EXPECT_TRUE(is_leaf(x));
  EXPECT_EQ(made_by(y), "MarksBackward");
  EXPECT_EQ(&y.storage(), &x.storage());
}

TEST(FunctionTest, AViewFromForwardMustNotChangeInPlace) {
  for (const char* how : {"as it is", "view"}) {
    const Tensor y = Marks::call(mul(leaf({1}), 1), std::string(how))[0];
    EXPECT_EQ(made_by(y), "MarksBackward");
    EXPECT_EQ(error_of([&] { add_(y, 1); }),
              "add_: Output 0 of MarksBackward is a view and is being modified inplace. This view was created inside a "
              "custom "
              "Function (or because an input was returned as-is) and the autograd logic to handle view+inplace would "
              "override the custom backward associated with the custom Function, leading to incorrect gradients. This "
              "behavior is forbidden. You can fix this by cloning the output of the custom Function.");
  }
}

TEST(FunctionTest, AViewFromForwardKeepsThisHistoryWhenForwardChangedItsBaseToo) {
  const Tensors out = Marks::call(mul(leaf({1}), 1), std::string("view, then dirty"));
  EXPECT_EQ(made_by(out[0]), "MarksBackward");
  EXPECT_EQ(made_by(out[1]), "MarksBackward");
  EXPECT_THAT(values(out[0]), ElementsAre(2));
}

struct TwoOutputs : Function<TwoOutputs> {
  static Tensors forward(FunctionContext& ctx, const Tensor& x, bool materialize) {
    ctx.set_materialize_grads(materialize);
    return {mul(x, 2), mul(x, 3)};
  }
  static Tensors backward(FunctionContext&, const Tensors& grads) {
    seen = {grads[0].defined(), grads[1].defined()};
    return {grads[0].defined() ? grads[0] : grads[1], Tensor()};
  }
  static inline std::vector<bool> seen;
};

TEST(FunctionTest, UndefinedGradientsBecomeZerosUnlessToldNotTo) {
  const Tensor x = leaf({1, 2});
  backward(sum(TwoOutputs::call(x, true)[1]));
  EXPECT_THAT(TwoOutputs::seen, ElementsAre(true, true));
  EXPECT_THAT(values(gradient(x)), ElementsAre(0, 0));
  backward(sum(TwoOutputs::call(x, false)[1]));
  EXPECT_THAT(TwoOutputs::seen, ElementsAre(false, true));
  EXPECT_THAT(values(gradient(x)), ElementsAre(1, 1));
}

TEST(FunctionTest, ARetainedGradientOfOneOutputStaysWhenAnotherChangesInPlace) {
  const Tensor x = leaf({1, 2});
  const Tensors out = TwoOutputs::call(x, true);
  retain_grad(out[0]);
  retain_grad(out[1]);
  mul_(out[0], 7);
  backward(sum(add(out[0], mul(out[1], 5))));
  EXPECT_THAT(values(gradient(out[0])), ElementsAre(1, 1));
  EXPECT_THAT(values(gradient(out[1])), ElementsAre(5, 5));
}

// The second of two outputs is saved: its history must be the second's, or the second derivative is another.
struct SavesItsSecondOutput : Function<SavesItsSecondOutput> {
  static Tensors forward(FunctionContext& ctx, const Tensor& x) {
    const Tensor value = exp(x);
    ctx.save_for_backward({value});
    return {mul(x, 2), value};
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    return {add(mul(grads[0], 2), mul(grads[1], ctx.saved_tensors()[0]))};
  }
};

TEST(FunctionTest, ASavedOutputKeepsItsPlace) {
  const auto f = [](const Tensors& in) { return SavesItsSecondOutput::call(in[0]); };
  const GradcheckResult second = gradgradcheck(f, {leaf({0.1, 0.5})});
  EXPECT_TRUE(second.ok) << second.message;
}

TEST(FunctionTest, WhatItSavedIsVisitedUntilItIsReleased) {
  const Tensor x = leaf({0.1, 0.5});
  const Tensors out = SavesItsSecondOutput::call(x);
  const auto saved_bytes = [&] {
    size_t bytes = 0;
    grad_fn(out[0])->visit_saved([&](const Storage& storage) { bytes += storage.size(); });
    return bytes;
  };
  EXPECT_EQ(saved_bytes(), 16u);
  backward(sum(out[1]));
  EXPECT_EQ(saved_bytes(), 0u);
}

struct Returns : Function<Returns> {
  static Tensor forward(FunctionContext&, const Tensor& x, int) { return mul(x, 2); }
  static Tensors backward(FunctionContext&, const Tensors& grads) {
    if (what == "too few") return {grads[0]};
    if (what == "for a number") return {grads[0], grads[0]};
    if (what == "too many") return {grads[0], Tensor(), grads[0]};
    if (what == "trailing none") return {grads[0], Tensor(), Tensor(), Tensor()};
    if (what == "wrong shape") return {Tensor::zeros({2}, DType::kFloat64), Tensor()};
    return {Tensor(), Tensor()};
  }
  static inline std::string what;
};

std::string error_of_returning(const std::string& what) {
  Returns::what = what;
  return error_of([] { backward(sum(Returns::call(leaf({1, 2, 3}), 1))); });
}

TEST(FunctionTest, BackwardReturnsOneGradientAnArgument) {
  EXPECT_EQ(error_of_returning("too few"),
            "function ReturnsBackward returned an incorrect number of gradients (expected 2, got 1)");
  EXPECT_EQ(error_of_returning("too many"),
            "function ReturnsBackward returned an incorrect number of gradients (expected 2, got 3)");
  EXPECT_EQ(
      error_of_returning("for a number"),
      "function ReturnsBackward returned a gradient different from None at position 2, but the corresponding forward "
      "input was not a Variable");
  EXPECT_EQ(
      error_of_returning("wrong shape"),
      "Function ReturnsBackward returned an invalid gradient at index 0 - got [2] but expected shape compatible with "
      "[3]");
  EXPECT_EQ(error_of_returning("trailing none"), "no error");
  EXPECT_EQ(error_of_returning("none at all"), "no error");
}

struct Once : Function<Once> {
  static Tensor forward(FunctionContext& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    ctx.once_differentiable();
    return mul(x, x);
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    EXPECT_FALSE(grad_enabled());
    return {mul(mul(grads[0], 2), ctx.saved_tensors()[0])};
  }
};

TEST(FunctionTest, OnceDifferentiableCannotBeDifferentiatedTwice) {
  const Tensor x = leaf({3});
  const Tensor g = grad({Once::call(x)}, {x}, {}, {.create_graph = true})[0];
  EXPECT_THAT(values(g), ElementsAre(6));
  EXPECT_EQ(error_of([&] { backward(g); }),
            "trying to differentiate twice a function that was marked with once_differentiable");
}

struct OncePassing : Function<OncePassing> {
  static Tensor forward(FunctionContext& ctx, const Tensor& x) {
    ctx.once_differentiable();
    return mul(x, 1);
  }
  static Tensors backward(FunctionContext&, const Tensors& grads) { return {grads[0]}; }
};

TEST(FunctionTest, OnceDifferentiableLeavesTheGradientItWasGivenAlone) {
  const Tensor x = leaf({3});
  const Tensor given = leaf({5});
  const Tensor g = grad({OncePassing::call(x)}, {x}, {given}, {.create_graph = true})[0];
  EXPECT_THAT(values(g), ElementsAre(5));
  EXPECT_TRUE(is_leaf(given));
  EXPECT_FALSE(g.is_same(given));
}

TEST(FunctionTest, SavedTensorsAreReleasedAndWatched) {
  const Tensor x = leaf({3});
  const Tensor y = Once::call(x);
  backward(y);
  EXPECT_THAT(error_of([&] { backward(y); }), HasSubstr("Trying to backward through the graph a second time"));
  const Tensor h = mul(x, 1);
  const Tensor z = Once::call(h);
  add_(h, 1);
  EXPECT_THAT(error_of([&] { backward(z); }), HasSubstr("modified by an inplace operation"));
}

struct NestedBackward : Function<NestedBackward> {
  // Recomputes under grad mode and walks a tape of its own, as activation checkpointing does.
  static Tensor forward(FunctionContext& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return mul(x, mul(x, x));
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    const GradModeGuard recording(true);
    const Tensor again = set_requires_grad(detach(ctx.saved_tensors()[0]));
    tapewire::backward(mul(again, mul(again, again)), grads[0]);
    return {gradient(again)};
  }
};

TEST(FunctionTest, BackwardMayStartABackwardOfItsOwn) {
  const Tensor x = leaf({2});
  backward(NestedBackward::call(x));
  EXPECT_THAT(values(gradient(x)), ElementsAre(12));
}

}  // namespace
}  // namespace tapewire
