#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/base/mutex.h"

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
  void log(LogLevel level, std::string_view event, Fields fields) {
    log(level, event, std::span<const LogField>(fields.begin(), fields.size()));
  }
  void log(LogLevel level, std::string_view event, std::span<const LogField> fields) TW_EXCLUDES(mutex_);
  /// For what clients can cause as often as they like: of an event and a reason, kBurst lines at once and then one a
  /// second are written; the next line that is tells how many were not ("suppressed"). Both are of a few values.
  void log_limited(LogLevel level, std::string_view event, std::string_view reason, std::span<const LogField> fields)
      TW_EXCLUDES(mutex_);
  static constexpr int kBurst = 100;
  bool enabled(LogLevel level) const { return level >= level_ && level != LogLevel::kOff; }

 private:
  struct Sink;
  struct Allowance {
    double lines = kBurst;
    std::chrono::steady_clock::time_point at;  // when it was so
    int64_t suppressed = 0;
  };

  const LogFormat format_;
  const LogLevel level_;
  std::unique_ptr<Sink> sink_;
  Mutex mutex_;
  std::map<std::pair<std::string, std::string>, Allowance> allowances_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
