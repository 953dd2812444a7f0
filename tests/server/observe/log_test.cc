#include "server/observe/log.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <vector>

#include "gmock/gmock.h"

namespace tapewire {
namespace {

using testing::MatchesRegex;

TEST(Logger, TextHasTimeLevelEventAndFields) {
  std::ostringstream out;
  Logger(LogFormat::kText, LogLevel::kInfo, &out)
      .info("serving", {{"grpc", "127.0.0.1:8001"}, {"threads", 2}, {"seconds", 0.5}, {"ready", true}});
  EXPECT_THAT(out.str(), MatchesRegex("[0-9-]*T[0-9:.]*Z info serving grpc=127.0.0.1:8001 threads=2 seconds=0.5 "
                                      "ready=true\n"));
}

TEST(Logger, TextQuotesWhatWouldBreakTheLine) {
  std::ostringstream out;
  Logger(LogFormat::kText, LogLevel::kInfo, &out).warning("bad\nname", {{"name", "a b\n\"c\""}, {"empty", ""}});
  EXPECT_THAT(out.str(), MatchesRegex(".* warning bad name name=\"a b\\\\n\\\\\"c\\\\\"\" empty=\"\"\n"));
}

TEST(Logger, JsonIsOneObjectALineWhateverIsLogged) {
  std::ostringstream out;
  Logger(LogFormat::kJson, LogLevel::kInfo, &out).error("it \"failed\"", {{"name", "\xff\n"}, {"n", 3}});
  EXPECT_THAT(out.str(), MatchesRegex("\\{\"time\":\"[^\"]*Z\",\"level\":\"error\",\"event\":\"it "
                                      "\\\\\"failed\\\\\"\",\"name\":\"\xef\xbf\xbd\\\\n\",\"n\":3\\}\n"));
}

TEST(Logger, LinesBelowTheLevelAreNotWritten) {
  std::ostringstream out;
  Logger logger(LogFormat::kText, LogLevel::kWarning, &out);
  logger.info("quiet");
  EXPECT_EQ(out.str(), "");
  logger.warning("loud");
  EXPECT_NE(out.str(), "");
  std::ostringstream none;
  Logger(LogFormat::kText, LogLevel::kOff, &none).error("nothing");
  EXPECT_EQ(none.str(), "");
}

TEST(Logger, LimitedLinesAreABurstOfEachEventAndReasonAndTheRestIsCounted) {
  std::ostringstream out;
  Logger logger(LogFormat::kText, LogLevel::kInfo, &out);
  const std::vector<LogField> fields{{"n", 1}};
  const auto lines = [&out] {
    const std::string text = out.str();
    return std::count(text.begin(), text.end(), '\n');
  };
  for (int i = 0; i < Logger::kBurst; ++i) logger.log_limited(LogLevel::kInfo, "refused", "queue", fields);
  EXPECT_EQ(lines(), Logger::kBurst);
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i) logger.log_limited(LogLevel::kInfo, "refused", "queue", fields);
  // One a second comes back.
  ASSERT_LE(lines(), Logger::kBurst + 1 + (std::chrono::steady_clock::now() - begun) / std::chrono::seconds(1));
  const auto before = lines();
  logger.log_limited(LogLevel::kInfo, "refused", "memory", fields);
  logger.log_limited(LogLevel::kDebug, "refused", "debug", fields);
  EXPECT_EQ(lines(), before + 1);
  EXPECT_THAT(out.str(), testing::Not(testing::HasSubstr("suppressed")));
  while (out.str().find("suppressed=") == std::string::npos &&
         std::chrono::steady_clock::now() - begun < std::chrono::seconds(20)) {
    logger.log_limited(LogLevel::kInfo, "refused", "queue", fields);
  }
  EXPECT_THAT(out.str(), MatchesRegex("(.|\n)*info refused n=1 suppressed=[0-9]+\n"));
}

TEST(Logger, ParsesLevelsAndFormats) {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  EXPECT_TRUE(parse_log_level("error", level));
  EXPECT_EQ(level, LogLevel::kError);
  EXPECT_FALSE(parse_log_level("loud", level));
  EXPECT_TRUE(parse_log_format("json", format));
  EXPECT_EQ(format, LogFormat::kJson);
  EXPECT_FALSE(parse_log_format("xml", format));
}

}  // namespace
}  // namespace tapewire
