#include "core/io/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/io/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

// The message with which a header in front of so many bytes of data is refused.
std::string refusal(std::string_view json, int64_t data_bytes = 0) {
  try {
    parse_safetensors_header(json, data_bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
    return error.message();
  }
  return "taken";
}

std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return str_cat(R"({"dtype":")", dtype, R"(","shape":)", shape, R"(,"data_offsets":)", offsets, "}");
}
std::string lone(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return str_cat(R"({"w":)", entry(dtype, shape, offsets), "}");
}

TEST(SafetensorsHeader, TellsTensorsInTheOrderOfTheirData) {
  const std::string json =
      str_cat(R"({"second":)", entry("F32", "[2,3]", "[8,32]"), R"(,"first":)", entry("I64", "[]", "[0,8]"), "}");
  const SafetensorsHeader header = parse_safetensors_header(json, 32);
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "first");
  EXPECT_EQ(to_string(header.tensors[0].spec), "int64[]");
  EXPECT_EQ(header.tensors[1].name, "second");
  EXPECT_EQ(to_string(header.tensors[1].spec), "float32[2, 3]");
  EXPECT_EQ(header.tensors[1].begin, 8);
  EXPECT_EQ(header.data_bytes(), 32);
}

TEST(SafetensorsHeader, KnowsTheEnginesTypes) {
  const std::vector<std::pair<std::string, std::string>> types{
      {"F32", "float32"}, {"F64", "float64"}, {"I64", "int64"}, {"I32", "int32"}, {"U8", "uint8"}, {"BOOL", "bool"}};
  for (const auto& [name, dtype] : types) {
    const SafetensorsHeader header = parse_safetensors_header(lone(name, "[0]", "[0,0]"), 0);
    EXPECT_EQ(name_of(header.tensors[0].spec.dtype), dtype);
    EXPECT_EQ(safetensors_name(header.tensors[0].spec.dtype), name);
  }
}

TEST(SafetensorsHeader, TakesNoTensorsAtAll) {
  EXPECT_TRUE(parse_safetensors_header("{}", 0).tensors.empty());
  EXPECT_TRUE(parse_safetensors_header(R"({"__metadata__":{}})", 0).metadata.empty());
  EXPECT_TRUE(parse_safetensors_header(R"({"__metadata__":null})", 0).metadata.empty());
}

TEST(SafetensorsHeader, TakesEmptyTensorsBetweenOthers) {
  const std::string json = str_cat(R"({"a":)", entry("U8", "[2]", "[0,2]"), R"(,"none":)",
                                   entry("F64", "[4,0]", "[2,2]"), R"(,"b":)", entry("U8", "[1]", "[2,3]"), "}");
  EXPECT_EQ(parse_safetensors_header(json, 3).tensors[1].name, "none");
}

TEST(SafetensorsHeader, TakesBlanksBehindTheJson) { EXPECT_EQ(refusal("{}   \n\t"), "taken"); }

TEST(SafetensorsHeader, ReadsMetadata) {
  EXPECT_THAT(parse_safetensors_header(R"({"__metadata__":{"format":"pt","":"\u00e9\n"}})", 0).metadata,
              ElementsAre(Pair("", "\xc3\xa9\n"), Pair("format", "pt")));
}

TEST(SafetensorsHeader, PassesOverFieldsItDoesNotKnow) {
  EXPECT_EQ(
      refusal(
          R"({"w":{"dtype":"U8","new":[{"a":[1,-2.5,null,true,"x"],"shape":{}}],"shape":[1],"data_offsets":[0,1]}})",
          1),
      "taken");
}

TEST(SafetensorsHeader, TakesAnyName) {
  for (const char* name : {"", " ", "a.b", "..", "/etc/passwd", "\\u0000", "\\ud83d\\ude00", "\\\"", "__Metadata__"}) {
    EXPECT_EQ(refusal(str_cat("{\"", name, "\":", entry("U8", "[1]", "[0,1]"), "}"), 1), "taken") << name;
  }
}

TEST(SafetensorsHeader, RefusesWhatIsNotJson) {
  EXPECT_EQ(refusal(""), "the header begins with ''; a safetensors header begins with '{'");
  EXPECT_THAT(refusal(" {}"), HasSubstr("begins with ' '"));
  EXPECT_THAT(refusal("\xef\xbb\xbf{}"), HasSubstr("begins with '\\xef'"));
  EXPECT_THAT(refusal("{"), StartsWith("the header is not JSON: at byte 2: 'syntax error while parsing object key"));
  EXPECT_THAT(refusal("{}{}"), HasSubstr("the header is not JSON: at byte 3"));
  EXPECT_THAT(refusal("{} x"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal(R"({"w":{"dtype":"U8",}})"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal(R"({'w':1})"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal("{/* */}"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal(R"({"w":NaN})"), HasSubstr("not JSON"));
}

TEST(SafetensorsHeader, RefusesWhatFollowsANul) {
  EXPECT_EQ(refusal(std::string_view("{}\0garbage", 10)), "the header is not JSON: at byte 3: '\\x00'");
}

TEST(SafetensorsHeader, RefusesWhatIsNotUtf8) {
  EXPECT_THAT(refusal("{\"\xff\":1}"), HasSubstr("ill-formed UTF-8"));
  EXPECT_THAT(refusal("{\"\xc0\xaf\":1}"), HasSubstr("ill-formed UTF-8"));      // overlong
  EXPECT_THAT(refusal("{\"\xed\xa0\x80\":1}"), HasSubstr("ill-formed UTF-8"));  // a surrogate
  EXPECT_THAT(refusal(R"({"\ud800":1})"), HasSubstr("not JSON"));               // half of a pair
}

TEST(SafetensorsHeader, RefusesNestingWithoutEnd) {
  EXPECT_THAT(refusal("{" + std::string(1 << 20, '[')), HasSubstr("not JSON"));
  const std::string deep = R"({"w":{"new":)" + std::string(1 << 20, '[');
  EXPECT_EQ(refusal(deep), "tensor 'w': a field is nested deeper than 127");
}

TEST(SafetensorsHeader, RefusesKeysThatStandTwice) {
  const std::string one = entry("U8", "[1]", "[0,1]");
  EXPECT_EQ(refusal(str_cat(R"({"w":)", one, R"(,"w":)", one, "}"), 1), "tensor 'w' stands twice in the header");
  EXPECT_EQ(refusal(str_cat(R"({"w":)", one, R"(,"\u0077":)", one, "}"), 1), "tensor 'w' stands twice in the header");
  EXPECT_EQ(refusal(R"({"w":{"dtype":"U8","shape":[1],"shape":[2],"data_offsets":[0,1]}})", 1),
            "tensor 'w': 'shape' stands twice");
  EXPECT_EQ(refusal(R"({"__metadata__":{"a":"1","a":"2"}})"), "__metadata__: 'a' stands twice");
  EXPECT_THAT(refusal(R"({"__metadata__":{},"__metadata__":{}})"), HasSubstr("stands twice"));
}

TEST(SafetensorsHeader, RefusesEntriesOfAnotherForm) {
  EXPECT_EQ(refusal(R"({"w":"U8"})"),
            "tensor 'w': expects an object with dtype, shape and data_offsets, got the string 'U8'");
  EXPECT_THAT(refusal(R"({"w":null})"), HasSubstr("got null"));
  EXPECT_THAT(refusal(R"({"w":[]})"), HasSubstr("got an array"));
  EXPECT_EQ(refusal(R"({"w":{"shape":[1],"data_offsets":[0,1]}})", 1), "tensor 'w': has no dtype");
  EXPECT_EQ(refusal(R"({"w":{"dtype":"U8","data_offsets":[0,1]}})", 1), "tensor 'w': has no shape");
  EXPECT_EQ(refusal(R"({"w":{"dtype":"U8","shape":[1]}})", 1), "tensor 'w': has no data_offsets");
  EXPECT_EQ(refusal(R"({"w":{"dtype":8}})"), "tensor 'w': dtype: expects a string, got the number 8");
  EXPECT_EQ(refusal(R"({"w":{"shape":{}}})"), "tensor 'w': shape: expects an array, got an object");
}

TEST(SafetensorsHeader, RefusesMetadataThatIsNoStrings) {
  EXPECT_EQ(refusal(R"({"__metadata__":{"step":3}})"), "__metadata__: 'step': expects a string, got the number 3");
  EXPECT_EQ(refusal(R"({"__metadata__":{"step":{}}})"), "__metadata__: 'step': expects a string, got an object");
  EXPECT_EQ(refusal(R"({"__metadata__":[]})"), "__metadata__: expects an object of strings, got an array");
}

TEST(SafetensorsHeader, RefusesTypesThatTheEngineHasNot) {
  EXPECT_EQ(refusal(lone("F16", "[1]", "[0,2]"), 2),
            "tensor 'w': dtype: expects one of F32, F64, I64, I32, U8 and BOOL, got 'F16'; convert the file to F32");
  EXPECT_THAT(refusal(lone("BF16", "[1]", "[0,2]"), 2), HasSubstr("got 'BF16'; convert the file to F32"));
  EXPECT_THAT(refusal(lone("f32", "[1]", "[0,4]"), 4), HasSubstr("got 'f32'"));
  EXPECT_THAT(refusal(lone("", "[1]", "[0,4]"), 4), HasSubstr("got ''"));
}

TEST(SafetensorsHeader, RefusesShapesThatCannotBe) {
  EXPECT_EQ(refusal(lone("U8", "[-1]", "[0,1]"), 1),
            "tensor 'w': shape: expects sizes, integers from 0 on, got the number -1");
  EXPECT_THAT(refusal(lone("U8", "[1.0]", "[0,1]"), 1), HasSubstr("shape: expects sizes, integers from 0 on, got"));
  EXPECT_THAT(refusal(lone("U8", "[1e0]", "[0,1]"), 1), HasSubstr("shape: expects sizes"));
  EXPECT_THAT(refusal(lone("U8", "[\"1\"]", "[0,1]"), 1), HasSubstr("shape: expects sizes"));
  EXPECT_THAT(refusal(lone("U8", "[[1]]", "[0,1]"), 1), HasSubstr("shape: expects sizes"));
  EXPECT_THAT(refusal(lone("U8", "1", "[0,1]"), 1), HasSubstr("shape: expects an array, got the number 1"));
  EXPECT_THAT(refusal(lone("U8", "[18446744073709551615]", "[0,1]"), 1), HasSubstr("shape: the size"));
  EXPECT_THAT(refusal(lone("U8", "[18446744073709551616]", "[0,1]"), 1), HasSubstr("shape: expects sizes"));
  EXPECT_THAT(refusal(lone("U8", "[4294967296,4294967296]", "[0,0]"), 0), HasSubstr("overflows"));
  EXPECT_THAT(refusal(lone("F64", "[2305843009213693952]", "[0,0]"), 0), HasSubstr("overflows"));
  std::string ones = "[1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  EXPECT_EQ(refusal(lone("U8", ones + "]", "[0,1]"), 1), "tensor 'w': shape: expects at most 64 dimensions, got 65");
}

TEST(SafetensorsHeader, RefusesOffsetsOfAnotherForm) {
  EXPECT_EQ(refusal(lone("U8", "[1]", "[0]"), 1), "tensor 'w': data_offsets: expects two numbers, got 1");
  EXPECT_EQ(refusal(lone("U8", "[1]", "[0,1,2]"), 1), "tensor 'w': data_offsets: expects two numbers, got more");
  EXPECT_THAT(refusal(lone("U8", "[1]", "[-1,0]"), 1), HasSubstr("expects two integers from 0 on, got the number -1"));
  EXPECT_THAT(refusal(lone("U8", "[1]", "[0.0,1.0]"), 1), HasSubstr("expects two integers from 0 on"));
  EXPECT_THAT(refusal(lone("U8", "[1]", "{}"), 1), HasSubstr("data_offsets: expects an array, got an object"));
}

TEST(SafetensorsHeader, RefusesOffsetsThatDoNotFitTheTensor) {
  EXPECT_EQ(refusal(lone("F32", "[2,3]", "[0,20]"), 20),
            "tensor 'w': data_offsets [0, 20] hold 20 bytes; float32[2, 3] expects 24");
  EXPECT_EQ(refusal(lone("U8", "[1]", "[1,0]"), 1), "tensor 'w': data_offsets [1, 0] end before they begin");
  EXPECT_EQ(refusal(lone("U8", "[1]", "[18446744073709551614,18446744073709551615]"), 1),
            "tensor 'w': data_offsets [18446744073709551614, 18446744073709551615] overflow");
}

TEST(SafetensorsHeader, RefusesDataThatIsNotCoveredOnce) {
  const auto two = [](std::string_view a, std::string_view b) {
    return str_cat(R"({"a":)", entry("U8", "[2]", a), R"(,"b":)", entry("U8", "[2]", b), "}");
  };
  EXPECT_EQ(refusal(two("[0,2]", "[2,4]"), 4), "taken");
  EXPECT_EQ(refusal(two("[0,2]", "[1,3]"), 4),
            "tensor 'b': data_offsets [1, 3] overlap those of tensor 'a', which end at 2");
  EXPECT_THAT(refusal(two("[0,2]", "[0,2]"), 2), HasSubstr("overlap those of tensor 'a'"));
  EXPECT_EQ(refusal(two("[0,2]", "[3,5]"), 5),
            "tensor 'b': data_offsets [3, 5] leave a hole: no tensor has the bytes from 2 to 3");
  EXPECT_THAT(refusal(two("[2,4]", "[4,6]"), 6), HasSubstr("leave a hole: no tensor has the bytes from 0 to 2"));
  EXPECT_EQ(refusal(two("[0,2]", "[2,4]"), 3),
            "tensor 'b': data_offsets [2, 4] pass the end of the data, which has 3 bytes");
  EXPECT_EQ(refusal(two("[0,2]", "[2,4]"), 5), "the tensors end at byte 4 of the data, which has 5 bytes");
  EXPECT_THAT(refusal("{}", 1), HasSubstr("the tensors end at byte 0"));
}

TEST(SafetensorsHeader, LengthMustLieWithinTheFile) {
  const auto fault = [](std::string_view start, int64_t file_bytes) -> std::string {
    try {
      return str_cat(safetensors_header_length(start, file_bytes));
    } catch (const Error& error) {
      return error.message();
    }
  };
  EXPECT_EQ(fault(file_of("{}"), 10), "2");
  EXPECT_EQ(fault(file_of("{}"), 9), "the header's length is 2 bytes, but only 1 follow");
  EXPECT_EQ(fault("", 0), "expects 8 bytes of header length, and has 0 bytes in all");
  EXPECT_EQ(fault(std::string(7, '\0'), 7), "expects 8 bytes of header length, and has 7 bytes in all");
  EXPECT_EQ(fault(std::string(8, '\xff'), 1000),
            "the header's length is 18446744073709551615 bytes; 100000000 is the most");
}

TEST(SafetensorsHeader, LaysOutLongTypesFirstThenByName) {
  const std::vector<SafetensorsItem> items{{"u", {DType::kUInt8, {3}}},  {"b", {DType::kFloat32, {2, 3}}},
                                           {"i", {DType::kInt64, {3}}},  {"a", {DType::kFloat64, {}}},
                                           {"j", {DType::kInt32, {1}}},  {"flag", {DType::kBool, {2, 0}}},
                                           {"B", {DType::kFloat32, {1}}}};
  const SafetensorsHeader header = layout_safetensors(items, {});
  std::vector<std::string> order;
  for (const SafetensorsEntry& e : header.tensors) order.push_back(str_cat(e.name, "@", e.begin));
  EXPECT_THAT(order, ElementsAre("i@0", "a@24", "B@32", "b@36", "j@60", "u@64", "flag@67"));
  EXPECT_EQ(header.data_bytes(), 67);
}

TEST(SafetensorsHeader, TextIsThatOfTheReferenceImplementation) {
  const std::vector<SafetensorsItem> items{{"b", {DType::kFloat32, {2, 3}}},
                                           {"we\"i\nrd\xc3\xa9\x7f/", {DType::kBool, {}}}};
  const std::string text = format_safetensors_header(layout_safetensors(items, {{"format", "pt"}, {"a", "1"}}));
  EXPECT_EQ(text.size() % 8, 0u);
  EXPECT_EQ(safetensors_header_length(text, static_cast<int64_t>(text.size())), text.size() - 8);
  EXPECT_THAT(text.substr(8), StartsWith(R"({"__metadata__":{"a":"1","format":"pt"},"b":{"dtype":"F32","shape":[2,3],)"
                                         R"("data_offsets":[0,24]},"we\"i\nrd)"
                                         "\xc3\xa9\x7f"
                                         R"(/":{"dtype":"BOOL","shape":[],"data_offsets":[24,25]}})"));
}

TEST(SafetensorsHeader, RefusesToWriteWhatItWouldNotRead) {
  const auto fault = [](const std::vector<SafetensorsItem>& items, std::map<std::string, std::string> metadata = {}) {
    try {
      format_safetensors_header(layout_safetensors(items, std::move(metadata)));
    } catch (const Error& error) {
      return error.message();
    }
    return std::string("written");
  };
  const TensorSpec spec{DType::kFloat32, {1}};
  EXPECT_EQ(fault({{"w", spec}, {"w", spec}}), "tensor 'w' is given twice");
  EXPECT_EQ(fault({{"__metadata__", spec}}), "tensor '__metadata__': this name is the metadata's");
  EXPECT_EQ(fault({{"\xff", spec}}), "tensor '\\xff': expects UTF-8");
  EXPECT_EQ(fault({}, {{"a", "\xff"}}), "metadata value '\\xff': expects UTF-8");
  EXPECT_EQ(fault({}, {{"\xff", "a"}}), "metadata key '\\xff': expects UTF-8");
  EXPECT_THAT(fault({}, {{"a", std::string(100'000'000, 'x')}}), HasSubstr("100000000 is the most"));
}

}  // namespace
}  // namespace tapewire
