#include "base/clock.h"

#include <chrono>
#include <ctime>

#include <fmt/format.h>

#include "base/text.h"

namespace obit {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t Now(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

tm BrokenDown(std::int64_t nanoseconds) {
  const auto seconds = static_cast<time_t>(nanoseconds / kSecond - (nanoseconds % kSecond < 0 ? 1 : 0));
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return parts;
}

/// The number that `text` has at [at, at + digits), digits only.
std::optional<int> Digits(std::string_view text, std::size_t at, std::size_t digits) {
  if (text.size() < at + digits) return std::nullopt;
  const auto value = ParseUnsigned(text.substr(at, digits));
  return value ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
}

}  // namespace

std::int64_t RealtimeNow() { return Now(CLOCK_REALTIME); }
std::int64_t MonotonicNow() { return Now(CLOCK_MONOTONIC); }
std::int64_t BoottimeNow() { return Now(CLOCK_BOOTTIME); }

std::string FormatDay(std::int64_t nanoseconds) {
  const tm parts = BrokenDown(nanoseconds);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::string FormatTimestamp(std::int64_t nanoseconds) {
  const tm parts = BrokenDown(nanoseconds);
  const std::int64_t fraction = ((nanoseconds % kSecond) + kSecond) % kSecond;
  return fmt::format("{}T{:02}:{:02}:{:02}.{:09}Z", FormatDay(nanoseconds), parts.tm_hour, parts.tm_min,
                     parts.tm_sec, fraction);
}

std::optional<std::int64_t> ParseTimestamp(std::string_view text) {
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':' || text.back() != 'Z')
    return std::nullopt;
  const auto year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2);
  const auto hour = Digits(text, 11, 2), minute = Digits(text, 14, 2), second = Digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                            std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::int64_t fraction = 0;
  const std::string_view rest = text.substr(19, text.size() - 20);
  if (!rest.empty()) {
    const std::string_view digits = rest.substr(1);
    const auto value = ParseUnsigned(digits);
    if (rest[0] != '.' || digits.size() > 9 || !value) return std::nullopt;
    fraction = static_cast<std::int64_t>(*value);
    for (std::size_t i = digits.size(); i < 9; ++i) fraction *= 10;
  }
  const std::int64_t seconds =
      sys_days(date).time_since_epoch().count() * 86400LL + *hour * 3600 + *minute * 60 + *second;
  const __int128 time = static_cast<__int128>(seconds) * kSecond + fraction;  // 64 bits end in the year 2262
  if (time < INT64_MIN || time > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(time);
}

}  // namespace obit
