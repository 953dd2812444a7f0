// What views share, what an index means, and what is refused, in PyTorch's words.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/ops/arithmetic.h"
#include "core/ops/bound_call.h"
#include "core/ops/gather.h"
#include "core/ops/indexing.h"
#include "core/ops/join.h"
#include "core/ops/pad.h"
#include "core/ops/rearrange.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "core/ops/slicing.h"
#include "core/ops/split.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// 0, 1, ... in sizes [2, 3, 4].
Tensor block() {
  const Tensor x = Tensor::empty({2, 3, 4}, DType::kFloat64);
  for (int64_t i = 0; i < 24; ++i) x.mutable_data<double>()[i] = static_cast<double>(i);
  return x;
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_NE(error.code(), absl::StatusCode::kInternal) << error.message();
    return error.message();
  }
  return "no error";
}

TEST(GetitemTest, WithoutIndexTensorsIsAView) {
  const Tensor x = block();
  const Value all = Slice{};
  for (const Value& index : {Value(1), Value(Slice{0, 1, {}}), Value(), Value("..."), Value(Tuple{}),
                             Value(Tuple{all, 2, Value(), Slice{1, {}, 2}}), Value(Tuple{"...", 0}),
                             Value(Tuple{Tensor::scalar(int64_t{1})})}) {
    EXPECT_EQ(getitem(x, index).storage_ref(), x.storage_ref()) << index.repr();
  }
  for (const Value& index : {Value(true), Value::list({1, 0}), Value(Tuple{all, Value::list({1})})}) {
    EXPECT_NE(getitem(x, index).storage_ref(), x.storage_ref()) << index.repr();
  }
}

TEST(GetitemTest, ChangesMadeThroughAViewAreTheBases) {
  const Tensor leaf = set_requires_grad(block());
  const Tensor x = clone(leaf);
  mul_(getitem(x, Tuple{1, Slice{0, 3, 2}}), 10);
  EXPECT_EQ(x.to_vector<double>()[12], 120);
  EXPECT_EQ(x.to_vector<double>()[16], 16);
  EXPECT_EQ(x.to_vector<double>()[23], 230);
  const Tensor g = grad({sum(x)}, {leaf})[0];
  EXPECT_EQ(g.to_vector<double>()[12], 10);
  EXPECT_EQ(g.to_vector<double>()[16], 1);
}

TEST(GetitemTest, AListPicksSlicesAndATupleOneElement) {
  EXPECT_THAT(getitem(block(), Value::list({1, 0, 1})).sizes(), ElementsAre(3, 3, 4));
  EXPECT_EQ(getitem(block(), Tuple{1, 0, 1}).item<double>(), 13);
  EXPECT_THAT(getitem(block(), Tuple{Tuple{1, 0}}).sizes(), ElementsAre(2, 3, 4));
  EXPECT_THAT(getitem(block(), Value::list({})).sizes(), ElementsAre(0, 3, 4));
  EXPECT_THAT(getitem(block(), Value::list({true, false})).sizes(), ElementsAre(1, 3, 4));
}

// torch.zeros(2, 3, 4)[index].shape
TEST(GetitemTest, PutsIndexedDimensionsWherePyTorchDoes) {
  const Value all = Slice{};
  const Value two = Value::list({0, 1});
  EXPECT_THAT(getitem(block(), Tuple{all, two, two}).sizes(), ElementsAre(2, 2));
  EXPECT_THAT(getitem(block(), Tuple{two, all, two}).sizes(), ElementsAre(2, 3));
  EXPECT_THAT(getitem(block(), Tuple{two, Value(), two}).sizes(), ElementsAre(2, 1, 4));
  EXPECT_THAT(getitem(block(), Tuple{0, all, two}).sizes(), ElementsAre(3, 2));
  EXPECT_THAT(getitem(block(), Tuple{all, Value::list({2}), "...", Tensor::of<int64_t>({3, 0}, {2, 1})}).sizes(),
              ElementsAre(2, 2, 1));
  EXPECT_THAT(getitem(block(), Tuple{true, 0}).sizes(), ElementsAre(1, 3, 4));
  EXPECT_THAT(getitem(block(), false).sizes(), ElementsAre(0, 2, 3, 4));
}

TEST(GetitemTest, AMaskStandsForAsManyDimensionsAsItHas) {
  const Tensor mask = Tensor::of<bool>({true, false, false, false, true, true}, {2, 3});
  EXPECT_THAT(getitem(block(), mask).sizes(), ElementsAre(3, 4));
  EXPECT_THAT(getitem(block(), Tuple{mask, 1}).to_vector<double>(), ElementsAre(1, 17, 21));
  EXPECT_THAT(getitem(block(), Tuple{mask, Slice{2, {}, {}}}).sizes(), ElementsAre(3, 2));
  EXPECT_THAT(getitem(block(), Tuple{Slice{}, Tensor::of<bool>({true, false, true})}).sizes(), ElementsAre(2, 2, 4));
  EXPECT_THAT(error_of([&] { getitem(block(), Tuple{Slice{}, mask}); }),
              HasSubstr("The shape of the mask [2, 3] at index 0 does not match the shape of the indexed tensor "
                        "[2, 3, 4] at index 1"));
}

TEST(GetitemTest, RefusesWhatPyTorchRefuses) {
  const auto error = [](const Value& index) { return error_of([&] { getitem(block(), index); }); };
  EXPECT_EQ(error(5), "getitem: index 5 is out of bounds for dimension 0 with size 2");
  EXPECT_EQ(error(Tuple{Value(), 0, 7}), "getitem: index 7 is out of bounds for dimension 1 with size 3");
  EXPECT_EQ(error(Value::list({0, 5})), "index 5 is out of bounds for dimension 0 with size 2");
  EXPECT_EQ(error(Tuple{0, 0, 0, 0}), "getitem: too many indices for tensor of dimension 3");
  EXPECT_EQ(error(Slice{0, 2, -1}), "getitem: step must be greater than zero");
  EXPECT_THAT(error(1.5), HasSubstr("only integers, slices (`:`), ellipsis (`...`), None"));
  EXPECT_THAT(error("left"), HasSubstr("only integers, slices"));
  EXPECT_THAT(error(Tensor::of<double>({1})), HasSubstr("tensors used as indices must be long, int, byte or bool"));
  EXPECT_THAT(error(Tuple{Value::list({0, 1}), Value::list({0, 1, 2})}),
              HasSubstr("shape mismatch: indexing tensors could not be broadcast together with shapes [2], [3]"));
  EXPECT_THAT(error(Tuple{Tuple{Value::list({0, 1}), Value::list({0})}}), HasSubstr("expected sequence of length 2"));
  EXPECT_THAT(error_of([] { getitem(Tensor::scalar(1.0), 0); }), HasSubstr("invalid index of a 0-dim tensor"));
}

TEST(GetitemTest, PicksItemsOfTuplesAndDicts) {
  const Value items = Tuple{1, "two", 3.0};
  EXPECT_EQ(getitem(items, -2).string(), "two");
  EXPECT_EQ(getitem(items, Slice{{}, {}, 2}).repr(), "(1, 3.0)");
  EXPECT_EQ(getitem(Value(Dict{{"h", 5}}), "h").integer(), 5);
  EXPECT_THAT(error_of([&] { getitem(items, 3); }), HasSubstr("tuple index out of range"));
  EXPECT_THAT(error_of([&] { getitem(Value(Dict{{"h", 5}}), "c"); }), HasSubstr("no item 'c'"));
  EXPECT_THAT(error_of([&] { getitem(Value(3), 0); }), HasSubstr("expected a tensor, a tuple or a dict, got int 3"));
}

TEST(SplitTest, ViewsOfSeveralMustNotBeChangedInPlace) {
  const Tensor leaf = set_requires_grad(block());
  for (const char* op : {"split", "chunk", "unbind"}) {
    const Tensor x = clone(leaf);
    const Value pieces = std::string(op) == "unbind" ? call_op(op, {x}) : call_op(op, {x, 2, 1});
    const Tensor first = pieces.tuple()[0].tensor();
    EXPECT_EQ(first.storage_ref(), x.storage_ref());
    EXPECT_THAT(error_of([&] { mul_(first, 2); }), HasSubstr("is the output of a function that returns multiple views"))
        << op;
  }
  // PyTorch makes slices of it, each a view of its own.
  const Tensor x = clone(leaf);
  mul_(tensor_split(x, 2)[0], 2);
  EXPECT_EQ(x.to_vector<double>()[1], 2);
}

TEST(SplitTest, AGradientThatOnlyOnePieceHasIsZeroElsewhere) {
  const Tensor x = set_requires_grad(block());
  const Tensor g = grad({sum(split(x, 2, -1)[1])}, {x})[0];
  EXPECT_THAT(getitem(g, Tuple{0, 0}).to_vector<double>(), ElementsAre(0, 0, 1, 1));
}

TEST(SplitTest, RefusesMoreViewsThanAnyoneNeeds) {
  const Tensor wide = expand(Tensor::zeros({1}), {int64_t{1} << 40});
  EXPECT_THAT(error_of([&] { unbind(wide); }), HasSubstr("at most 65536"));
  EXPECT_THAT(error_of([&] { split(wide, 1); }), HasSubstr("at most 65536"));
  EXPECT_THAT(error_of([&] { chunk(Tensor::zeros({0}), int64_t{1} << 60); }), HasSubstr("at most 65536"));
}

TEST(JoinTest, PromotesAndPassesOverTheOldEmptyTensor) {
  const Tensor ints = Tensor::of<int64_t>({1, 2});
  const Tensor floats = Tensor::of<float>({0.5F});
  EXPECT_EQ(cat(std::vector{ints, floats}).dtype(), DType::kFloat32);
  EXPECT_EQ(stack(std::vector{ints, Tensor::of<bool>({true, false})}).dtype(), DType::kInt64);
  EXPECT_THAT(cat(std::vector{Tensor::zeros({0}), Tensor::zeros({2, 3})}, 1).sizes(), ElementsAre(2, 3));
  EXPECT_THAT(error_of([] { cat(std::vector{Tensor::zeros({0, 2}), Tensor::zeros({2, 3})}); }),
              HasSubstr("Sizes of tensors must match except in dimension 0. Expected size 2 but got size 3 for tensor "
                        "number 1 in the list."));
}

TEST(IndexPutTest, InPlaceKeepsTheHistoryOfBothSides) {
  const Tensor leaf = set_requires_grad(Tensor::of<double>({1, 2, 3}));
  const Tensor value = set_requires_grad(Tensor::scalar(5.0, DType::kFloat64));
  const Tensor x = mul(leaf, 2);
  const Tensor index = Tensor::of<int64_t>({0, 2});
  index_put_(x, std::span(&index, 1), value);
  EXPECT_THAT(x.to_vector<double>(), ElementsAre(5, 4, 5));
  const Tensors g = grad({sum(mul(x, x))}, {leaf, value});
  EXPECT_THAT(g[0].to_vector<double>(), ElementsAre(0, 16, 0));
  EXPECT_EQ(g[1].item<double>(), 20);
}

TEST(ScatterTest, ReducesButHasNoGradientThen) {
  const Tensor x = set_requires_grad(Tensor::of<double>({1, 2, 3}));
  const Tensor index = Tensor::of<int64_t>({2, 2});
  Args args{x, 0, index, 3.0};
  args.named.emplace_back("reduce", "multiply");
  const Tensor y = call_op("scatter", args).tensor();
  EXPECT_THAT(y.to_vector<double>(), ElementsAre(1, 2, 27));
  EXPECT_THAT(error_of([&] { grad({sum(y)}, {x}); }), HasSubstr("derivative for scatter with reduce"));
}

// The words of PyTorch 1.13 for the same calls.
TEST(ShapeErrorTest, SaysWhatPyTorchSays) {
  const Tensor x = block();
  const auto error = [](const char* op, const Args& args) { return error_of([&] { call_op(op, args); }); };
  EXPECT_THAT(
      error("split", {x, Value::list({1, 2})}),
      HasSubstr("split_with_sizes expects split_sizes to sum exactly to 2 (input tensor's size at dimension 0), "
                "but got split_sizes=[1, 2]"));
  EXPECT_THAT(error("repeat", {x, 2}), HasSubstr("Number of dimensions of repeat dims can not be smaller"));
  EXPECT_THAT(error("unflatten", {x, 0, Value::list({3})}), HasSubstr("don't multiply up to the size of dim 0 (2)"));
  EXPECT_THAT(error("stack", {Tuple{x, Tensor::zeros({3})}}),
              HasSubstr("stack expects each tensor to be equal size, but got [2, 3, 4] at entry 0 and [3] at entry 1"));
  EXPECT_THAT(error("pad", {x, Value::list({4, 0}), "reflect"}),
              HasSubstr("Padding size should be less than the corresponding input dimension, but got: padding (4, 0) "
                        "at dimension 2 of input [2, 3, 4]"));
  EXPECT_THAT(error("pad", {x, Value::list({5, 0}), "circular"}), HasSubstr("wrapping around more than once"));
  EXPECT_THAT(error("one_hot", {Tensor::of<int64_t>({3}), 2}), HasSubstr("smaller than num_classes"));
  EXPECT_THAT(error("movedim", {x, Value::list({0, 1}), 0}), HasSubstr("Invalid source or destination dims"));
  EXPECT_THAT(error("roll", {x, Value::list({1, 2}), 0}), HasSubstr("shifts and dimensions must align"));
  EXPECT_THAT(error("take_along_dim", {x, Tensor::of<int64_t>({0}), 0}),
              HasSubstr("input and indices should have the same number of dimensions"));
  EXPECT_THAT(error("im2col", {x, 5}), HasSubstr("sliding blocks as (-1, 0), but its components must be at least one"));
  EXPECT_THAT(error("constant_pad_nd", {Tensor::of<int64_t>({1}), Value::list({1, 0}), 1e300}),
              HasSubstr("without overflow"));
}

}  // namespace
}  // namespace tapewire
