#include "core/io/safetensors.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "core/tensor/allocator.h"
#include "tests/io/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

std::vector<NamedTensor> every_dtype() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  return {{"f32", Tensor::of<float>({1.5f, -0.0f, nan, 3, 4, 5}, {2, 3})},
          {"f64", Tensor::of<double>({1e300, -1, 0.1})},
          {"i64", Tensor::of<int64_t>({std::numeric_limits<int64_t>::min(), 7})},
          {"i32", Tensor::of<int32_t>({-5, 6, 7})},
          {"u8", Tensor::of<uint8_t>({0, 255, 3})},
          {"flag", Tensor::of<bool>({true, false, true})},
          {"scalar", Tensor::scalar(2.5, DType::kFloat64)},
          {"none", Tensor::empty({0, 7}, DType::kFloat32)}};
}

void expect_same(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(to_string(a.spec()), to_string(b.spec()));
  ASSERT_EQ(a.nbytes(), b.nbytes());
  EXPECT_TRUE(std::equal(static_cast<const char*>(a.raw_data()), static_cast<const char*>(a.raw_data()) + a.nbytes(),
                         static_cast<const char*>(b.raw_data())));
}

class SafetensorsTest : public FolderTest {
 protected:
  std::string refusal(std::string_view content) const {
    const auto read = read_safetensors(write("hostile.safetensors", content));
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << read.status();
    return std::string(read.status().message());
  }
};

TEST_F(SafetensorsTest, EveryDtypeGoesThereAndBack) {
  const std::vector<NamedTensor> tensors = every_dtype();
  ASSERT_TRUE(write_safetensors(path("a"), tensors, {{"format", "pt"}}).ok());
  const auto back = read_safetensors(path("a"));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_THAT(back->metadata, ElementsAre(Pair("format", "pt")));
  ASSERT_EQ(back->tensors.size(), tensors.size());
  for (const NamedTensor& t : tensors) {
    SCOPED_TRACE(t.name);
    const auto found = std::ranges::find(back->tensors, t.name, &NamedTensor::name);
    ASSERT_NE(found, back->tensors.end());
    expect_same(found->tensor, t.tensor);
  }
}

TEST_F(SafetensorsTest, SameTensorsGiveTheSameBytesInAnyOrder) {
  std::vector<NamedTensor> tensors = every_dtype();
  ASSERT_TRUE(write_safetensors(path("a"), tensors, {{"x", "1"}, {"y", "2"}}).ok());
  std::ranges::reverse(tensors);
  ASSERT_TRUE(write_safetensors(path("b"), tensors, {{"y", "2"}, {"x", "1"}}).ok());
  EXPECT_EQ(content(path("a")), content(path("b")));
}

TEST_F(SafetensorsTest, StridedTensorsAreWrittenRowMajor) {
  const Tensor base = Tensor::of<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor transposed = base.alias({.sizes = {3, 2}, .strides = {1, 3}, .offset = 0});
  const Tensor column = base.alias({.sizes = {2}, .strides = {3}, .offset = 2});
  ASSERT_TRUE(write_safetensors(path("a"), {{"t", transposed}, {"c", column}}).ok());
  const auto back = read_safetensors(path("a"));
  ASSERT_TRUE(back.ok());
  EXPECT_THAT(back->tensors[0].tensor.to_vector<float>(), ElementsAre(3, 6));
  EXPECT_THAT(back->tensors[1].tensor.to_vector<float>(), ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST_F(SafetensorsTest, OneTensorIsReadAlone) {
  ASSERT_TRUE(write_safetensors(path("a"), every_dtype()).ok());
  const auto file = SafetensorsFile::open(path("a"));
  ASSERT_TRUE(file.ok());
  const auto& tensors = file->header().tensors;
  const auto entry = std::ranges::find(tensors, "i32", &SafetensorsEntry::name);
  EXPECT_THAT(file->read(*entry)->to_vector<int32_t>(), ElementsAre(-5, 6, 7));
  int32_t last = 0;
  ASSERT_TRUE(file->read_bytes(*entry, 8, std::as_writable_bytes(std::span(&last, 1))).ok());
  EXPECT_EQ(last, 7);
}

TEST_F(SafetensorsTest, DataNeedNotBeAligned) {
  const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const float value = 1.25;
  for (size_t blanks = 0; blanks < 8; ++blanks) {
    const auto read = read_safetensors(
        write("a", file_of(header + std::string(blanks, ' '), {reinterpret_cast<const char*>(&value), sizeof value})));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->tensors[0].tensor.item<float>(), 1.25f);
  }
}

TEST_F(SafetensorsTest, AFileThatIsNotThereIsNotFound) {
  const auto read = read_safetensors(path("absent"));
  EXPECT_EQ(read.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(read.status().message(), "cannot open " + path("absent") + ": No such file or directory");
}

TEST_F(SafetensorsTest, RefusesWhatIsNoRegularFile) {
  EXPECT_THAT(read_safetensors(path("")).status().message(), HasSubstr("not a regular file"));
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(read_safetensors(path("pipe")).status().message(), HasSubstr("not a regular file"));
}

TEST_F(SafetensorsTest, RefusesFilesThatAreTooShort) {
  EXPECT_EQ(refusal(""), path("hostile.safetensors") + ": expects 8 bytes of header length, and has 0 bytes in all");
  EXPECT_THAT(refusal("1234567"), HasSubstr("has 7 bytes in all"));
  EXPECT_THAT(refusal(std::string("\x03\0\0\0\0\0\0\0{}", 10)), HasSubstr("is 3 bytes, but only 2 follow"));
  EXPECT_THAT(refusal(std::string("\0\0\0\0\0\0\0\0", 8)), HasSubstr("begins with '{'"));
}

TEST_F(SafetensorsTest, RefusesAHeaderLongerThanAHundredMegabytes) {
  const std::string name = write("long", std::string("\x01\xe1\xf5\x05\0\0\0\0{", 9));  // 100,000,001
  std::filesystem::resize_file(name, 200'000'000);
  EXPECT_THAT(read_safetensors(name).status().message(), HasSubstr("is 100000001 bytes; 100000000 is the most"));
}

TEST_F(SafetensorsTest, RefusesDataThatIsCutShortOrTrails) {
  const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_THAT(refusal(file_of(header, "123")), HasSubstr("tensor 'w': data_offsets [0, 4] pass the end of the data"));
  EXPECT_THAT(refusal(file_of(header, "12345")), HasSubstr("end at byte 4 of the data, which has 5 bytes"));
}

TEST_F(SafetensorsTest, RefusesBoolsOtherThanZeroAndOne) {
  const std::string header = R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})";
  EXPECT_EQ(refusal(file_of(header, "\x01\x02\x01")),
            path("hostile.safetensors") + ": tensor 'm': a bool is a byte 0 or 1, got 2 at index 1");
}

TEST_F(SafetensorsTest, ABadBoolIsNamedByItsPlaceInTheTensorWhereverReadingBegins) {
  const std::string header = R"({"m":{"dtype":"BOOL","shape":[5],"data_offsets":[0,5]}})";
  const auto file = SafetensorsFile::open(write("a", file_of(header, "\x01\x01\x01\x07\x01")));
  ASSERT_TRUE(file.ok()) << file.status();
  std::array<std::byte, 3> bytes;
  EXPECT_EQ(file->read_bytes(file->header().tensors[0], 2, bytes).message(),
            path("a") + ": tensor 'm': a bool is a byte 0 or 1, got 7 at index 3");
  EXPECT_TRUE(file->read_bytes(file->header().tensors[0], 0, bytes).ok());
}

TEST_F(SafetensorsTest, AFileThatShrinksWhileItIsReadIsDataLoss) {
  ASSERT_TRUE(write_safetensors(path("a"), {{"w", Tensor::zeros({1000})}}).ok());
  const auto file = SafetensorsFile::open(path("a"));
  ASSERT_TRUE(file.ok());
  std::filesystem::resize_file(path("a"), 200);
  const auto tensor = file->read(file->header().tensors[0]);
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kDataLoss) << tensor.status();
}

TEST_F(SafetensorsTest, ATensorThatMemoryHasNoRoomForIsResourceExhausted) {
  ASSERT_TRUE(write_safetensors(path("a"), {{"w", Tensor::zeros({1 << 20})}}).ok());
  const auto file = SafetensorsFile::open(path("a"));
  ASSERT_TRUE(file.ok());
  const int64_t before = tensor_allocator().limit();
  tensor_allocator().set_limit(tensor_allocator().stats().live + (1 << 20), "test");
  const auto tensor = file->read(file->header().tensors[0]);
  tensor_allocator().set_limit(before, "test");
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kResourceExhausted) << tensor.status();
  EXPECT_THAT(std::string(tensor.status().message()), StartsWith(path("a") + ": out of tensor memory"));
}

TEST_F(SafetensorsTest, AFailedWriteLeavesTheOldFileAndNothingElse) {
  write("a", "old");
  EXPECT_EQ(write_safetensors(path("a"), {{"w", Tensor()}}).message(), path("a") + ": tensor 'w' is undefined");
  EXPECT_EQ(write_safetensors(path("a"), {{"w", Tensor::zeros({1})}, {"w", Tensor::zeros({1})}}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(content(path("a")), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(SafetensorsTest, AWriteReplacesTheOldFileWhole) {
  write("a", std::string(10'000, 'x'));
  ASSERT_TRUE(write_safetensors(path("a"), {{"w", Tensor::zeros({1})}}).ok());
  EXPECT_TRUE(read_safetensors(path("a")).ok());
  EXPECT_EQ(files(), 1u);
}

TEST_F(SafetensorsTest, AFileThatIsNotCommittedLeavesNothing) {
  write("a", "old");
  {
    auto file = AtomicFile::create(path("a"));
    ASSERT_TRUE(file.ok()) << file.status();
    const std::string bytes = "half of it";
    EXPECT_TRUE(file->write(std::as_bytes(std::span(bytes))).ok());
    const AtomicFile moved = *std::move(file);
    EXPECT_EQ(files(), 2u);
  }
  EXPECT_EQ(content(path("a")), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(SafetensorsTest, WritingWhereThereIsNoFolderNamesThePath) {
  const absl::Status status = write_safetensors(path("absent/a"), {});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), StartsWith("cannot write " + path("absent/a")));
}

TEST_F(SafetensorsTest, NewFilesHaveTheUsualPermissions) {
  const mode_t before = umask(022);
  ASSERT_TRUE(write_safetensors(path("a"), {}).ok());
  umask(before);
  struct stat status{};
  ASSERT_EQ(stat(path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644u);
}

}  // namespace
}  // namespace tapewire
