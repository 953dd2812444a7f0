#include "server/observe/log.h"

#include <sstream>

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
