#include "server/rpc/wire_check.h"

#include <random>

#include "gmock/gmock.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/stubs/logging.h"
#include "tapewire/v1/model_service.pb.h"

namespace tapewire::rpc {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int kMaxDepth = 100;

// In pieces of `block` bytes.
WireCheck check(const std::string& bytes, int block = -1, const WireLimits& limits = {}) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()), block);
  return check_wire(stream, static_cast<int64_t>(bytes.size()), *v1::CreateModelRequest::descriptor(), limits);
}

std::string describe(const std::string& bytes) { return check(bytes).fault; }

bool parses(const std::string& bytes) {
  const google::protobuf::LogSilencer quiet;
  v1::CreateModelRequest request;
  google::protobuf::io::ArrayInputStream array(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream input(&array);
  input.SetRecursionLimit(kMaxDepth);
  return request.ParseFromCodedStream(&input) && input.ConsumedEntireMessage();
}

// A field that holds `payload`.
std::string wrap(int number, const std::string& payload) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(static_cast<uint32_t>(number << 3 | 2));
  coded.WriteVarint32(static_cast<uint32_t>(payload.size()));
  coded.WriteString(payload);
  coded.Trim();
  return out;
}

// An Argument in `levels` lists, as the first argument of the third call of a Graph module's forward.
std::string nested_argument(int levels) {
  std::string argument = wrap(1, "x");                                     // Argument.ref
  for (int i = 0; i < levels; ++i) argument = wrap(3, wrap(1, argument));  // Argument.list, ArgumentList.items
  const std::string call = wrap(4, argument);                              // Call.args
  const std::string graph = wrap(2, "") + wrap(2, "") + wrap(2, call);     // Graph.calls
  return wrap(1, "net") + wrap(2, wrap(1, wrap(7, graph)));                // name, spec.modules[0].forward
}

v1::CreateModelRequest sample() {
  v1::CreateModelRequest request;
  request.set_name("net");
  request.set_seed(7);
  for (int i = 0; i < 3; ++i) {
    v1::ModuleSpec& module = *request.mutable_spec()->add_modules();
    module.set_path("fc" + std::to_string(i));
    module.set_type("Linear");
    (*module.mutable_attributes())["in_features"].set_int_value(10);
    (*module.mutable_attributes())["sizes"].mutable_ints()->add_values(300);
    (*module.mutable_attributes())["scales"].mutable_doubles()->add_values(0.5);
    v1::Call& call = *module.mutable_forward()->add_calls();
    call.set_op("add");
    call.add_args()->mutable_list()->add_items()->set_ref("x");
    call.mutable_when()->set_training(true);
  }
  request.mutable_call_id()->set_client_id("me");
  return request;
}

TEST(WireCheckTest, NothingIsWrongWithAValidMessage) {
  EXPECT_EQ(describe(sample().SerializeAsString()), "");
  EXPECT_EQ(describe(""), "");
}

TEST(WireCheckTest, TooDeepSaysWhereAndHowDeep) {
  const std::string bytes = nested_argument(10000);
  EXPECT_FALSE(parses(bytes));
  const std::string fault = describe(bytes);
  EXPECT_THAT(fault, StartsWith("spec.modules[0].forward.calls[2].args[0].list.items[0].list.items[0]."));
  EXPECT_THAT(fault, HasSubstr("…"));
  EXPECT_THAT(fault, EndsWith(": nested deeper than 32 levels of Argument"));
  EXPECT_LT(fault.size(), 300u);
}

TEST(WireCheckTest, TruncationSaysWhere) {
  // The inner length promises more than there is, all outer ones are right.
  const std::string bad_path = std::string("\x0a\x7f", 2) + "fc";
  EXPECT_EQ(describe(wrap(2, wrap(1, wrap(1, "a")) + wrap(1, bad_path))),
            "spec.modules[1].path: truncated: expects 127 bytes, got 2");
  EXPECT_EQ(describe(wrap(1, "net").substr(0, 3)), "name: truncated: expects 3 bytes, got 1");
  EXPECT_EQ(describe("\x18"), "seed: truncated: a number");
}

TEST(WireCheckTest, MapEntriesAreNamedByTheirKey) {
  const std::string value = wrap(5, wrap(1, "\x80"));  // ints.values: half a varint
  const std::string entry = wrap(1, "kernel_size") + wrap(2, value);
  EXPECT_EQ(describe(wrap(2, wrap(1, wrap(3, entry)))),
            "spec.modules[0].attributes['kernel_size'].value.ints.values[0]: truncated: a list of numbers");
}

TEST(WireCheckTest, TextMustBeUtf8) {
  EXPECT_THAT(describe(wrap(1, "a\xff")), StartsWith("name: not UTF-8: "));
  for (const char* text : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(parses(wrap(1, text)));
    EXPECT_THAT(describe(wrap(1, text)), HasSubstr("UTF-8")) << testing::PrintToString(text);
  }
  EXPECT_EQ(describe(wrap(1, "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")), "");
}

TEST(WireCheckTest, MalformedFieldsAreNamedOrNumbered) {
  EXPECT_THAT(describe(std::string("\x00", 1)), HasSubstr("no valid number"));
  EXPECT_THAT(describe("\x0f"), HasSubstr("name: malformed: there is no such wire type"));
  EXPECT_THAT(describe(wrap(77, "ok") + std::string("\xea\x04\x05", 3)), HasSubstr("field 77: truncated"));
  EXPECT_THAT(describe("\x0c"), HasSubstr("a group ends that did not begin"));
  EXPECT_THAT(describe("\x0b"), HasSubstr("a group does not end"));
}

TEST(WireCheckTest, UnknownFieldsAreNoFault) {
  EXPECT_EQ(describe(wrap(777, "anything\xff")), "");
  EXPECT_EQ(describe("\x0b\x0c"), "");  // a group of an unknown kind
}

TEST(WireCheckTest, DeepUnknownGroupsAreBounded) {
  std::string bytes(100000, '\x0b');
  EXPECT_FALSE(parses(bytes));
  EXPECT_THAT(describe(bytes), EndsWith("nested deeper than 100 levels"));
}

// A field `count` times.
std::string repeat(const std::string& field, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += field;
  return out;
}

TEST(WireCheckTest, ListsHaveALength) {
  const std::string module = wrap(1, wrap(1, "layer1.0.conv1"));  // ModelSpec.modules
  EXPECT_EQ(describe(wrap(2, repeat(module, 20'000))), "");
  EXPECT_EQ(describe(wrap(2, repeat(module, 20'003))), "spec.modules: 20003 items; at most 20000");
  const std::string call = wrap(2, repeat(wrap(4, wrap(1, "x")), 1001));  // Call.args
  EXPECT_EQ(describe(wrap(2, wrap(1, "") + wrap(1, wrap(7, wrap(2, "") + call)))),
            "spec.modules[1].forward.calls[1].args: 1001 items; at most 1000");
}

TEST(WireCheckTest, ListsOfNumbersHaveALength) {
  v1::CreateModelRequest request = sample();
  auto& shape = *request.mutable_spec()->mutable_modules(1)->add_parameters()->mutable_shape();
  shape.Resize(64, 300);
  EXPECT_EQ(describe(request.SerializeAsString()), "");
  shape.Resize(70, 300);
  EXPECT_EQ(describe(request.SerializeAsString()), "spec.modules[1].parameters[0].shape: 70 items; at most 64");
  // The same numbers one by one.
  const std::string one("\x18\x05", 2);
  EXPECT_EQ(describe(wrap(2, wrap(1, wrap(5, repeat(one, 66))))),
            "spec.modules[0].parameters[0].shape: 66 items; at most 64");
}

TEST(WireCheckTest, MapsHaveALength) {
  v1::CreateModelRequest request = sample();
  for (int i = 0; i < 200; ++i) {
    (*request.mutable_spec()->mutable_modules(0)->mutable_attributes())["a" + std::to_string(i)].set_int_value(i);
  }
  EXPECT_EQ(describe(request.SerializeAsString()), "spec.modules[0].attributes: 203 items; at most 100");
}

TEST(WireCheckTest, WhatFollowsAListThatIsTooLongIsCountedOrSaidToBeThere) {
  const std::string module = wrap(1, "");
  EXPECT_EQ(describe(wrap(2, repeat(module, 20'001) + "\x0a\x7f")),
            "spec.modules: at least 20001 items; at most 20000");
  EXPECT_EQ(describe(wrap(2, repeat(module, 20'001) + wrap(5, "") + module)),
            "spec.modules: 20002 items; at most 20000");
}

TEST(WireCheckTest, TextsHaveALength) {
  v1::CreateModelRequest request = sample();
  request.set_name(std::string(64, 'n'));
  EXPECT_EQ(describe(request.SerializeAsString()), "name: 64 bytes; at most 63");
  request = sample();
  request.mutable_call_id()->set_client_id(std::string(30 << 20, 'c'));
  EXPECT_EQ(describe(request.SerializeAsString()), "call_id.client_id: 31457280 bytes; at most 256");
  request = sample();
  (*request.mutable_spec()->mutable_modules(2)->mutable_attributes())[std::string(129, 'k')].set_int_value(1);
  EXPECT_EQ(describe(request.SerializeAsString()), "spec.modules[2].attributes[?].key: 129 bytes; at most 128");
  request = sample();
  request.mutable_spec()->mutable_modules(0)->mutable_forward()->add_outputs(std::string(257, 'o'));
  EXPECT_EQ(describe(request.SerializeAsString()), "spec.modules[0].forward.outputs[0]: 257 bytes; at most 256");
}

TEST(WireCheckTest, DataOfTensorsHasNoLimitHere) {
  v1::CreateModelRequest request = sample();
  auto& value = *request.mutable_spec()->mutable_modules(0)->add_parameters()->mutable_init()->mutable_value();
  value.set_data(std::string(10 << 20, 'd'));
  const WireCheck checked = check(request.SerializeAsString());
  EXPECT_EQ(checked.fault, "");
  EXPECT_LT(checked.memory, 100'000);
}

TEST(WireCheckTest, OwnKindsNestSoDeep) {
  v1::CreateModelRequest request;
  v1::SchedulerSpec* at = request.mutable_spec()->mutable_scheduler();
  for (int i = 0; i < 8; ++i) at = at->add_schedulers();
  EXPECT_EQ(describe(request.SerializeAsString()), "");
  at->add_schedulers();
  EXPECT_THAT(describe(request.SerializeAsString()), EndsWith(": nested deeper than 8 levels of SchedulerSpec"));
  EXPECT_EQ(describe(nested_argument(32)), "");
  EXPECT_THAT(describe(nested_argument(33)), EndsWith(": nested deeper than 32 levels of Argument"));
}

TEST(WireCheckTest, AMessageComesOnce) {
  // Merged, the two would hold more modules than either may.
  const std::string spec = wrap(2, repeat(wrap(1, wrap(1, "layer1.0.conv1")), 15'000));
  EXPECT_EQ(describe(spec), "");
  EXPECT_EQ(describe(spec + spec), "spec: given twice; expected once");
}

TEST(WireCheckTest, MemoryIsASmallMultipleOfTheBytes) {
  // Empty calls in many graphs: each list keeps its limit.
  const std::string graph = wrap(7, repeat(wrap(2, ""), 5'000));
  const std::string bytes = wrap(2, repeat(wrap(1, graph), 100));
  EXPECT_THAT(describe(bytes),
              testing::MatchesRegex("the request: its 10[0-9]* bytes .without the data of tensors. would "
                                    "take [0-9]+ bytes of memory; at most [0-9]+"));
  const WireCheck all = check(bytes, -1, {.memory_per_byte = 1000});
  EXPECT_EQ(all.fault, "");
  EXPECT_GT(all.memory, 32 * static_cast<int64_t>(bytes.size()));
  EXPECT_THAT(check(bytes, -1, {.memory_per_byte = 1000, .max_memory = 10 << 20}).fault, EndsWith("at most 10485760"));
}

TEST(WireCheckTest, MemoryIsWhatProtobufTakes) {
  v1::CreateModelRequest request;
  for (int i = 0; i < 500; ++i) {
    *request.mutable_spec()->add_modules() = sample().spec().modules(i % 3);
    v1::Graph& graph = *request.mutable_spec()->mutable_modules(i)->mutable_forward();
    for (int k = 0; k < 10; ++k) {
      v1::Call& call = *graph.add_calls();
      call.set_op(k % 2 == 0 ? "add" : "a name that is stored apart");
      for (int a = 0; a < 3; ++a) call.add_args()->set_ref("x");
      call.add_results("y" + std::to_string(k));
    }
  }
  v1::CreateModelRequest parsed;
  parsed.ParseFromString(request.SerializeAsString());
  const auto used = static_cast<int64_t>(parsed.SpaceUsedLong());
  const int64_t memory = check(request.SerializeAsString()).memory;
  EXPECT_GT(memory, used);
  EXPECT_LT(memory, 2 * used);
}

TEST(WireCheckTest, PiecesOfAnySizeAreTheSame) {
  v1::CreateModelRequest request = sample();
  auto& value = *request.mutable_spec()->mutable_modules(0)->add_parameters()->mutable_init()->mutable_value();
  value.set_data(std::string(1000, 'd'));
  const std::string good = request.SerializeAsString();
  request.mutable_call_id()->set_client_id(std::string(400, 'c'));
  const std::string bad = request.SerializeAsString();
  for (const int block : {1, 2, 3, 7, 64}) {
    EXPECT_EQ(check(good, block).fault, "");
    EXPECT_EQ(check(good, block).memory, check(good).memory);
    EXPECT_EQ(check(bad, block).fault, "call_id.client_id: 400 bytes; at most 256");
    EXPECT_EQ(check(good.substr(0, good.size() - 1), block).fault, check(good.substr(0, good.size() - 1)).fault);
  }
}

TEST(WireCheckTest, AgreesWithProtobufOnDamagedMessages) {
  const std::string good = sample().SerializeAsString();
  std::mt19937 random(1);  // NOLINT: the same damage each time
  int failures = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (int edits = 1 + static_cast<int>(random() % 3); edits > 0; --edits) {
      const size_t at = random() % bytes.size();
      switch (random() % 3) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + random() % 4);
          break;
        default:
          bytes.insert(at, 1, static_cast<char>(random()));
          break;
      }
    }
    const bool good_still = parses(bytes);
    failures += !good_still;
    const std::string fault = describe(bytes);
    if (fault.empty()) {
      ASSERT_TRUE(good_still) << testing::PrintToString(bytes);
    }
    // Limits are ours alone.
    if (good_still && !fault.empty()) {
      ASSERT_THAT(fault, HasSubstr("given twice")) << testing::PrintToString(bytes);
    }
  }
  EXPECT_GT(failures, 1000);
}

}  // namespace
}  // namespace tapewire::rpc
