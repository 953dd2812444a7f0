#include "client/cli/checks.h"

#include <cmath>
#include <functional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tapewire::client {
namespace {

CLI::Validator check_of(std::string what, std::string name, std::function<bool(const std::string&)> good) {
  const auto check = [what = std::move(what), good = std::move(good)](const std::string& text) {
    return good(text) ? std::string() : absl::StrCat("expects ", what, ", got ", text);
  };
  return {check, std::move(name)};
}

CLI::Validator number_check(std::string what, std::string name, std::function<bool(double)> good) {
  return check_of(std::move(what), std::move(name), [good = std::move(good)](const std::string& text) {
    double value = 0;
    return absl::SimpleAtod(text, &value) && std::isfinite(value) && good(value);
  });
}

}  // namespace

CLI::Validator above_zero() {
  return number_check("a number above 0", "POSITIVE", [](double value) { return value > 0; });
}

CLI::Validator above_zero_up_to(int64_t most) {
  return number_check(absl::StrCat("a number above 0, at most ", most), "POSITIVE",
                      [=](double value) { return value > 0 && value <= static_cast<double>(most); });
}

CLI::Validator finite() {
  return number_check("a number", "FINITE", [](double) { return true; });
}

CLI::Validator whole(int64_t least, int64_t most) {
  return check_of(absl::StrCat("a whole number from ", least, " to ", most), absl::StrCat(least, " to ", most),
                  [=](const std::string& text) {
                    int64_t value = 0;
                    return absl::SimpleAtoi(text, &value) && value >= least && value <= most;
                  });
}

CLI::Validator whole_unsigned() {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  return check_of(absl::StrCat("a whole number from 0 to ", kMost), "NONNEGATIVE", [](const std::string& text) {
    uint64_t value = 0;
    return absl::SimpleAtoi(text, &value);
  });
}

absl::Status check_server(const std::string& text) {
  const auto wrong = [&text](const char* why) {
    return absl::InvalidArgumentError(absl::StrCat("expects HOST:PORT or unix:PATH, got '", text, "': ", why));
  };
  if (absl::StartsWith(text, "unix:")) return text == "unix:" ? wrong("there is no path") : absl::OkStatus();
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong("there is no port");
  const std::string host = text.substr(0, colon);
  if (host.empty()) return wrong("there is no host");
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (absl::StrContains(host, ':') && !bracketed) return wrong("an IPv6 host stands in brackets");
  const std::string port = text.substr(colon + 1);
  int number = 0;
  if (port.find_first_not_of("0123456789") != std::string::npos || !absl::SimpleAtoi(port, &number) || number < 1 ||
      number > 65535) {
    return wrong("the port is a number from 1 to 65535");
  }
  return absl::OkStatus();
}

}  // namespace tapewire::client
