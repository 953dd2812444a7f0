#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace tapewire {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };
enum class LogFormat { kText, kJson };

/// "debug", "info", "warning", "error", "off"; "text", "json". False when there is none of that name.
bool parse_log_level(std::string_view name, LogLevel& level);
bool parse_log_format(std::string_view name, LogFormat& format);

/// A named value beside an event.
struct LogField {
  using Value = std::variant<std::string_view, int64_t, double, bool>;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, int v) : key(k), value(int64_t{v}) {}
  LogField(std::string_view k, int64_t v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}

  std::string_view key;
  Value value;
};

/// Structured log lines, one an event:
///   2026-01-31T12:00:00.000Z info serving grpc=127.0.0.1:8001
///   {"time":"2026-01-31T12:00:00.000Z","level":"info","event":"serving","grpc":"127.0.0.1:8001"}
/// What came from outside is escaped, so that a line stays a line. Thread-safe.
class Logger {
 public:
  /// To `stream`, which outlives the logger, or to standard error.
  Logger(LogFormat format, LogLevel level, std::ostream* stream = nullptr);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  using Fields = std::initializer_list<LogField>;
  void debug(std::string_view event, Fields fields = {}) { log(LogLevel::kDebug, event, fields); }
  void info(std::string_view event, Fields fields = {}) { log(LogLevel::kInfo, event, fields); }
  void warning(std::string_view event, Fields fields = {}) { log(LogLevel::kWarning, event, fields); }
  void error(std::string_view event, Fields fields = {}) { log(LogLevel::kError, event, fields); }
  void log(LogLevel level, std::string_view event, Fields fields);
  bool enabled(LogLevel level) const { return level >= level_ && level != LogLevel::kOff; }

 private:
  struct Sink;

  const LogFormat format_;
  const LogLevel level_;
  std::unique_ptr<Sink> sink_;
};

}  // namespace tapewire
