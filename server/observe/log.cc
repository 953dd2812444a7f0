#include "server/observe/log.h"

#include <algorithm>
#include <array>
#include <vector>

#include "nlohmann/json.hpp"
#include "spdlog/logger.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace tapewire {
namespace {

constexpr std::array<std::string_view, 5> kLevels{"debug", "info", "warning", "error", "off"};
constexpr std::array<std::string_view, 2> kFormats{"text", "json"};

template <class Enum, size_t N>
bool parse_name(const std::array<std::string_view, N>& names, std::string_view name, Enum& value) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return false;
  value = static_cast<Enum>(found - names.begin());
  return true;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

std::string to_json(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\'; });
}

std::string to_text(const LogField::Value& value, bool json) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return !json && is_plain(*text) ? std::string(*text) : to_json(*text);
  }
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<int64_t>(&value)) return std::to_string(*whole);
  return nlohmann::json(std::get<double>(value)).dump();
}

std::shared_ptr<spdlog::sinks::sink> make_sink(std::ostream* stream) {
  if (stream == nullptr) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  return std::make_shared<spdlog::sinks::ostream_sink_mt>(*stream, /*force_flush=*/true);
}

}  // namespace

bool parse_log_level(std::string_view name, LogLevel& level) { return parse_name(kLevels, name, level); }
bool parse_log_format(std::string_view name, LogFormat& format) { return parse_name(kFormats, name, format); }

struct Logger::Sink {
  Sink(LogFormat format, std::ostream* stream) : logger("tapewire", make_sink(stream)) {
    const char* pattern = format == LogFormat::kText ? "%Y-%m-%dT%H:%M:%S.%eZ %l %v"
                                                     : R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";
    logger.set_formatter(
        std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, std::string("\n")));
    logger.set_level(spdlog::level::trace);
  }
  spdlog::logger logger;
};

Logger::Logger(LogFormat format, LogLevel level, std::ostream* stream)
    : format_(format), level_(level), sink_(std::make_unique<Sink>(format, stream)) {}
Logger::~Logger() = default;

void Logger::log(LogLevel level, std::string_view event, std::span<const LogField> fields) {
  if (!enabled(level)) return;
  const bool json = format_ == LogFormat::kJson;
  std::string line;
  if (json) {
    line.append("\"event\":").append(to_json(event));
  } else {
    // An event is our own text; what it quotes from outside must not break the line.
    for (const char c : event) line.push_back(static_cast<unsigned char>(c) < ' ' ? ' ' : c);
  }
  for (const LogField& field : fields) {
    if (json) {
      line.append(",").append(to_json(field.key)).append(":");
    } else {
      line.append(" ").append(field.key).append("=");
    }
    line.append(to_text(field.value, json));
  }
  sink_->logger.log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void Logger::log_limited(LogLevel level, std::string_view event, std::string_view reason,
                         std::span<const LogField> fields) {
  if (!enabled(level)) return;
  int64_t suppressed = 0;
  {
    const auto now = std::chrono::steady_clock::now();
    MutexLock lock(mutex_);
    Allowance& allowance = allowances_[{std::string(event), std::string(reason)}];
    const std::chrono::duration<double> since = now - std::exchange(allowance.at, now);
    allowance.lines = std::min<double>(kBurst, allowance.lines + since.count());
    if (allowance.lines < 1) {
      ++allowance.suppressed;
      return;
    }
    allowance.lines -= 1;
    suppressed = std::exchange(allowance.suppressed, 0);
  }
  if (suppressed == 0) return log(level, event, fields);
  std::vector<LogField> more(fields.begin(), fields.end());
  more.emplace_back("suppressed", suppressed);
  log(level, event, more);
}

}  // namespace tapewire
