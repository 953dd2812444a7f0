#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "client/cli/csv.h"
#include "client/cli/dataset.h"
#include "client/cli/idx.h"
#include "client/cli/npy.h"
#include "client/cli/read_file.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

std::string message(const absl::Status& status) { return std::string(status.message()); }

/// A .npy file of version 1.
std::string npy(const std::string& header, const std::string& data) {
  return "\x93NUMPY" + bytes({1, 0, static_cast<int>(header.size() & 255), static_cast<int>(header.size() >> 8)}) +
         header + data;
}

/// A folder that goes with the test.
class DataTest : public testing::Test {
 protected:
  DataTest() {
    std::string pattern = testing::TempDir() + "tapewire-data-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~DataTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
    return folder_ + "/" + name;
  }
  std::string write_gzip(const std::string& name, const std::string& content) const {
    const std::string path = folder_ + "/" + name;
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
    gzclose(file);
    return path;
  }

  std::string folder_;
};

TEST(IdxTest, ReadsBytesAndBigEndianNumbers) {
  const auto pixels = parse_idx(bytes({0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 255}), "a");
  ASSERT_TRUE(pixels.ok()) << pixels.status();
  EXPECT_EQ(shape_text_of(*pixels), "[1, 2]");
  EXPECT_THAT(*view<uint8_t>(*pixels), ElementsAre(7, 255));
  const auto ints = parse_idx(bytes({0, 0, 0x0C, 1, 0, 0, 0, 1, 0, 0, 1, 2}), "a");
  EXPECT_THAT(*view<int32_t>(*ints), ElementsAre(258));
}

TEST(IdxTest, SizesHaveFourBytes) {
  const auto error = [](std::initializer_list<int> size) {
    return message(parse_idx(bytes({0, 0, 8, 1}) + bytes(size), "a").status());
  };
  EXPECT_THAT(error({0, 0, 1, 2}), HasSubstr("[258]"));
  EXPECT_THAT(error({0, 1, 2, 3}), HasSubstr("[66051]"));
  EXPECT_THAT(error({1, 2, 3, 4}), HasSubstr("[16909060]"));
  EXPECT_THAT(error({255, 255, 255, 255}), HasSubstr("[4294967295]"));
}

TEST(IdxTest, HostileFilesAreRefused) {
  EXPECT_THAT(message(parse_idx("", "a").status()), HasSubstr("a: not an IDX file"));
  EXPECT_THAT(message(parse_idx("PK\3\4", "a").status()), HasSubstr("not an IDX file"));
  EXPECT_THAT(message(parse_idx(bytes({0, 0, 0x0B, 1, 0, 0, 0, 1, 0, 0}), "a").status()), HasSubstr("0x0b"));
  EXPECT_THAT(message(parse_idx(bytes({0, 0, 8, 200, 0}), "a").status()), HasSubstr("wants 804 bytes, has 5"));
  EXPECT_THAT(message(parse_idx(bytes({0, 0, 8, 1, 0, 0, 0, 9, 1}), "a").status()), HasSubstr("9 elements"));
  EXPECT_THAT(message(parse_idx(bytes({0, 0, 8, 1, 0, 0, 0, 0, 1}), "a").status()), HasSubstr("0 elements"));
  std::string huge = bytes({0, 0, 8, 3});
  for (int i = 0; i < 12; ++i) huge += '\xff';
  EXPECT_THAT(message(parse_idx(huge, "a").status()), HasSubstr("more elements"));
  EXPECT_FALSE(parse_idx(bytes({0, 0, 0x0D, 1, 0, 0, 0, 1, 1, 2, 3}), "a").ok());
}

TEST(NpyTest, ReadsWhatNumpyWrites) {
  const auto array = parse_npy(npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }   \n",
                                   bytes({1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0})),
                               "a");
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_THAT(*view<int64_t>(*array), ElementsAre(1, 2));
  const auto scalar = parse_npy(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n", "x"), "a");
  EXPECT_EQ(scalar->shape_size(), 0);
  const auto matrix =
      parse_npy(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 3), }\n", bytes({0, 1, 1})), "a");
  EXPECT_EQ(shape_text_of(*matrix), "[1, 3]");
}

/// A .npy file of version 2 or 3: its header's length takes four bytes.
std::string npy_of_version(int version, const std::string& header, const std::string& data) {
  const auto length = static_cast<int>(header.size());
  return "\x93NUMPY" + bytes({version, 0, length & 255, length >> 8 & 255, length >> 16 & 255, length >> 24 & 255}) +
         header + data;
}

// numpy writes version 2 when the header does not fit into 64 KiB, and 3 when a field's name is not ASCII.
TEST(NpyTest, ReadsHeadersOfEveryVersion) {
  const std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }";
  const std::string data = bytes({7, 1, 0, 0, 255, 255, 255, 255});
  for (const int version : {2, 3}) {
    for (const size_t padding : {0u, 300u, 0x10000u, 0x12345u}) {
      const auto array = parse_npy(npy_of_version(version, header + std::string(padding, ' ') + "\n", data), "a");
      ASSERT_TRUE(array.ok()) << version << ", " << padding << ": " << array.status();
      EXPECT_EQ(shape_text_of(*array), "[2]");
      EXPECT_THAT(*view<int32_t>(*array), ElementsAre(263, -1)) << version << ", " << padding;
    }
  }
  // The longest header of version 1.
  const auto array = parse_npy(npy(header + std::string(0xffff - header.size() - 1, ' ') + "\n", data), "a");
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_THAT(*view<int32_t>(*array), ElementsAre(263, -1));
}

TEST(NpyTest, AHeaderOfAnyVersionThatIsCutShortIsRefused) {
  const auto error = [](const std::string& content) { return message(parse_npy(content, "a").status()); };
  const std::string whole = npy_of_version(2, "{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }", "");
  ASSERT_TRUE(parse_npy(whole, "a").ok());
  EXPECT_THAT(error(whole.substr(0, whole.size() - 1)), HasSubstr("cut short"));
  EXPECT_THAT(error(whole.substr(0, 12)), HasSubstr("cut short"));
  EXPECT_THAT(error(whole.substr(0, 11)), HasSubstr("not an .npy file"));
  EXPECT_THAT(error(npy_of_version(0, "{}", "")), HasSubstr("version 0; known are 1 to 3"));
  EXPECT_THAT(error(npy_of_version(4, "{}", "")), HasSubstr("version 4; known are 1 to 3"));
}

TEST(NpyTest, HostileFilesAreRefused) {
  const auto error = [](const std::string& content) { return message(parse_npy(content, "a").status()); };
  EXPECT_THAT(error(""), HasSubstr("a: not an .npy file"));
  EXPECT_THAT(error("\x93NUMPY"), HasSubstr("not an .npy file"));
  EXPECT_THAT(error("\x93NUMPY" + bytes({9, 0, 0, 0, 0, 0})), HasSubstr("version 9"));
  EXPECT_THAT(error("\x93NUMPY" + bytes({1, 0, 255, 255, 0, 0})), HasSubstr("cut short"));
  EXPECT_THAT(error("\x93NUMPY" + bytes({2, 0, 255, 255, 255, 255})), HasSubstr("cut short"));
  EXPECT_THAT(error(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", "abcd")), HasSubstr("'>f4'"));
  EXPECT_THAT(error(npy("{'descr': '<f4", "abcd")), HasSubstr("dtype ''"));
  EXPECT_THAT(error(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", "abcd")), HasSubstr("Fortran"));
  EXPECT_THAT(error(npy("{'descr': '<f4', 'fortran_order': False}", "abcd")), HasSubstr("no shape"));
  EXPECT_THAT(error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (x,)}", "abcd")), HasSubstr("no shape"));
  EXPECT_THAT(error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "abcd")),
              HasSubstr("wants 2 elements"));
  EXPECT_THAT(error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "abcd")), HasSubstr("negative"));
  EXPECT_THAT(error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "")),
              HasSubstr("no shape"));
}

TEST(CsvTest, ReadsNumbersUnderAHeader) {
  const auto table = parse_csv("x, y ,label\n1, 2.5,-3\r\n\n+4,1e2,6", "a");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(shape_text_of(*table), "[2, 3]");
  EXPECT_THAT(*view<double>(*table), ElementsAre(1, 2.5, -3, 4, 100, 6));
}

TEST(CsvTest, NeedsNoHeader) { EXPECT_THAT(*view<double>(*parse_csv("1,2\n3,4\n", "a")), ElementsAre(1, 2, 3, 4)); }

TEST(CsvTest, ErrorsNameLineAndColumn) {
  EXPECT_EQ(message(parse_csv("a,b\n1,2\n3,x\n", "a.csv").status()), "a.csv:3: column 2: \"x\" is not a number");
  EXPECT_EQ(message(parse_csv("1,2\n3\n", "a.csv").status()), "a.csv:2: 1 columns, expected 2");
  EXPECT_EQ(message(parse_csv("1,2\n3,\n", "a.csv").status()), "a.csv:2: column 2: \"\" is not a number");
  EXPECT_EQ(message(parse_csv("a,b\n", "a.csv").status()), "a.csv: no rows of numbers");
  EXPECT_EQ(message(parse_csv("", "a.csv").status()), "a.csv: no rows of numbers");
}

TEST_F(DataTest, GzippedFilesAreUnpackedAndOthersReadAsTheyAre) {
  EXPECT_EQ(*read_data_file(write("plain", "abc")), "abc");
  EXPECT_EQ(*read_data_file(write_gzip("packed", "abc")), "abc");
  EXPECT_EQ(*read_data_file(write("empty", "")), "");
}

TEST_F(DataTest, ABrokenGzipFileIsDataLoss) {
  const std::string path = write_gzip("packed", std::string(10000, 'x') + "tail");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 12);
  EXPECT_EQ(read_data_file(path).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DataTest, AFileThatUnpacksTooFarIsRefused) {
  const std::string path = write_gzip("bomb", std::string(3 << 20, '\0'));
  EXPECT_EQ(read_data_file(path, 1 << 20).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(DataTest, MissingFilesAndFoldersAreNamed) {
  EXPECT_EQ(read_data_file(folder_ + "/nothing").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(message(read_data_file(folder_).status()), HasSubstr("is a directory"));
}

const std::string kImages = bytes({0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255, 51, 102});
const std::string kLabels = bytes({0, 0, 8, 1, 0, 0, 0, 2, 3, 9});

TEST_F(DataTest, ImagesGetAChannelAndAreNormalised) {
  const auto data = load_dataset({.data = {}, .images = write("i", kImages), .labels = write("l", kLabels)},
                                 Split::kTrain, {.mean = 0.2, .std = 0.5});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(shape_text_of(data->inputs), "[2, 1, 1, 2]");
  EXPECT_THAT(*view<float>(data->inputs), ElementsAre(testing::FloatEq(-0.4f), testing::FloatEq(1.6f),
                                                      testing::FloatNear(0, 1e-6f), testing::FloatEq(0.4f)));
  EXPECT_THAT(*view<int64_t>(*data->targets), ElementsAre(3, 9));
  EXPECT_EQ(shape_text_of(*data->pixels), "[2, 1, 2]");
  EXPECT_TRUE(data->has_classes());
}

TEST_F(DataTest, AFolderHoldsBothSplits) {
  write_gzip("mnist-train-images-idx3-ubyte.gz", kImages);
  write_gzip("mnist-train-labels-idx1-ubyte.gz", kLabels);
  write("t10k-images-idx3-ubyte", bytes({0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0}));
  write("t10k-labels-idx1-ubyte", bytes({0, 0, 8, 1, 0, 0, 0, 1, 4}));
  EXPECT_EQ(load_dataset({.data = folder_}, Split::kTrain, {})->size(), 2);
  EXPECT_EQ(load_dataset({.data = folder_}, Split::kTest, {})->size(), 1);
}

TEST_F(DataTest, AFolderThatLacksOrDoublesAFileIsRefused) {
  EXPECT_EQ(load_dataset({.data = folder_}, Split::kTest, {}).status().code(), absl::StatusCode::kNotFound);
  write("train-images-idx3-ubyte", kImages);
  write("other-train-images-idx3-ubyte", kImages);
  EXPECT_THAT(message(load_dataset({.data = folder_}, Split::kTrain, {}).status()), HasSubstr("which of"));
}

TEST_F(DataTest, PartnersOfDifferentLengthAreRefused) {
  const auto data = load_dataset(
      {.data = {}, .images = write("i", kImages), .labels = write("l", bytes({0, 0, 8, 1, 0, 0, 0, 1, 3}))},
      Split::kTrain, {});
  EXPECT_THAT(message(data.status()), HasSubstr("holds 1 samples"));
}

TEST_F(DataTest, CsvColumnsAreSplitIntoInputsAndTargets) {
  const std::string path = write("a.csv", "1,2,3\n4,5,6\n");
  const auto values = load_dataset({.data = path}, Split::kTrain, {});
  EXPECT_EQ(shape_text_of(values->inputs), "[2, 2]");
  EXPECT_THAT(*view<float>(*values->targets), ElementsAre(3, 6));
  const auto classes = load_dataset({.data = path}, Split::kTrain, {.class_targets = true});
  EXPECT_THAT(*view<int64_t>(*classes->targets), ElementsAre(3, 6));
  EXPECT_FALSE(load_dataset({.data = path}, Split::kTrain, {.target_columns = 3}).ok());
  EXPECT_FALSE(load_dataset({.data = write("b.csv", "1,2.5\n")}, Split::kTrain, {.class_targets = true}).ok());
}

TEST_F(DataTest, WhatIsNeitherFolderNorCsvIsRefused) {
  EXPECT_THAT(message(load_dataset({.data = write("a.txt", "1")}, Split::kTrain, {}).status()), HasSubstr("neither"));
  EXPECT_EQ(load_dataset({.data = folder_ + "/no"}, Split::kTrain, {}).status().code(), absl::StatusCode::kNotFound);
}

TEST(DatasetTest, RowsAreGatheredInTheOrderAsked) {
  const auto rows = std::vector<int64_t>{2, 0};
  const v1::Tensor gathered = gather_rows(make_tensor<float>({3, 2}, {1, 2, 3, 4, 5, 6}), rows);
  EXPECT_THAT(*view<float>(gathered), ElementsAre(5, 6, 1, 2));
}

TEST(DatasetTest, ShufflingIsAPermutationFixedByItsSeed) {
  EXPECT_THAT(shuffled(4, 1), UnorderedElementsAre(0, 1, 2, 3));
  EXPECT_EQ(shuffled(100, 1), shuffled(100, 1));
  EXPECT_NE(shuffled(100, 1), shuffled(100, 2));
  EXPECT_TRUE(shuffled(0, 1).empty());
}

}  // namespace
}  // namespace tapewire::client
