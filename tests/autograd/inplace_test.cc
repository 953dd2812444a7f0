#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/bound_call.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "core/tensor/views.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

Tensor in_place(const char* name, const Tensor& x) { return call_op(name, {x}).tensor(); }
Tensor part_of(const Tensor& x, int64_t first, int64_t count) { return as_strided(x, {{count}, {1}, first}); }

// Row i as a view, whatever the strides of x.
Tensor as_row(const Tensor& x, int64_t i) {
  const Tensor row = x.alias(views::select(x.geometry(), 0, i));
  set_view_of(row, x, ViewOrigin::kDefault);
  return row;
}

constexpr const char* kModified =
    "one of the variables needed for gradient computation has been modified by an inplace operation";

// Versions of saved tensors ------------------------------------------------------------------------------------------

TEST(VersionTest, ASavedTensorChangedInPlaceIsFoundOut) {
  const Tensor x = leaf({1, 1, 1});
  const Tensor y = exp(x);
  add_(y, 1);
  const Tensor z = sum(y);
  try {
    backward(z);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(error.message(),
              str_cat(kModified,
                      ": [float64[3]], which is output 0 of ExpBackward0, is at version 1; expected version 0 instead. "
                      "Hint: enable anomaly detection to find the operation that failed to compute its gradient."));
  }
}

TEST(VersionTest, ASavedInputIsFoundOutToo) {
  const Tensor y = mul(leaf({1, 2}), 1);
  const Tensor z = mul(y, y);
  add_(y, 1);
  EXPECT_THAT(error_of([&] { backward(sum(z)); }), HasSubstr("which is output 0 of MulBackward0, is at version 1"));
}

TEST(VersionTest, ViewsAndDetachShareTheCounter) {
  const Tensor y = mul(leaf({1, 2}), 1);
  const Tensor by_view = mul(y, y);
  add_(view(y, {2, 1}), 1);
  EXPECT_THAT(error_of([&] { backward(sum(by_view)); }), HasSubstr(kModified));

  const Tensor x = leaf({1, 2});
  const Tensor by_detach = mul(x, x);
  add_(detach(x), 1);
  EXPECT_THAT(error_of([&] { backward(sum(by_detach)); }), HasSubstr("[float64[2]] is at version 1"));

  const Tensor base = mul(leaf({1, 2}), 1);
  const Tensor part = part_of(base, 0, 1);
  const Tensor of_view = mul(part, part);
  add_(base, 1);
  EXPECT_THAT(error_of([&] { backward(sum(of_view)); }), HasSubstr(kModified));
}

TEST(VersionTest, ALeafChangedUnderNoGradIsFoundOut) {
  const Tensor x = leaf({1, 2});
  const Tensor y = mul(x, x);
  {
    const NoGradGuard no_grad;
    add_(x, 1);
  }
  EXPECT_THAT(error_of([&] { backward(sum(y)); }), HasSubstr(kModified));
}

TEST(VersionTest, WhatWasNotSavedMayChange) {
  const Tensor y = mul(leaf({1, 2}), 3);
  const Tensor z = add(y, 1);
  add_(y, 1);
  mul_(y, 2);
  EXPECT_EQ(error_of([&] { backward(sum(add(z, y))); }), "no error");
}

TEST(VersionTest, OnlyWhatTheNeededGradientUsesIsSaved) {
  const Tensor x = leaf({1, 2});
  const Tensor constant = Tensor::of<double>({3, 4});
  const Tensor y = mul(x, 1);
  const Tensor z = mul(y, constant);  // needs the constant only
  mul_(y, 2);
  EXPECT_EQ(error_of([&] { backward(sum(z)); }), "no error");
  EXPECT_THAT(values(gradient(x)), ElementsAre(3, 4));
}

// In place on a tensor of its own ------------------------------------------------------------------------------------

TEST(InPlaceTest, GivesTheGradientOfTheWholeExpression) {
  const Tensor x = leaf({1, 2});
  const Tensor y = mul(x, 3);
  const Tensor same = add_(mul_(y, 2), 1);
  EXPECT_TRUE(same.is_same(y));
  EXPECT_EQ(made_by(y), "AddBackward0");
  EXPECT_THAT(values(y), ElementsAre(7, 13));
  backward(sum(mul(y, y)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(2 * 7 * 6, 2 * 13 * 6));
}

TEST(InPlaceTest, AConstantBecomesDifferentiable) {
  const Tensor w = leaf({5, 6});
  const Tensor y = Tensor::of<double>({1, 2});
  mul_(y, w);
  EXPECT_TRUE(y.requires_grad());
  backward(sum(y));
  EXPECT_THAT(values(gradient(w)), ElementsAre(1, 2));
}

TEST(InPlaceTest, TheOldValueIsKeptWithItsHistory) {
  // d/dx of (3x) * w is w * 3; its derivative by w needs the old value, that by x of w's gradient the old history.
  const Tensor x = leaf({2});
  const Tensor w = leaf({5});
  const Tensor y = mul(x, 3);
  mul_(y, w);
  const Tensor by_w = grad({y}, {w}, {}, {.create_graph = true})[0];
  EXPECT_THAT(values(by_w), ElementsAre(6));
  EXPECT_THAT(values(grad({by_w}, {x})[0]), ElementsAre(3));
}

TEST(InPlaceTest, AnOpThatSavesItsOutputMayRunInPlace) {
  const Tensor x = leaf({0.5, -1});
  const Tensor y = mul(x, 1);
  relu_(y);
  backward(sum(mul(y, 4)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(4, 0));
  const Tensor z = mul(leaf({0}), 1);
  EXPECT_EQ(made_by(in_place("exp_", z)), "ExpBackward0");
  EXPECT_THAT(values(z), ElementsAre(1));
}

// torch 1.13: y = x * 1; y.mul_(y); y.sum().backward() raises the same error.
TEST(InPlaceTest, AnOperandThatIsTheTargetIsFoundOut) {
  const Tensor y = mul(leaf({2, 3}), 1);
  mul_(y, y);
  EXPECT_THAT(values(y), ElementsAre(4, 9));
  EXPECT_THAT(error_of([&] { backward(sum(y)); }), HasSubstr("at version 1; expected version 0"));
}

TEST(InPlaceTest, AnOperandThatIsTheTargetIsFineWhereNothingIsSaved) {
  const Tensor x = leaf({2, 3});
  const Tensor y = mul(x, 1);
  add_(y, y);
  backward(sum(y));
  EXPECT_THAT(values(gradient(x)), ElementsAre(2, 2));
}

TEST(InPlaceTest, OfALeafThatRequiresGradIsAnError) {
  const Tensor x = leaf({1, 2});
  EXPECT_EQ(error_of([&] { add_(x, 1); }),
            "add_: a leaf Variable that requires grad is being used in an in-place operation.");
  EXPECT_THAT(values(x), ElementsAre(1, 2));
  EXPECT_EQ(x.version(), 0u);
  EXPECT_EQ(error_of([&] { add_(view(x, {2, 1}), 1); }),
            "add_: a view of a leaf Variable that requires grad is being used in an in-place operation.");
  const NoGradGuard no_grad;
  add_(x, 1);
  EXPECT_THAT(values(x), ElementsAre(2, 3));
}

TEST(InPlaceTest, TheTargetKeepsItsShapeAndDtype) {
  EXPECT_EQ(error_of([] { add_(Tensor::zeros({3}), Tensor::zeros({2, 3})); }),
            "add_: output with shape [3] doesn't match the broadcast shape [2, 3]");
  EXPECT_EQ(error_of([] { add_(Tensor::zeros({3}, DType::kInt64), Tensor::zeros({3})); }),
            "add_: result type float32 can't be cast to the desired output type int64");
  EXPECT_EQ(error_of([] { add_(Tensor::zeros({3}, DType::kInt64), Scalar(1.5)); }),
            "add_: result type float32 can't be cast to the desired output type int64");
  EXPECT_EQ(error_of([] { add_(Tensor::zeros({3}, DType::kBool), Tensor::zeros({3}, DType::kUInt8)); }),
            "add_: result type uint8 can't be cast to the desired output type bool");
  const Tensor x = Tensor::of<int32_t>({1, 2});
  add_(x, Tensor::of<int64_t>({10, 20}));
  EXPECT_EQ(x.dtype(), DType::kInt32);
  EXPECT_THAT(values(x), ElementsAre(11, 22));
}

// torch: torch.ones(3).expand(2, 3).mul_(2), x.add_(x.t()) and x[:3].add_(x[1:4]) raise these.
TEST(InPlaceTest, OverlappingMemoryIsRefusedWherePyTorchDoes) {
  EXPECT_THAT(error_of([] { mul_(expand(Tensor::zeros({3}), {2, 3}), 2); }),
              HasSubstr("more than one element of the written-to tensor refers to a single memory location"));
  const Tensor square_matrix = Tensor::zeros({3, 3});
  EXPECT_THAT(
      error_of([&] { add_(square_matrix, t(square_matrix)); }),
      HasSubstr("some elements of the input tensor and the written-to tensor refer to a single memory location"));
  const Tensor row = Tensor::zeros({6});
  EXPECT_THAT(error_of([&] { add_(part_of(row, 0, 3), part_of(row, 1, 3)); }), HasSubstr("some elements of the input"));
}

TEST(InPlaceTest, OverlappingOperandsReadTheOldValuesElsewhere) {
  const Tensor row = Tensor::of<float>({1, 2, 3, 4, 5, 6});
  const Tensor even = as_strided(row, {{3}, {2}, 0});
  add_(even, as_strided(row, {{3}, {1}, 1}));  // 1, 3, 5 += 2, 3, 4
  EXPECT_THAT(values(row), ElementsAre(3, 2, 6, 4, 9, 6));
  add_(even, as_strided(row, {{3}, {2}, 1}));  // the elements between: apart
  EXPECT_THAT(values(row), ElementsAre(5, 2, 10, 4, 15, 6));
  const Tensor x = Tensor::of<float>({1, 2, 3});
  add_(x, expand(as_strided(x, {{1}, {1}, 0}), {3}));  // x += x[0]
  EXPECT_THAT(values(x), ElementsAre(2, 3, 4));
}

// In place on views --------------------------------------------------------------------------------------------------

TEST(ViewInPlaceTest, RebasesTheBase) {
  const Tensor x = leaf({1, 1, 1, 1});
  const Tensor base = mul(x, 1);
  const Tensor part = part_of(base, 1, 2);
  mul_(part, 3);
  EXPECT_EQ(made_by(base), "CopySlices");
  EXPECT_EQ(made_by(part), "AsStridedBackward0");
  backward(sum(mul(part, part)));
  EXPECT_THAT(values(gradient(x)), ElementsAre(0, 18, 18, 0));
}

TEST(ViewInPlaceTest, TheBasesGradientGoesThroughTheChangeAndPastIt) {
  const Tensor x = leaf({1, 2, 3, 4});
  const Tensor w = leaf({5, 6});
  const Tensor base = mul(x, 1);
  mul_(part_of(base, 1, 2), w);
  backward(sum(mul(base, Tensor::of<double>({1, 10, 100, 1000}))));
  EXPECT_THAT(values(gradient(x)), ElementsAre(1, 50, 600, 1000));
  EXPECT_THAT(values(gradient(w)), ElementsAre(20, 300));
}

// torch: x = torch.arange(1., 7.).requires_grad_(); b = x * 1; v = b.view(2, 3); w = v[:, 1]; w.mul_(10.);
// (b * torch.arange(1., 7.)).sum().backward() gives x.grad = [1, 20, 3, 4, 50, 6].
TEST(ViewInPlaceTest, AChainOfViewsRebasesTheirBase) {
  const Tensor x = leaf({1, 2, 3, 4, 5, 6});
  const Tensor base = mul(x, 1);
  const Tensor matrix = view(base, {2, 3});
  const Tensor column = as_strided(matrix, {{2}, {3}, 1});
  mul_(column, 10.0);
  EXPECT_EQ(made_by(base), "CopySlices");
  EXPECT_EQ(made_by(matrix), "AsStridedBackward0");
  EXPECT_EQ(made_by(column), "AsStridedBackward0");
  EXPECT_THAT(values(base), ElementsAre(1, 20, 3, 4, 50, 6));
  backward(sum(mul(base, Tensor::of<double>({1, 2, 3, 4, 5, 6}))));
  EXPECT_THAT(values(gradient(x)), ElementsAre(1, 20, 3, 4, 50, 6));
}

TEST(ViewInPlaceTest, ATransposedViewWorks) {
  const Tensor x = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor base = mul(x, 1);
  mul_(t(base), Tensor::of<double>({1, 2, 3, 4, 5, 6}, {3, 2}));
  backward(sum(base));
  EXPECT_THAT(values(gradient(x)), ElementsAre(1, 3, 5, 2, 4, 6));
}

TEST(ViewInPlaceTest, AConstantBaseBecomesDifferentiable) {
  const Tensor w = leaf({2, 3});
  const Tensor base = Tensor::of<double>({1, 1, 1, 1});
  const Tensor part = part_of(base, 1, 2);
  mul_(part, w);
  EXPECT_TRUE(base.requires_grad());
  backward(sum(mul(base, base)));
  EXPECT_THAT(values(gradient(w)), ElementsAre(4, 6));
}

TEST(ViewInPlaceTest, AnotherViewFollowsItsBase) {
  const Tensor x = leaf({1, 2, 3, 4});
  const Tensor base = mul(x, 1);
  const Tensor first = part_of(base, 0, 3);
  const Tensor last = part_of(base, 1, 3);
  mul_(first, 10);
  backward(sum(last));
  EXPECT_THAT(values(gradient(x)), ElementsAre(0, 10, 10, 1));
}

TEST(ViewInPlaceTest, ManyChangesChain) {
  const Tensor x = leaf({1, 2, 3, 4});
  const Tensor base = mul(x, 1);
  const Tensor part = part_of(base, 0, 2);
  mul_(part, 2);
  mul_(base, 3);
  mul_(part_of(base, 1, 2), 5);
  mul_(part, 7);
  backward(sum(base));
  EXPECT_THAT(values(gradient(x)), ElementsAre(2 * 3 * 7, 2 * 3 * 5 * 7, 3 * 5, 3));
}

// torch: x = torch.tensor([.1, .2, .3, .4], dtype=float64).requires_grad_(); b = x * 1; b[1:3].exp_();
// g, = grad((b * b).sum(), x, create_graph=True); grad((g * g).sum(), x) -> [0.8, 35.6087, 53.1219, 3.2].
TEST(ViewInPlaceTest, SecondOrderGoesThroughTheChange) {
  const Tensor x = leaf({0.1, 0.2, 0.3, 0.4});
  const Tensor base = mul(x, 1);
  in_place("exp_", part_of(base, 1, 2));
  const Tensor g = grad({sum(mul(base, base))}, {x}, {}, {.create_graph = true})[0];
  EXPECT_THAT(values(g), Pointwise(DoubleNear(1e-4), {0.2, 2.9836, 3.6442, 0.8}));
  EXPECT_THAT(values(grad({sum(mul(g, g))}, {x})[0]), Pointwise(DoubleNear(1e-4), {0.8, 35.6087, 53.1219, 3.2}));
}

TEST(ViewInPlaceTest, ASecondBackwardIsAnError) {
  const Tensor base = mul(leaf({1, 2, 3}), 1);
  mul_(part_of(base, 0, 2), 5);
  const Tensor loss = sum(base);
  backward(loss, {}, {.retain_graph = true});
  backward(loss);
  EXPECT_THAT(error_of([&] { backward(loss); }), HasSubstr("Trying to backward through the graph a second time"));
}

TEST(ViewInPlaceTest, WithoutGradientsNothingIsRecorded) {
  const Tensor base = Tensor::of<double>({1, 2, 3});
  mul_(part_of(base, 0, 2), 5);
  EXPECT_FALSE(base.requires_grad());
  EXPECT_THAT(values(base), ElementsAre(5, 10, 3));
}

TEST(ViewInPlaceTest, ABaseMayHaveAnyStrides) {
  // A detached transpose, and every second element: bases whose rows do not lie one after the other.
  const Tensor room = Tensor::of<double>({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4});
  for (const Tensor& base : {detach(t(room)), room.alias({{2, 2}, {4, 2}, 1})}) {
    const Tensor x = clone(base);   // row-major: what the same changes give there
    const Tensor w = leaf({3, 5});  // a row of either
    const auto changed = [&](const Tensor& start) {
      mul_(as_row(start, 0), w);
      return mul(start, start);
    };
    const Tensor strided = changed(base);
    const Tensor plain = changed(x);
    EXPECT_EQ(values(strided), values(plain));
    const Tensor one = Tensor::full(base.sizes(), 1.0, DType::kFloat64);
    const Tensor by_strided = grad({strided}, {w}, {one}, {.create_graph = true})[0];
    const Tensor by_plain = grad({plain}, {w}, {one}, {.create_graph = true})[0];
    EXPECT_EQ(values(by_strided), values(by_plain));
    EXPECT_EQ(values(grad({sum(by_strided)}, {w})[0]), values(grad({sum(by_plain)}, {w})[0]));
  }
}

TEST(ViewInPlaceTest, AnotherViewFollowsABaseOfAnyStrides) {
  const Tensor base = detach(t(Tensor::of<double>({1, 2, 3, 4}, {2, 2})));
  const Tensor second = as_row(base, 1);
  const Tensor w = leaf({2, 1});
  mul_(as_row(base, 1), w);
  EXPECT_THAT(values(second), ElementsAre(4, 4));
  EXPECT_THAT(values(grad({sum(second)}, {w})[0]), ElementsAre(2, 4));
}

// Gives no gradient for what it stands over.
class Blocking final : public Node {
 public:
  explicit Blocking(const Tensor& x) {
    add_output(x.spec());
    add_next_edge(gradient_edge(x));
  }
  std::string name() const override { return "Blocking"; }
  Tensors apply(Tensors) override { return Tensors(1); }
};

TEST(ViewInPlaceTest, AnUndefinedGradientPasses) {
  const Tensor x = leaf({1, 2, 3});
  const Tensor base = mul(x, 1);
  const Tensor part = part_of(base, 1, 2);
  mul_(part_of(base, 0, 2), 5);
  for (const Tensor& changed : {base, part}) {
    const Tensor end = changed.alias();
    set_history(end, make_ref<Blocking>(changed), 0);
    EXPECT_EQ(error_of([&] { backward(sum(end), {}, {.retain_graph = true}); }), "no error");
    EXPECT_FALSE(gradient(x).defined());
  }
}

TEST(ViewInPlaceTest, WhatTheChangeSavedIsVisitedUntilItIsReleased) {
  const Tensor w = leaf({2, 3});
  const Tensor base = mul(leaf({1, 2, 3}), 1);
  mul_(part_of(base, 0, 2), w);
  const auto saved_bytes = [&] {
    size_t bytes = 0;
    grad_fn(base)->visit_saved([&](const Storage& storage) { bytes += storage.size(); });
    return bytes;
  };
  EXPECT_GE(saved_bytes(), 16u);
  backward(sum(base));
  EXPECT_EQ(saved_bytes(), 0u);
}

TEST(ViewInPlaceTest, AConstantsViewFollowsItIntoTheTape) {
  const Tensor base = Tensor::of<double>({1, 2, 3});
  const Tensor part = part_of(base, 1, 2);
  EXPECT_TRUE(is_leaf(part));
  mul_(base, leaf({4, 5, 6}));
  EXPECT_TRUE(part.requires_grad());
  EXPECT_FALSE(is_leaf(part));
  EXPECT_EQ(made_by(part), "AsStridedBackward0");
}

TEST(ViewInPlaceTest, ABaseWhoseElementsAreOneIsRefusedBeforeAnythingChanges) {
  const Tensor w = leaf({2});
  const Tensor base = detach(expand(Tensor::of<double>({1}), {3}));
  const Tensor one = base.alias({{1}, {1}, 0});
  set_view_of(one, base, ViewOrigin::kDefault);
  EXPECT_THAT(error_of([&] { mul_(one, w); }), HasSubstr("some of its elements are one; clone it first"));
  EXPECT_THAT(values(base), ElementsAre(1, 1, 1));
}

// Views that must not change -----------------------------------------------------------------------------------------

constexpr const char* kNoGradHint =
    " Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
    "the "
    "view and the inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or both "
    "outside (if you want the inplace to be tracked).";

Tensor no_grad_view(const Tensor& x) {
  const NoGradGuard no_grad;
  return view(x, {-1});
}

TEST(NoGradViewTest, IsALeafWithoutHistoryThatRequiresGrad) {
  const Tensor x = leaf({1, 2});
  const Tensor v = no_grad_view(x);
  EXPECT_TRUE(v.requires_grad());
  EXPECT_TRUE(is_leaf(v));
  EXPECT_FALSE(grad_fn(v));
}

TEST(NoGradViewTest, MustNotChangeUnderGradMode) {
  const Tensor v = no_grad_view(mul(leaf({1, 2}), 1));
  EXPECT_EQ(error_of([&] { mul_(v, 2); }),
            str_cat("mul_: A view was created in no_grad mode and is being modified inplace with grad mode enabled.",
                    kNoGradHint));
  const NoGradGuard no_grad;
  mul_(v, 2);
  EXPECT_THAT(values(v), ElementsAre(2, 4));
}

TEST(NoGradViewTest, MustNotBeUsedAfterItsBaseChanged) {
  const Tensor base = mul(leaf({1, 2}), 1);
  const Tensor v = no_grad_view(base);
  mul_(base, 2);
  EXPECT_EQ(
      error_of([&] { mul(v, 2); }),
      str_cat("view: A view was created in no_grad mode and its base or another view of its base has been modified "
              "inplace with grad mode enabled.",
              kNoGradHint));
}

TEST(NoGradViewTest, AViewOfItIsAsBad) {
  const Tensor v = no_grad_view(mul(leaf({1, 2}), 1));
  EXPECT_THAT(error_of([&] { mul_(view(v, {2, 1}), 2); }), HasSubstr("is being modified inplace"));
}

TEST(MultiOutputViewTest, MustNotChange) {
  const Tensor base = mul(leaf({1, 2}), 1);
  const Tensor v = view(base, {2});
  set_view_of(v, base, ViewOrigin::kMultiOutput);
  EXPECT_EQ(
      error_of([&] { mul_(v, 2); }),
      "mul_: Output 0 of ViewBackward0 is a view and is being modified inplace. This view is the output of a function "
      "that returns multiple views. Such functions do not allow the output views to be modified inplace. You should "
      "replace the inplace operation by an out-of-place one.");
}

// torch: b = torch.zeros(4); v1, v2 = b.split(2); v1.mul_(w) raises too: it is enough that an operand needs a gradient.
TEST(MultiOutputViewTest, MustNotChangeForTheSakeOfAnotherOperand) {
  const Tensor base = Tensor::of<double>({1, 2});
  const Tensor v = view(base, {2});
  set_view_of(v, base, ViewOrigin::kMultiOutput);
  EXPECT_THAT(error_of([&] { mul_(v, leaf({1, 2})); }), HasSubstr("a function that returns multiple views"));
  mul_(v, 2);
  EXPECT_THAT(values(base), ElementsAre(2, 4));
}

}  // namespace
}  // namespace tapewire
