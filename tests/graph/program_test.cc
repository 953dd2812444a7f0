#include "core/graph/program.h"

#include <malloc.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/graph/graph_module.h"
#include "core/nn/linear.h"
#include "core/tensor/allocator.h"

namespace tapewire {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

ArgumentDef ref(std::string name) { return {ArgumentDef::Ref{std::move(name)}}; }
ArgumentDef literal(Value value) { return {std::move(value)}; }

CallDef op(std::string name, std::vector<ArgumentDef> args, std::string result) {
  CallDef call;
  call.name = std::move(name);
  call.args = std::move(args);
  call.results = {std::move(result)};
  return call;
}

GraphDef graph(std::vector<CallDef> calls, std::string output) {
  return {{{"x", false, {}}}, std::move(calls), {std::move(output)}};
}

std::vector<std::string> faults_of(const GraphDef& def, Module* owner = nullptr) {
  std::vector<std::string> faults;
  const Program program(def, owner, faults);
  return faults;
}

Value run(const GraphDef& def, const Args& args, bool training = false) {
  std::vector<std::string> faults;
  const Program program(def, nullptr, faults);
  EXPECT_THAT(faults, testing::IsEmpty());
  return program.run(args, training);
}

TEST(ProgramTest, RunsCallsInOrder) {
  const GraphDef def =
      graph({op("mul", {ref("x"), literal(2)}, "twice"), op("add", {ref("twice"), ref("x")}, "y")}, "y");
  EXPECT_THAT(run(def, {Tensor::of<float>({1, 2})}).tensor().to_vector<float>(), ElementsAre(3, 6));
}

TEST(ProgramTest, SizesFlowIntoAttributes) {
  CallDef view = op("view", {ref("x"), ref("n"), literal(-1)}, "y");
  const GraphDef def = graph({op("size", {ref("x"), literal(0)}, "n"), std::move(view)}, "y");
  EXPECT_THAT(run(def, {Tensor::zeros({3, 2, 4})}).tensor().sizes(), ElementsAre(3, 8));
}

TEST(ProgramTest, AListArgumentMayHoldNames) {
  ArgumentDef shape{std::vector<ArgumentDef>{ref("n"), literal(-1)}};
  const GraphDef def = graph({op("size", {ref("x"), literal(-1)}, "n"), op("reshape", {ref("x"), shape}, "y")}, "y");
  EXPECT_THAT(run(def, {Tensor::zeros({3, 4})}).tensor().sizes(), ElementsAre(4, 3));
}

TEST(ProgramTest, ATrainingAttributeTakesTheModeUnlessTheCallSaysOtherwise) {
  const GraphDef def = graph({op("dropout", {ref("x"), literal(1.0)}, "y")}, "y");
  const Tensor x = Tensor::of<float>({1, 2});
  EXPECT_THAT(run(def, {x}, false).tensor().to_vector<float>(), ElementsAre(1, 2));
  EXPECT_THAT(run(def, {x}, true).tensor().to_vector<float>(), ElementsAre(0, 0));

  CallDef off = op("dropout", {ref("x"), literal(1.0)}, "y");
  off.kwargs.emplace_back("training", literal(false));
  EXPECT_THAT(run(graph({std::move(off)}, "y"), {x}, true).tensor().to_vector<float>(), ElementsAre(1, 2));
}

TEST(ProgramTest, ACallWhoseConditionIsNotMetGivesNone) {
  CallDef call = op("neg", {ref("x")}, "y");
  call.when = ConditionDef{.present = {}, .training = true};
  const GraphDef def = graph({std::move(call)}, "y");
  EXPECT_TRUE(run(def, {Tensor::of<float>({1})}, false).is_none());
  EXPECT_TRUE(run(def, {Tensor::of<float>({1})}, true).is_tensor());
}

TEST(ProgramTest, AValueThatOnlyAConditionReadsIsThereWhenItIsAsked) {
  // `gate` is read by the condition of the last call alone, after the call that reads it last as an argument.
  CallDef last = op("neg", {ref("a")}, "y");
  last.when = ConditionDef{.present = "gate", .training = {}};
  GraphDef def = graph({op("add", {ref("x"), ref("gate")}, "a"), std::move(last)}, "y");
  def.inputs.push_back({"gate", true, {}});
  const Tensor one = Tensor::of<float>({1});
  EXPECT_THAT(run(def, {one, one}).tensor().to_vector<float>(), ElementsAre(-2));
}

TEST(ProgramTest, ATrainingArgumentGivenByValueOrNameIsNotOverruled) {
  const Tensor x = Tensor::of<float>({1, 2});
  CallDef by_name = op("dropout", {ref("x"), literal(1.0)}, "y");
  by_name.kwargs.emplace_back("training", ref("on"));
  CallDef by_place = op("dropout", {ref("x"), literal(1.0), ref("on")}, "y");
  for (const CallDef& call : {by_name, by_place}) {
    GraphDef def = graph({call}, "y");
    def.inputs.push_back({"on", false, {}});
    for (const bool training : {false, true}) {
      EXPECT_THAT(run(def, {x, false}, training).tensor().to_vector<float>(), ElementsAre(1, 2));
      EXPECT_THAT(run(def, {x, true}, training).tensor().to_vector<float>(), ElementsAre(0, 0));
    }
  }
}

TEST(ProgramTest, AValueIsLetGoAfterItsLastUse) {
  // Four calls in a chain: no more than two of their results live at once.
  const GraphDef def = graph(
      {op("neg", {ref("x")}, "a"), op("neg", {ref("a")}, "b"), op("neg", {ref("b")}, "c"), op("neg", {ref("c")}, "y")},
      "y");
  const Tensor x = Tensor::zeros({1 << 20});
  tensor_allocator().reset_peak();
  const int64_t before = tensor_allocator().stats().live;
  run(def, {x});
  EXPECT_LT(tensor_allocator().stats().peak - before, 3 * static_cast<int64_t>(x.nbytes()));
}

TEST(ProgramTest, ItsInputsAreGivenOnceEach) {
  GraphDef def = graph({op("add", {ref("x"), ref("other")}, "y")}, "y");
  def.inputs.push_back({"other", false, {}});
  const Tensor x = Tensor::of<float>({1});
  const auto error = [&](const Args& args) {
    try {
      run(def, args);
    } catch (const Error& thrown) {
      return thrown.message();
    }
    return std::string("no error");
  };
  Args twice{x, x};
  twice.named.emplace_back("x", x);
  EXPECT_EQ(error(twice), "input 'x' is given twice");
  EXPECT_EQ(error({x}), "missing input 'other'");
  EXPECT_EQ(error({x, x, x}), "takes 2 inputs, got 3");
  Args unknown{x};
  unknown.named.emplace_back("othr", x);
  EXPECT_EQ(error(unknown), "unknown input 'othr'; did you mean 'other'?");
  Args named{};
  named.named.emplace_back("other", x);
  named.named.emplace_back("x", x);
  EXPECT_EQ(error(named), "no error");
}

TEST(ProgramTest, ACallBindsAsManyResultsAsItGives) {
  const auto error = [](size_t names) {
    CallDef call = op("unbind", {ref("x")}, "a");
    while (call.results.size() < names) call.results.push_back(str_cat("a", call.results.size()));
    try {
      run(graph({std::move(call)}, "a"), {Tensor::zeros({3, 2})});
    } catch (const Error& thrown) {
      return thrown.message();
    }
    return std::string("no error");
  };
  EXPECT_EQ(error(1), "no error") << "the tuple itself";
  EXPECT_THAT(error(2), HasSubstr("the call gives 3 results, 2 names are bound"));
  EXPECT_EQ(error(3), "no error");
  EXPECT_THAT(error(4), HasSubstr("the call gives 3 results, 4 names are bound"));
}

TEST(ProgramTest, DrawsInEvalUnlessTheCallIsForTrainingAlone) {
  const auto draws = [](const CallDef& call) {
    std::vector<std::string> faults;
    const Program program(graph({call}, "y"), nullptr, faults);
    EXPECT_THAT(faults, testing::IsEmpty());
    return program.draws_in_eval();
  };
  CallDef call = op("dropout", {ref("x"), literal(0.5)}, "y");
  EXPECT_FALSE(draws(call)) << "it takes the mode";
  call.kwargs.emplace_back("training", literal(true));
  EXPECT_TRUE(draws(call));
  call.when = ConditionDef{.present = {}, .training = true};
  EXPECT_FALSE(draws(call));
  call.when = ConditionDef{.present = {}, .training = false};
  EXPECT_TRUE(draws(call));
}

TEST(ProgramTest, AnOptionalInputIsItsDefaultWhenLeftOut) {
  GraphDef def = graph({op("mul", {ref("x"), ref("factor")}, "y")}, "y");
  def.inputs.push_back({"factor", true, Value(3)});
  EXPECT_THAT(run(def, {Tensor::of<float>({2})}).tensor().to_vector<float>(), ElementsAre(6));
}

TEST(ProgramTest, EveryFaultIsReportedWithItsPlace) {
  GraphDef def = graph({op("rellu", {ref("x")}, "a"), op("softmax", {ref("x"), literal("one")}, "b"),
                        op("relu", {ref("xx")}, "x"), op("add", {ref("x")}, "c"), op("max_pool2d", {ref("x")}, "d")},
                       "z");
  const std::vector<std::string> faults = faults_of(def);
  EXPECT_THAT(faults, Contains(HasSubstr("calls[0]: unknown op 'rellu'; did you mean 'relu'?")));
  EXPECT_THAT(faults, Contains(HasSubstr("calls[1]: softmax: attribute 'dim': expected an int, got string 'one'")));
  EXPECT_THAT(faults, Contains(HasSubstr("calls[2].args[0]: unknown name 'xx'; did you mean 'x'?")));
  EXPECT_THAT(faults, Contains(HasSubstr("calls[2].results: name 'x' is bound twice")));
  EXPECT_THAT(faults, Contains(HasSubstr("calls[3]: add: missing argument 'other'")));
  EXPECT_THAT(faults, Contains(HasSubstr("calls[4]: max_pool2d: missing argument 'kernel_size'")));
  EXPECT_THAT(faults, Contains(HasSubstr("outputs[0]: unknown name 'z'")));
}

ArgumentDef list(std::vector<ArgumentDef> items) { return {std::move(items)}; }

CallDef binding(CallDef call, std::vector<std::string> results) {
  call.results = std::move(results);
  return call;
}

CallDef with(CallDef call, std::string name, ArgumentDef argument) {
  call.kwargs.emplace_back(std::move(name), std::move(argument));
  return call;
}

// The faults of one call, whose first result is the output.
std::vector<std::string> faults_of_call(const CallDef& call) { return faults_of(graph({call}, call.results[0])); }

TEST(ProgramTest, ACallBindsAsManyNamesAsItsOpGivesResults) {
  EXPECT_THAT(faults_of_call(binding(op("relu", {ref("x")}, ""), {"a", "b"})),
              ElementsAre("calls[0].results: relu gives 1 result, 2 names are bound"));
  EXPECT_THAT(faults_of_call(binding(op("relu_", {ref("x")}, ""), {"a", ""})),
              ElementsAre("calls[0].results: relu_ gives 1 result, 2 names are bound"));
  const CallDef top = op("topk", {ref("x"), literal(2)}, "");
  EXPECT_THAT(faults_of_call(binding(top, {"a", "b", "c"})),
              ElementsAre("calls[0].results: topk gives 2 results, 3 names are bound"));
  const CallDef aminmax = op("aminmax", {ref("x")}, "");
  EXPECT_THAT(faults_of_call(binding(aminmax, {"a", "b", "c"})),
              ElementsAre("calls[0].results: aminmax gives 2 results, 3 names are bound"));
  for (const std::vector<std::string>& names : {std::vector<std::string>{"a", "b"}, {"a", ""}, {"both"}}) {
    EXPECT_THAT(faults_of_call(binding(top, names)), testing::IsEmpty());
    EXPECT_THAT(faults_of_call(binding(aminmax, names)), testing::IsEmpty());
  }
}

TEST(ProgramTest, PoolingGivesItsIndicesWhenItIsAskedTo) {
  const CallDef pool = op("max_pool2d", {ref("x"), literal(2)}, "y");
  EXPECT_THAT(faults_of_call(pool), testing::IsEmpty());
  EXPECT_THAT(faults_of_call(binding(pool, {"y", "at"})),
              ElementsAre("calls[0].results: max_pool2d gives 1 result, 2 names are bound"));
  const CallDef asked = with(pool, "return_indices", literal(true));
  EXPECT_THAT(faults_of_call(binding(asked, {"y", "at"})), testing::IsEmpty());
  EXPECT_THAT(faults_of_call(binding(asked, {"y", "at", "more"})),
              ElementsAre("calls[0].results: max_pool2d gives 2 results, 3 names are bound"));
}

TEST(ProgramTest, HowManyPiecesThereAreIsKnownWhenItRuns) {
  EXPECT_THAT(faults_of_call(binding(op("split", {ref("x"), literal(1)}, ""), {"a", "b", "c"})), testing::IsEmpty());
  EXPECT_THAT(faults_of_call(binding(op("unbind", {ref("x")}, ""), {"a", "b", "c"})), testing::IsEmpty());
  EXPECT_THAT(faults_of_call(binding(op("max", {ref("x"), literal(0)}, ""), {"a", "b"})), testing::IsEmpty());
}

TEST(ProgramTest, AListIsNoTensor) {
  const std::string refused = "calls[0].args[0]: relu: argument 'input': expected a tensor, got ";
  EXPECT_THAT(faults_of_call(op("relu", {list({ref("x")})}, "y")), ElementsAre(refused + "a list"));
  EXPECT_THAT(faults_of_call(op("relu", {list({list({ref("x")})})}, "y")), ElementsAre(refused + "a list"));
  EXPECT_THAT(faults_of_call(op("relu", {list({literal(1.0), literal(2.0)})}, "y")),
              ElementsAre(testing::StartsWith(refused)));
  EXPECT_THAT(faults_of_call(op("relu", {{SliceDef{{literal(0), literal(1), literal(1)}}}}, "y")),
              ElementsAre(testing::StartsWith(refused)));
  EXPECT_THAT(faults_of_call(op("relu", {literal(Value())}, "y")), ElementsAre(refused + "none"));
  EXPECT_THAT(faults_of_call(op("relu", {literal("x")}, "y")), ElementsAre(refused + "string 'x'"));
  EXPECT_THAT(faults_of_call(op("max", {list({ref("x")}), literal(0)}, "y")),
              ElementsAre("calls[0].args[0]: max: argument 'input': expected a tensor, got a list"));
  EXPECT_THAT(faults_of_call(with(op("add", {ref("x")}, "y"), "other", list({ref("x")}))),
              ElementsAre("calls[0].kwargs['other']: add: argument 'other': expected a tensor, got a list"));
  EXPECT_THAT(faults_of_call(op("add", {ref("x"), literal(2)}, "y")), testing::IsEmpty()) << "a number is one";
}

TEST(ProgramTest, AListOfTensorsHoldsTensors) {
  EXPECT_THAT(faults_of_call(op("cat", {list({ref("x"), ref("x")})}, "y")), testing::IsEmpty());
  EXPECT_THAT(faults_of_call(op("cat", {list({ref("x"), list({ref("x")})})}, "y")),
              ElementsAre("calls[0].args[0][1]: cat: argument 'tensors': expected a tensor, got a list"));
  EXPECT_THAT(faults_of_call(op("cat", {list({ref("x"), literal(Value())})}, "y")),
              ElementsAre("calls[0].args[0][1]: cat: argument 'tensors': expected a tensor, got none"));
  EXPECT_THAT(faults_of_call(op("cat", {literal("x")}, "y")),
              ElementsAre("calls[0].args[0]: cat: argument 'tensors': expected a tensor, got string 'x'"));
}

TEST(ProgramTest, ATupleOfResultsIsNoTensor) {
  const CallDef pieces = op("chunk", {ref("x"), literal(2)}, "both");
  EXPECT_THAT(faults_of(graph({pieces, op("relu", {ref("both")}, "y")}, "y")),
              ElementsAre("calls[1].args[0]: relu: argument 'input': expected a tensor, got a tuple of results"));
  EXPECT_THAT(faults_of(graph({pieces, op("cat", {ref("both")}, "y")}, "y")), testing::IsEmpty());
  EXPECT_THAT(
      faults_of(graph({pieces, op("getitem", {ref("both"), literal(0)}, "a"), op("relu", {ref("a")}, "y")}, "y")),
      testing::IsEmpty());
  // What may not run gives none where an optional argument takes it.
  CallDef sometimes = op("topk", {ref("x"), literal(1)}, "both");
  sometimes.when = ConditionDef{.present = {}, .training = true};
  EXPECT_THAT(faults_of(graph({sometimes, op("relu", {ref("both")}, "y")}, "y")), testing::IsEmpty());
}

TEST(ProgramTest, ATensorOrAListIsNoNumber) {
  EXPECT_THAT(faults_of_call(op("softmax", {ref("x"), list({ref("x")})}, "y")),
              ElementsAre("calls[0].args[1]: softmax: attribute 'dim': expected int, got a list"));
  EXPECT_THAT(
      faults_of(graph({op("relu", {ref("x")}, "r"), with(op("softmax", {ref("x")}, "y"), "dim", ref("r"))}, "y")),
      ElementsAre("calls[1].kwargs['dim']: softmax: attribute 'dim': expected int, got a tensor"));
}

TEST(ProgramTest, TooManyArgumentsAreAFault) {
  EXPECT_THAT(faults_of_call(op("relu", {ref("x"), ref("x")}, "y")),
              ElementsAre("calls[0]: relu: takes 1 positional arguments at most, got 2"));
}

TEST(ProgramTest, AFailureNamesTheCall) {
  const GraphDef def = graph({op("mm", {ref("x"), ref("x")}, "y")}, "y");
  try {
    run(def, {Tensor::zeros({2, 3})});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("calls[0]: mm: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"));
  }
}

std::shared_ptr<GraphModule> net() {
  CallDef call;
  call.target = CallDef::Target::kModule;
  call.name = "fc";
  call.args = {ref("x")};
  call.results = {"y"};
  auto module = std::make_shared<GraphModule>(graph({std::move(call)}, "y"));
  module->register_module("fc", std::make_shared<Linear>(4, 2));
  std::vector<std::string> faults;
  module->compile(faults);
  EXPECT_THAT(faults, testing::IsEmpty());
  module->name_tree();
  return module;
}

TEST(GraphModuleTest, CallsItsChildren) { EXPECT_THAT((*net())(Tensor::zeros({3, 4})).sizes(), ElementsAre(3, 2)); }

TEST(GraphModuleTest, AnErrorInAChildNamesTheChild) {
  try {
    (*net())(Tensor::zeros({3, 5}));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "fc: linear expects input [*, 4], got [3, 5]");
  }
}

TEST(GraphModuleTest, ItselfIsNoChildOfIt) {
  CallDef call;
  call.target = CallDef::Target::kModule;
  call.args = {ref("x")};
  call.results = {"y"};
  auto module = std::make_shared<GraphModule>(graph({std::move(call)}, "y"));
  std::vector<std::string> faults;
  module->compile(faults);
  EXPECT_THAT(faults, ElementsAre(HasSubstr("calls[0]: unknown module ''")));
}

CallDef child_call(std::string path, std::vector<ArgumentDef> args, std::vector<std::string> results) {
  CallDef call;
  call.target = CallDef::Target::kModule;
  call.name = std::move(path);
  call.args = std::move(args);
  call.results = std::move(results);
  return call;
}

// The faults of a graph of one call, whose children are a Linear "fc" and a Graph "pair" from a and b to both.
std::vector<std::string> faults_of_child_call(const CallDef& call) {
  const auto root = std::make_shared<GraphModule>(graph({call}, call.results[0]));
  root->register_module("fc", std::make_shared<Linear>(4, 2));
  root->register_module("pair",
                        std::make_shared<GraphModule>(GraphDef{{{"a", false, {}}, {"b", false, {}}}, {}, {"a", "b"}}));
  std::vector<std::string> faults;
  root->compile(faults);
  return faults;
}

TEST(GraphModuleTest, ALayerTakesOneTensorAndGivesOne) {
  EXPECT_THAT(faults_of_child_call(child_call("fc", {ref("x")}, {"y"})), testing::IsEmpty());
  EXPECT_THAT(faults_of_child_call(with(child_call("fc", {}, {"y"}), "input", ref("x"))), testing::IsEmpty());
  EXPECT_THAT(faults_of_child_call(child_call("fc", {ref("x")}, {"y", "z"})),
              ElementsAre("calls[0].results: fc gives 1 result, 2 names are bound"));
  EXPECT_THAT(faults_of_child_call(child_call("fc", {ref("x"), ref("x")}, {"y"})),
              ElementsAre("calls[0]: Linear takes one tensor, got 2 arguments"));
  EXPECT_THAT(faults_of_child_call(child_call("fc", {}, {"y"})),
              ElementsAre("calls[0]: Linear takes one tensor, got 0 arguments"));
  EXPECT_THAT(faults_of_child_call(child_call("fc", {list({ref("x")})}, {"y"})),
              ElementsAre("calls[0].args[0]: Linear: argument 'input': expected a tensor, got a list"));
  EXPECT_THAT(faults_of_child_call(child_call("fc", {literal(2)}, {"y"})),
              ElementsAre("calls[0].args[0]: Linear: argument 'input': expected a tensor, got int 2"));
  EXPECT_THAT(faults_of_child_call(with(child_call("fc", {}, {"y"}), "inputs", ref("x"))),
              ElementsAre("calls[0]: Linear has no argument 'inputs'; it takes input"));
}

TEST(GraphModuleTest, AGraphTakesAndGivesWhatItDeclares) {
  EXPECT_THAT(faults_of_child_call(child_call("pair", {ref("x"), ref("x")}, {"y", "z"})), testing::IsEmpty());
  EXPECT_THAT(faults_of_child_call(child_call("pair", {ref("x"), ref("x")}, {"y", "z", "w"})),
              ElementsAre("calls[0].results: pair gives 2 results, 3 names are bound"));
  EXPECT_THAT(faults_of_child_call(child_call("pair", {ref("x"), ref("x"), ref("x")}, {"y"})),
              ElementsAre("calls[0]: module 'pair' takes 2 inputs, got 3"));
  EXPECT_THAT(faults_of_child_call(child_call("pair", {ref("x")}, {"y"})),
              ElementsAre("calls[0]: module 'pair' needs its input 'b'"));
  EXPECT_THAT(faults_of_child_call(with(child_call("pair", {ref("x"), ref("x")}, {"y"}), "a", ref("x"))),
              ElementsAre("calls[0]: input 'a' is given twice"));
  EXPECT_THAT(faults_of_child_call(with(child_call("pair", {ref("x"), ref("x")}, {"y"}), "c", ref("x"))),
              ElementsAre("calls[0]: module 'pair' has no input 'c'"));
}

TEST(GraphModuleTest, AnUnknownChildIsAFault) {
  CallDef call;
  call.target = CallDef::Target::kModule;
  call.name = "fc2";
  call.args = {ref("x")};
  call.results = {"y"};
  auto module = std::make_shared<GraphModule>(graph({std::move(call)}, "y"));
  module->register_module("fc1", std::make_shared<Linear>(4, 2));
  std::vector<std::string> faults;
  module->compile(faults);
  EXPECT_THAT(faults, ElementsAre("calls[0]: unknown module 'fc2'; did you mean 'fc1'?"));
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(ProgramTest, ACallTakesLittleMemory) {
  constexpr int kCalls = 20'000;
  GraphDef def{{{"v0", false, {}}}, {}, {str_cat("v", kCalls)}};
  for (int i = 0; i < kCalls; ++i) {
    def.calls.push_back(op("dropout", {ref(str_cat("v", i))}, str_cat("v", i + 1)));
  }
  const auto in_use = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const size_t before = in_use();
  std::vector<std::string> faults;
  const Program program(def, nullptr, faults);
  EXPECT_THAT(faults, testing::IsEmpty());
  EXPECT_LT(in_use() - before, size_t{100} * kCalls);
  EXPECT_TRUE(program.run({Tensor::zeros({1})}, false).is_tensor());
}
#endif

TEST(ProgramTest, CallsOfOneFormKeepTheirOwnLiterals) {
  const GraphDef def = graph({op("sum", {ref("x"), literal(0)}, "rows"), op("sum", {ref("x"), literal(1)}, "columns"),
                              op("add", {ref("rows"), ref("columns")}, "y")},
                             "y");
  EXPECT_THAT(run(def, {Tensor::of<float>({1, 2, 3, 4}, {2, 2})}).tensor().to_vector<float>(), ElementsAre(7, 13));
}

TEST(ProgramTest, CallsOfOneFormAreEachTrainingOrNot) {
  const GraphDef def = graph({op("dropout", {ref("x")}, "a"), op("dropout", {ref("a")}, "y")}, "y");
  const Tensor x = Tensor::full({1000}, 1.0);
  EXPECT_THAT(run(def, {x}, false).tensor().to_vector<float>(), testing::Each(1));
  EXPECT_THAT(run(def, {x}, true).tensor().to_vector<float>(), Contains(0));
}

TEST(GraphModuleTest, AGraphThatCallsItselfOwnsNothing) {
  std::weak_ptr<Module> gone;
  {
    CallDef self{.target = CallDef::Target::kModule, .name = "", .args = {ref("x")}, .results = {"y"}};
    auto graph_module = std::make_shared<GraphModule>(graph({std::move(self)}, "y"));
    std::vector<std::string> faults;
    graph_module->compile(faults);
    EXPECT_THAT(faults, ElementsAre(HasSubstr("unknown module ''")));
    gone = graph_module;
  }
  EXPECT_TRUE(gone.expired());
}

}  // namespace
}  // namespace tapewire
