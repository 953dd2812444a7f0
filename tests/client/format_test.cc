#include "client/cli/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "client/cli/digits.h"
#include "client/cli/json.h"
#include "client/cli/prediction.h"
#include "client/cpp/tensor.h"
#include "tapewire/v1/autograd_service.pb.h"
#include "tapewire/v1/hook_service.pb.h"

namespace tapewire::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(FormatTest, NumbersHaveSensiblePrecision) {
  EXPECT_EQ(number(0.0130712345), "0.01307");
  EXPECT_EQ(number(12345678), "1.235e+07");
  EXPECT_EQ(number(NAN), "nan");
  EXPECT_EQ(column_number(0.085), "0.0850");
  EXPECT_EQ(column_number(1.2e-9), "1.20e-09");
  EXPECT_EQ(column_number(0), "0.0000");
  EXPECT_EQ(column_number(INFINITY), "inf");
  EXPECT_EQ(with_thousands(21840), "21,840");
  EXPECT_EQ(with_thousands(-1234567), "-1,234,567");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(87360), "85.3 KiB");
  EXPECT_EQ(time_text(1), "1970-01-01 00:00:01");
  EXPECT_EQ(seconds_text(0.84), "0.84 s");
  EXPECT_EQ(seconds_text(182), "3 min 2 s");
  EXPECT_EQ(seconds_text(18720), "5 h 12 min");
}

TEST(FormatTest, WidthCountsCodePoints) {
  EXPECT_EQ(display_width("∇conv1"), 6u);
  EXPECT_EQ(cut("∇conv1", 6), "∇conv1");
  EXPECT_EQ(cut("∇conv1", 3), "∇c…");
  EXPECT_EQ(cut("abc", 0), "");
}

TEST(FormatTest, WhatAServerSaysCannotDriveTheTerminal) {
  EXPECT_EQ(printable("a\033[2Jb\r\nc\td"), "a?[2Jb? c d");
  EXPECT_EQ(printable("a\nb", true), "a\nb");
  EXPECT_EQ(printable("\xC2\x9B"
                      "2J"),
            "?2J");
  EXPECT_EQ(printable("∇"), "∇");
}

TEST(FormatTest, TablesAreAligned) {
  std::ostringstream out;
  std::ostringstream err;
  const Console console(out, err, false, false, 80);
  Table table({{"name"}, {"n", Align::kRight}, {"note"}});
  table.add({"∇a", "5", ""});
  table.add({"longer", "1,234", "x"});
  table.print(console);
  EXPECT_EQ(out.str(),
            "name        n  note\n"
            "∇a          5\n"
            "longer  1,234  x\n");
}

TEST(FormatTest, AProgressLineFitsTheTerminalAndIsSilentElsewhere) {
  std::ostringstream out;
  std::ostringstream err;
  const Console live(out, err, false, true, 40);
  ProgressLine progress(live);
  EXPECT_TRUE(progress.due());
  progress.draw("epoch 1", 0.5);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("epoch 1"), HasSubstr("━"), HasSubstr("50%")));
  EXPECT_LE(display_width(err.str().substr(4)), 39u);  // after \r and the escape that clears the line
  EXPECT_FALSE(progress.due());
  const Console dead(out, err, false, false, 40);
  err.str("");
  ProgressLine silent(dead);
  silent.draw("epoch 1", 0.5);
  silent.clear();
  EXPECT_EQ(err.str(), "");
}

TEST(FormatTest, ImagesAreDrawnTwoRowsALine) {
  const unsigned char pixels[] = {0, 255, 0, 255, 255, 0};
  EXPECT_THAT(draw_image(pixels, 3, 2, false), ElementsAre(" @", "= "));
  EXPECT_THAT(draw_image(pixels, 3, 2, true)[0], AllOf(HasSubstr("38;5;255"), HasSubstr("▀")));
}

TEST(FormatTest, ABorderThatIsBlankInAllImagesIsCropped) {
  const v1::Tensor images = make_tensor<uint8_t>({2, 3, 3}, {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0});
  const v1::Tensor cropped = crop_images(images);
  EXPECT_EQ(shape_text_of(cropped), "[2, 1, 2]");
  EXPECT_THAT(*view<uint8_t>(cropped), ElementsAre(1, 0, 0, 2));
  const v1::Tensor blank = make_tensor<uint8_t>({1, 2, 2}, {0, 0, 0, 0});
  EXPECT_EQ(shape_text_of(crop_images(blank)), "[1, 2, 2]");
}

TEST(FormatTest, ImagesStandBesideEachOtherOverTheirCaptions) {
  std::ostringstream out;
  std::ostringstream err;
  const v1::Tensor images = make_tensor<uint8_t>({3, 1, 2}, {255, 255, 255, 0, 0, 255});
  print_images(Console(out, err, false, false, 10), images, {"one", "2", "3"});
  EXPECT_EQ(out.str(),
            "==   = \n"
            "one  2\n"
            "\n"
            " =\n"
            "3\n");
}

TEST(PredictionTest, LogitsLogProbabilitiesAndProbabilitiesGiveTheSame) {
  const std::vector<double> probabilities{0.2, 0.7, 0.1};
  const std::vector<double> logs{std::log(0.2), std::log(0.7), std::log(0.1)};
  const std::vector<double> logits{std::log(0.2) + 3, std::log(0.7) + 3, std::log(0.1) + 3};
  for (const auto& scores : {probabilities, logs, logits}) {
    const Prediction prediction = classify(scores);
    EXPECT_EQ(prediction.best, 1);
    EXPECT_NEAR(prediction.probability, 0.7, 1e-9);
  }
}

TEST(PredictionTest, OneARow) {
  const auto rows = predictions_of(make_tensor<float>({2, 2}, {1, 0, 0, 1}), 2);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ((*rows)[0].best, 0);
  EXPECT_EQ((*rows)[1].best, 1);
  EXPECT_FALSE(predictions_of(make_tensor<float>({2, 2}, {1, 0, 0, 1}), 3).ok());
  EXPECT_FALSE(predictions_of(make_scalar(1.0f), 1).ok());
  EXPECT_FALSE(predictions_of(make_tensor<float>({2, 0}, std::vector<float>{}), 2).ok());
}

TEST(JsonTest, MessagesKeepTheirFieldNamesSortedAndNumbersStayNumbers) {
  v1::StepInfo info;
  info.set_step(int64_t{1} << 40);
  info.set_loss(0.5);
  (*info.mutable_metrics())["accuracy"] = 0.25;
  EXPECT_EQ(
      json_line(to_json(info)),
      R"({"learning_rate":0.0,"loss":0.5,"metrics":{"accuracy":0.25},"parameter_version":0,"step":1099511627776})");
}

TEST(JsonTest, TensorsTimesAndEnumsAreReadable) {
  v1::HookEvent event;
  event.set_kind(v1::HOOK_KIND_BACKWARD);
  event.mutable_time()->set_seconds(1);
  auto& observed = *event.add_tensors();
  *observed.mutable_tensor() = make_tensor<float>({2}, {1, 2});
  observed.mutable_stats()->set_mean(NAN);
  const std::string line = json_line(to_json(event));
  EXPECT_THAT(line, HasSubstr(R"("kind":"HOOK_KIND_BACKWARD")"));
  EXPECT_THAT(line, HasSubstr(R"("time":"1970-01-01T00:00:01Z")"));
  EXPECT_THAT(line, HasSubstr(R"("tensor":{"data":[1.0,2.0],"dtype":"float32","shape":[2]})"));
  EXPECT_THAT(line, HasSubstr(R"("mean":null)"));
  event.mutable_time()->set_seconds(INT64_MAX);
  EXPECT_THAT(json_line(to_json(event)), HasSubstr(R"("time":null)"));
}

}  // namespace
}  // namespace tapewire::client
